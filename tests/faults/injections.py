"""How each fault is brought about. Every function tells how the answer that the fault hit ended."""

import json
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Timer
from typing import Any

from tests.faults.asking import LONG, Ending, ask, ask_raw, begun, read_events, read_rest, the_next_answer
from tests.faults.stage import PARIS_EVENT, Stage

Injection = Callable[[Stage], Ending]
STREAMED = LONG | {"stream": True}
ABSENT = object()
# Of two thousand tokens: the five, and those of the steps until word of it has come through the emulator.
COMPUTED_AT_MOST = 40
SMALL_BUFFER = 4096  # bytes
POSITION = 46_080  # bytes of the default model's KV
# What a client that does not read may cost: the KV of eight answers of up to 300 tokens with their prompt, twice while
# the common buffers grow.
HELD_AT_MOST = 2 * 8 * 300 * POSITION  # bytes


def asking(body: Any) -> Injection:
    """The request itself is the fault, or meets it."""
    return lambda stage: ask(stage.client, body)


def signalled(number: signal.Signals, body: Any = STREAMED) -> Injection:
    """The process gets a signal when a few tokens have come, or (of an answer that comes whole) while it computes."""

    def inject(stage: Stage) -> Ending:
        with begun(stage.url, body) as connection:
            received = b""
            if body.get("stream"):
                received = read_events(connection, 5)
            else:
                time.sleep(0.5)
            stage.signal(number)
            return read_rest(connection, received)

    return inject


def leaving(body: Any = STREAMED) -> Injection:
    """The client closes its connection: after five events, or (of an answer that comes whole) after half a second."""

    def inject(stage: Stage) -> Ending:
        with begun(stage.url, body) as connection:
            if body.get("stream"):
                read_events(connection, 5)
            else:
                time.sleep(0.5)
        return Ending(status=None, whole=False)

    return inject


def leaving_early() -> Injection:
    """The client closes its connection after five events; the computing stops with it."""
    leave = leaving()

    def inject(stage: Stage) -> Ending:
        ending = leave(stage)
        assert stage.record({"disconnected": True})["completion_tokens"] < COMPUTED_AT_MOST
        return ending

    return inject


def raw(event: bytes) -> Injection:
    """An event as the Runtime API hands it out, whatever it is."""
    return lambda stage: ask_raw(stage, event)


def changed(**fields: Any) -> bytes:
    """A Function URL's event with other fields; those that are `ABSENT` are left out."""
    event = json.loads(PARIS_EVENT.read_text()) | fields
    return json.dumps({name: value for name, value in event.items() if value is not ABSENT}).encode()


def at_once(count: int, body: Any) -> Injection:
    """Several clients ask the same at the same time: how all of them end."""

    def inject(stage: Stage) -> Ending:
        with ThreadPoolExecutor(count) as clients:
            endings = {*clients.map(lambda _: ask(stage.client, body), range(count))}
        assert len(endings) == 1, endings
        return endings.pop()

    return inject


def crowding(count: int, body: Any) -> Injection:
    """Several clients ask the same at the same time, and not all have room: how those end that have none."""

    def inject(stage: Stage) -> Ending:
        with ThreadPoolExecutor(count) as clients:
            endings = [*clients.map(lambda _: ask(stage.client, body), range(count))]
        refused = {ending for ending in endings if ending.status != 200}
        assert len(refused) == 1, endings
        assert {ending.finish_reason for ending in endings if ending not in refused} == {"length"}, endings
        return refused.pop()

    return inject


def frozen(seconds: float, body: Any) -> Injection:
    """The process stands still while the request comes and most of its time runs out."""

    def inject(stage: Stage) -> Ending:
        stage.signal(signal.SIGSTOP)
        Timer(seconds, stage.signal, [signal.SIGCONT]).start()
        return ask(stage.client, body)

    return inject


def reading_slowly(body: Any, seconds: int) -> Injection:
    """A client reads one byte a second of an answer that others would be waiting for: how theirs ends."""

    def inject(stage: Stage) -> Ending:
        before = stage.resident()
        with begun(stage.url, body, receive_buffer=SMALL_BUFFER) as connection:
            for _ in range(seconds):
                connection.recv(1)
                time.sleep(1)
            other = the_next_answer(stage)
            assert stage.resident() - before < HELD_AT_MOST
        return other

    return inject
