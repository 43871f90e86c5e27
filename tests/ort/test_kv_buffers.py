"""KV buffers grow one after the other: no two are there twice, and nothing is lost where memory ends."""

import tracemalloc
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from handler.ort import kv_buffers
from handler.process_memory import resident_bytes
from tests.ort import decoders

LENGTH = 200


def test_no_more_than_one_buffer_is_there_twice(tmp_path: Path) -> None:
    model = decoders.export(decoders.checkpoint(decoders.CONFIG), "fp32", tmp_path)
    tracemalloc.start()
    kv = kv_buffers.allocate(model, 1, 256)
    for number in range(4):
        kv[number][...] = number
    before = sum(buffer.nbytes for buffer in kv)
    tracemalloc.reset_peak()
    kv_buffers.reallocate(kv, LENGTH, model, 512)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < sum(buffer.nbytes for buffer in kv) + before / 2
    assert kv_buffers.capacity(kv) == 512
    for number, buffer in enumerate(kv):
        np.testing.assert_array_equal(buffer[:, :, :LENGTH], number)


def test_large_buffers_take_memory_where_they_are_written_and_give_it_back(tmp_path: Path) -> None:
    model = decoders.export(decoders.checkpoint(decoders.CONFIG), "fp32", tmp_path)
    before = resident_bytes()
    kv = kv_buffers.allocate(model, 64, 1000)
    for buffer in kv:
        buffer[:, :, :8] = 1
    whole = sum(buffer.nbytes for buffer in kv)
    assert whole > 30e6
    assert resident_bytes() - before < whole / 4
    for buffer in kv:
        buffer[...] = 1
    assert resident_bytes() - before > whole / 2
    del kv, buffer
    assert resident_bytes() - before < whole / 4


@pytest.mark.parametrize("failing", range(4))
def test_where_memory_ends_in_the_midst_the_sequence_stays(
    tmp_path: Path, failing: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = decoders.decoder(tmp_path, "int8")
    token_ids = decoders.tokens(300)
    session, calls, empty = model.open(), count(), np.empty
    session.forward(token_ids[:250])

    def scarce(*shape: Any) -> Any:
        if next(calls) == failing:
            raise MemoryError
        return empty(*shape)

    with monkeypatch.context() as patched:
        patched.setattr(np, "empty", scarce)
        with pytest.raises(MemoryError):
            session.forward(token_ids[250:])
    assert session.length == 250
    found = session.forward(token_ids[250:], 50)
    np.testing.assert_array_equal(found, decoders.logits(model, token_ids)[250:])
