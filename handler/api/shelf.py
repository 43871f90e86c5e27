"""Which models are in memory: loaded on first use, one at a time, within a budget. Thread-safe.

A model is loaded in a thread of its own, so that no stream waits for it; all who ask for it meanwhile wait for the same
load. Where there is no room, the least recently used models that nobody uses are dropped first. One that cannot be
loaded is unavailable for a while, and then tried anew: it takes no other with it.
"""

import json
import logging
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Generic, TypeVar

from handler.api.ledger import UNLIMITED, Ledger
from handler.chat.card import ModelCard
from handler.errors import ConfigurationError, EndpointError, Unavailable

_MORE = "give LLM_MODELS_MB or LLM_MEMORY_MB more"

LOGGER = logging.getLogger("handler.models")

# Seconds. A damaged model is read and hashed as a whole before that is known: not at every request.
AFTER_A_FAILURE = 10
WHILE_IN_USE = 1
# Who has read the end of an answer may ask again before the engine has let go of what it held.
PATIENCE = 0.2

S = TypeVar("S")


class Slot(Generic[S]):
    """A served model and, while it is in memory, the service that answers with it. Its state is the shelf's to change.

    `nbytes`: what it takes of memory once it is loaded; `mapped`: of these, pages of its files, used where they are.
    `load` None: it is always there.
    """

    def __init__(
        self,
        card: ModelCard,
        *,
        nbytes: int = 0,
        mapped: int = 0,
        load: Callable[[], S] | None = None,
        service: S | None = None,
    ) -> None:
        self.card = card
        self.nbytes = nbytes
        self.mapped = mapped
        self.load = load
        self.service = service
        self.users = 0
        self.loading: Future[EndpointError | None] | None = None
        self.failed_until = float("-inf")  # in the shelf's clock


class Shelf:
    """Loads and drops the models of `slots`."""

    def __init__(
        self,
        slots: Sequence[Slot[Any]] = (),
        *,
        ledger: Ledger | None = None,
        budget: int = UNLIMITED,
        after_dropping: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`ledger`: of the memory that models share with answers; `budget`: bytes of it that models may take.
        `after_dropping` gives memory back to the system.

        Raises ConfigurationError for a model that would not even fit alone, and where those that are loaded do not.
        """
        self.ledger = ledger or Ledger()
        self._lock = threading.Condition(threading.Lock())  # told when something is let go of
        self._budget = budget
        self._after_dropping = after_dropping
        self._clock = clock
        self._loaded = [slot for slot in slots if slot.load and slot.service is not None]  # least recently used first
        self._loader = ThreadPoolExecutor(1, "load")
        most = min(budget, self.ledger.capacity)
        for slot in slots:
            if slot.nbytes > most:
                raise ConfigurationError(
                    f"The model {slot.card.name} takes about {_mb(slot.nbytes)} MB of memory, and there are"
                    f" {_mb(most)} MB for models: {_MORE}, or leave it out"
                )
        if self.nbytes > most or not self.ledger.take(self.nbytes):
            raise ConfigurationError(
                f"The models that are loaded at start take about {_mb(self.nbytes)} MB of memory, and there are"
                f" {_mb(most)} MB for models: {_MORE}, or name some of them in LLM_MODELS"
            )

    def close(self) -> None:
        """Waits for the load under way: the interpreter must not end while ONNX Runtime reads weights."""
        self._loader.shutdown(cancel_futures=True)

    def take(self, slot: Slot[S]) -> "Future[EndpointError | None]":
        """From now on the model stays until it is let go of, which has to follow. It is in memory once what is returned
        is done: with None, or with the error that the caller is told."""
        with self._lock:
            slot.users += 1
            if slot.loading is not None:
                return slot.loading
            if slot.service is None and self._clock() >= slot.failed_until:
                slot.loading = self._loader.submit(self._load, slot)
                return slot.loading
            known: Future[EndpointError | None] = Future()
            known.set_result(None if slot.service is not None else _failed(slot))
            return known

    def let_go(self, slot: Slot[S]) -> None:
        """One answer fewer uses the model."""
        with self._lock:
            slot.users -= 1
            self._lock.notify_all()
            if slot in self._loaded:
                self._loaded.remove(slot)
                self._loaded.append(slot)

    @property
    def nbytes(self) -> int:
        """Bytes of the loaded models that could be dropped."""
        return sum(slot.nbytes for slot in self._loaded)

    def _load(self, slot: Slot[S]) -> EndpointError | None:
        error: EndpointError | None = None
        service: S | None = None
        started = self._clock()
        if not self._make_room(slot.nbytes, self._budget):
            error = _no_room()
        else:
            try:
                service = slot.load() if slot.load is not None else None
                _note("loaded", slot, ms=round((self._clock() - started) * 1000))
            except Exception as fault:  # whatever is wrong with one model, the process and the others go on
                _log(slot.card.name, fault)
                slot.failed_until = self._clock() + AFTER_A_FAILURE
                error = _failed(slot)
                self.give_back(slot.nbytes)
        with self._lock:
            slot.loading = None
            if error is None:
                slot.service = service
                self._loaded.append(slot)
        return error

    def reserve(self, nbytes: int) -> bool:
        """Takes so many bytes for an answer, which has to give them back; False if they are not there for now, though
        idle models were dropped for them. It can take a second: not for the event loop."""
        return self._make_room(nbytes, UNLIMITED)

    def give_back(self, nbytes: int) -> None:
        """What an answer had taken is free."""
        with self._lock:
            self.ledger.give(nbytes)
            self._lock.notify_all()

    def _make_room(self, nbytes: int, budget: int) -> bool:
        until = time.monotonic() + PATIENCE
        with self._lock:
            while (dropped := self._to_drop(nbytes, budget)) is None:
                if not self._lock.wait(until - time.monotonic()):
                    return False
            for slot in dropped:
                _note("dropped", slot)
                slot.service = None
                self._loaded.remove(slot)
                self.ledger.give(slot.nbytes)
            taken = self.ledger.take(nbytes)  # not if an answer has come between
        if dropped:
            self._after_dropping()
        return taken

    def _to_drop(self, nbytes: int, budget: int) -> list[Slot[Any]] | None:
        """The idle models to drop for so many bytes, the least recently used ones; None if all were not enough."""
        free, left = self.ledger.free, budget - self.nbytes
        dropped: list[Slot[Any]] = []
        for slot in self._loaded:
            if nbytes <= min(free, left):
                break
            if not slot.users:
                dropped.append(slot)
                free, left = free + slot.nbytes, left + slot.nbytes
        return dropped if nbytes <= min(free, left) else None


def _note(event: str, slot: Slot[Any], **facts: int) -> None:
    LOGGER.info("%s", json.dumps({"event": f"model {event}", "model": slot.card.name, **facts}))


def _no_room() -> Unavailable:
    return Unavailable(
        "Other models are in use, and there is no memory for this one beside them. Please try again.",
        retry_after_seconds=WHILE_IN_USE,
        code="model_not_loaded",
    )


def _failed(slot: Slot[Any]) -> Unavailable:
    return Unavailable(
        f"The model '{slot.card.name}' cannot be loaded at the moment; the server's log says why. Please try again"
        " later, or ask another model.",
        retry_after_seconds=AFTER_A_FAILURE,
        code="model_not_loaded",
    )


def _log(name: str, fault: Exception) -> None:
    """What is wrong with a model's files is said in words. Of anything else, where it arose."""
    if isinstance(fault, ConfigurationError):
        LOGGER.error("The model %s cannot be loaded: %s", name, fault)
        return
    frames = traceback.extract_tb(fault.__traceback__)
    where = " < ".join(f"{frame.filename}:{frame.lineno} {frame.name}" for frame in reversed(frames))
    LOGGER.error("The model %s cannot be loaded: %s at %s", name, type(fault).__qualname__, where)


def _mb(nbytes: int) -> int:
    return -(-nbytes // 2**20)
