"""Sequences that decode together: each is a row of common KV buffers, at its own position, and a step moves them all.

Who joins is copied into a row, and stays: copies are made when somebody joins, ends, or the buffers are full, and at no
other step. A row is an ordinary buffer to its sequence, which can prefill, truncate and fork there, or decode alone.

A row whose sequence sits a step out (its client is slow, its grammar has forced several tokens) rides along: what is
written for it lies beyond its length, and is overwritten. After `MOST_IDLE` such steps it moves out.
"""

from collections.abc import Sequence
from weakref import ReferenceType, ref

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from handler.manifest import ModelManifest
from handler.ort import kv_buffers
from handler.ort.kv_buffers import KV, BoundKV, StepBuffers
from handler.ort.sequence import SharedKVSession

# A row that rides along costs about a quarter of a step; moving 500 positions of SmolLM2-135M out and in again, half of
# one. Whoever has sat out for so long has cost about as much as if it had moved at once.
MOST_IDLE = 3


class KVPool:
    """The rows of one decoder. Not thread-safe, nor are sequences that have been in it: they belong to one thread."""

    def __init__(self, session: onnxruntime.InferenceSession, model: ModelManifest) -> None:
        self._session = session
        self._model = model
        self._clear(0, 0)

    def advance(self, sessions: Sequence[SharedKVSession], token_ids: Sequence[int]) -> NDArray[np.float32]:
        """Appends one token to each of `sessions`; returns float32 [len(sessions), vocab_size], which the next call
        overwrites. Raises ValueError, and then nothing has changed, if one of them fills the window."""
        for session in sessions:
            kv_buffers.check_fits(self._model, session.length + 1)
        members = self._gather(sessions)
        rows = [session.row for session in sessions]
        count = 1 + max(rows)  # idle rows at the end cost nothing
        bound, step = self._bound.get(count) or self._bind(count)
        longest = 0
        for member in members:
            if member.row < count:
                bound.last_positions[member.row] = member.length
                longest = max(longest, member.length)
        step.ids[rows, 0] = token_ids
        bound.run(step, longest + 1)
        for session, token_id in zip(sessions, token_ids, strict=True):
            session.append([token_id], shared=True)
            session.idle = 0
        logits: NDArray[np.float32] = step.logits[:, 0]
        return logits if rows == list(range(count)) else logits[rows]

    @property
    def nbytes(self) -> int:
        """Bytes of all rows."""
        return sum(buffer.nbytes for buffer in self._kv)

    def tidy(self) -> None:
        """Frees rows that few or none still use."""
        members = self._members()
        if 2 * len(members) < self._rows:
            self._clear(0, 0)
            for member in members:
                member.leave(member.length)

    def _gather(self, sessions: Sequence[SharedKVSession]) -> list[SharedKVSession]:
        """Gives each of `sessions` a row with room for a token; returns all that have one, without gaps from row 0."""
        moving, members = set(map(id, sessions)), self._members()
        idle = [member for member in members if id(member) not in moving and self._rides_along(member)]
        everyone = [*sessions, *idle]
        needed = 1 + max(member.length for member in everyone)
        if needed > self._capacity or len(everyone) > self._rows:
            self._clear(1 << (len(everyone) - 1).bit_length(), kv_buffers.capacity_for(self._model, needed))
            members = []
        resident = set(map(id, members))
        settled = {member.row for member in everyone if id(member) in resident and member.row < len(everyone)}
        if len(settled) < len(everyone):
            homeless = [member for member in everyone if id(member) not in resident or member.row not in settled]
            free = sorted(set(range(len(everyone))) - settled)
            for member, row in zip(homeless, free, strict=True):
                member.move([buffer[row : row + 1] for buffer in self._kv], row)
                self._occupants[row] = ref(member)
        return everyone

    def _rides_along(self, member: SharedKVSession) -> bool:
        """Whether a member that sits out a step keeps its row. It needs room for what is written there."""
        member.idle += 1
        if member.idle <= MOST_IDLE and member.length < self._capacity:
            return True
        member.leave(member.length)
        return False

    def _members(self) -> list[SharedKVSession]:
        """Who lives here. One that has ended is gone; one that has outgrown its row has left."""
        found = [(row, occupant()) for row, occupant in self._occupants.items()]
        return [member for row, member in found if member is not None and member.row == row]

    def _clear(self, rows: int, capacity: int) -> None:
        """New, empty rows. Members keep the old ones until they move."""
        self._kv: KV = kv_buffers.allocate(self._model, rows, capacity)
        self._rows, self._capacity = rows, capacity  # if there was memory for them
        self._occupants: dict[int, ReferenceType[SharedKVSession]] = {}
        self._bound: dict[int, tuple[BoundKV, StepBuffers]] = {}  # by how many rows take part

    def _bind(self, count: int) -> tuple[BoundKV, StepBuffers]:
        kv = [buffer[:count] for buffer in self._kv]
        step = StepBuffers.allocate(count, 1, 1, self._model.vocab_size)
        self._bound[count] = BoundKV(self._session, self._model, kv), step
        return self._bound[count]
