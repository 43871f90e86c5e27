"""The prefix cache: a prompt goes on from the KV of an earlier answer that begins like it. Pure.

An answer leaves its session here when it is over. A session says itself which tokens its positions hold, so what is
kept is right however the answer ended, and of how many of them the KV is exact: only those go on, so that an answer is
the same with the cache and without, to the bit. Not thread-safe: everything happens between two steps, on the engine's
thread.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from handler.engine.ports import Decoder, KVSession, KVSource
from handler.engine.widths import leaves_one_alone

# A prefix, or the rest of one, of fewer tokens is not worth its memory: running it takes little longer than one token.
MIN_TOKENS = 16

_Ids = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class _Entry:
    """The session of an answer that is over, as it was left. `nbytes` counts its KV buffers."""

    tenant: bytes
    token_ids: _Ids
    session: KVSession
    nbytes: int


class PrefixCache:
    """Keeps sessions within `budget` bytes of KV buffers, the least recently used first; 0: requests share nothing.

    What the requests of one tenant left is for that tenant alone: how soon an answer begins would tell others what was
    asked before. `baked` beginnings came with the model: they are for everyone, outside of the budget, and stay.
    `answers`: what was generated goes on too, though it was not run as a prompt is: near-ties may fall otherwise.
    """

    def __init__(
        self,
        decoder: Decoder,
        *,
        budget: int,
        baked: Sequence[KVSource] = (),
        answers: bool = False,
        free: Callable[[], int] | None = None,
    ) -> None:
        """`free`: how many bytes of memory answers in flight leave; what is kept yields to them. None: many."""
        self._decoder = decoder
        self._free = free
        self._budget = budget
        self._answers = answers
        self._baked = tuple((_ids(source.token_ids), source) for source in baked)
        self._entries: list[_Entry] = []  # the least recently used first
        self._in_flight: WeakKeyDictionary[KVSession, bytes] = WeakKeyDictionary()

    @property
    def nbytes(self) -> int:
        """Bytes of KV buffers that are kept; those of answers in flight do not count."""
        return sum(entry.nbytes for entry in self._entries)

    def of(self, tenant: bytes) -> "Prefixes":
        """The cache as one tenant, of whatever name, sees it."""
        return Prefixes(self, tenant)

    def open(self, prompt_ids: Sequence[int], tenant: bytes) -> KVSession:
        """A session that holds the longest known beginning of `prompt_ids`: perhaps nothing, and never the last two
        tokens. The last has to be run for its logits, and not alone: see `widths`.

        A kept session that the prompt just continues is handed out. Of one with more to it, or in use, the beginning is
        copied.
        """
        wanted = _ids(prompt_ids)[:-2]
        found: KVSource | _Entry | None = None
        shared = MIN_TOKENS - 1
        for token_ids, source in self._known(tenant):
            common = _common(token_ids, wanted)
            if common > shared:
                found, shared = source, common
        shared -= leaves_one_alone(len(wanted) + 2 - shared)
        self._make_room(spare=found)
        if found is None:
            session = self._decoder.open()
        elif isinstance(found, _Entry):
            session = self._reuse(found, shared)
        else:
            session = self._decoder.restore(prompt_ids[:shared], found.held(shared))
        self._make_room()
        if self._budget:
            self._in_flight[session] = tenant
        return session

    def keep(self, session: KVSession, tenant: bytes) -> None:
        """Takes over the session of an answer that is over. Of two that hold the same but for a few tokens, one is
        kept."""
        self._in_flight.pop(session, None)
        session.truncate(self._reusable(session))
        session.rest()
        new = _Entry(tenant, _ids(session.token_ids), session, session.nbytes)
        if len(new.token_ids) < MIN_TOKENS or new.nbytes > self._budget:
            return
        if any(_rest(new.token_ids, token_ids) < MIN_TOKENS for token_ids, _ in self._baked):
            return
        own = [entry for entry in self._entries if entry.tenant == tenant]
        superseded = {entry for entry in own if _rest(entry.token_ids, new.token_ids) < MIN_TOKENS}
        self._entries = [entry for entry in self._entries if entry not in superseded]
        for entry in own:
            if entry not in superseded and _rest(new.token_ids, entry.token_ids) < MIN_TOKENS:
                self._touch(entry)
                return
        self._entries.append(new)
        while self.nbytes > self._budget:
            del self._entries[0]

    def _make_room(self, spare: KVSource | _Entry | None = None) -> None:
        """Drops what answers in flight leave no memory for, the least recently used first, but not `spare`."""
        if self._free is not None:
            for entry in [entry for entry in self._entries if entry is not spare]:
                if self.nbytes <= self._free():
                    return
                self._entries.remove(entry)

    def _known(self, tenant: bytes) -> Iterator[tuple[_Ids, KVSource | _Entry]]:
        """What the tenant may share; of two that are as long, the first is the cheaper one."""
        for entry in reversed(self._entries):
            if entry.tenant == tenant:
                yield entry.token_ids, entry
        yield from self._baked
        for session, owner in self._in_flight.items():
            if owner == tenant:
                yield _ids(session.token_ids[: self._reusable(session)]), session

    def _reusable(self, session: KVSession) -> int:
        """How many of its first positions another prompt may share."""
        return session.length if self._answers else session.exact_length

    def _reuse(self, entry: _Entry, shared: int) -> KVSession:
        if len(entry.token_ids) - shared >= MIN_TOKENS:
            self._touch(entry)
            return self._decoder.restore(entry.session.token_ids[:shared], entry.session.held(shared))
        self._entries.remove(entry)
        entry.session.truncate(shared)
        return entry.session

    def _touch(self, entry: _Entry) -> None:
        self._entries.remove(entry)
        self._entries.append(entry)


@dataclass(frozen=True, slots=True)
class Prefixes:
    """A `PrefixCache` as one tenant sees it."""

    cache: PrefixCache
    tenant: bytes

    @contextmanager
    def session(self, prompt_ids: Sequence[int]) -> Iterator[KVSession]:
        """A session for the prompt, kept when the answer is over or given up, but not when it has failed."""
        session = self.cache.open(prompt_ids, self.tenant)
        try:
            yield session
        except GeneratorExit:
            self.cache.keep(session, self.tenant)
            raise
        self.cache.keep(session, self.tenant)


def _ids(token_ids: Sequence[int]) -> _Ids:
    return np.array(token_ids, np.int64)


def _common(one: _Ids, other: _Ids) -> int:
    """How many tokens both begin with."""
    length = min(len(one), len(other))
    differ = one[:length] != other[:length]
    return int(differ.argmax()) if differ.any() else length


def _rest(one: _Ids, other: _Ids) -> int:
    """How many tokens of `one` follow what both begin with."""
    return len(one) - _common(one, other)
