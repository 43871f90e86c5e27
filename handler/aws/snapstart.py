"""SnapStart: between initialisation and the first invocation lies the snapshot, and each copy wakes up once.

What must not be shared by the copies, or has gone stale in the snapshot (random seeds, secrets, connections), is
renewed by the hooks: callables that run in order after the restore.
"""

import random
from collections.abc import Callable, Sequence
from typing import TypeAlias

from handler.aws.failures import startup_fault_of
from handler.aws.runtime_client import RuntimeClient

INIT_TYPE = "snap-start"

RestoreHook: TypeAlias = Callable[[], None]


def reseed() -> None:
    """Seeds the generator that libraries share, or the copies of a snapshot would wait the same times between retries.

    Answers and ids need no hook: each takes its randomness from the operating system, which is not in the snapshot.
    """
    random.seed()


async def await_restore(client: RuntimeClient, hooks: Sequence[RestoreHook]) -> None:
    """Returns in the restored process, its hooks run. A hook's exception is reported to Lambda and raised."""
    await client.restore_next()
    try:
        for hook in hooks:
            hook()
    except Exception as error:
        await client.restore_error(startup_fault_of(error))
        raise
