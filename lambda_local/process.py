"""The runtime's process: started in a session of its own, so that killing it kills all it started."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path


class RuntimeProcess:
    """A running (or dead) runtime. Its stdout and stderr are the emulator's."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._peak: int | None = None

    @classmethod
    async def start(cls, command: Sequence[str], environment: Mapping[str, str]) -> "RuntimeProcess":
        """Start it. Raises OSError where the command cannot be run."""
        return cls(await asyncio.create_subprocess_exec(*command, env=environment, start_new_session=True))

    @property
    def alive(self) -> bool:
        """It has not exited, as far as we know."""
        return self._process.returncode is None

    async def wait(self) -> str:
        """Until it exits; returns how, in Lambda's words."""
        status = await self._process.wait()
        if status < 0:
            return f"signal: {signal.Signals(-status).name.removeprefix('SIG').lower()}"
        return f"exit status {status}"

    async def kill(self) -> None:
        """SIGKILL, as Lambda does without extensions, and wait until it is gone."""
        self.peak_memory()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        await self._process.wait()

    def peak_memory(self) -> int | None:
        """Largest resident size so far in MB, from /proc; None where there is no /proc."""
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{self._process.pid}/status").read_text(encoding="ascii").splitlines():
                if line.startswith("VmHWM:"):
                    self._peak = -(-int(line.split()[1]) // 1024)
        return self._peak
