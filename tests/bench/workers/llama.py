"""llama.cpp through llama-cpp-python's low-level interface. Always without AMX: see amx.py."""

import ctypes
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.bench.workers.protocol import Loaded, Stepping, serve

_WINDOW = 2304  # tokens: the longest prompt that is measured, and room


def load(model: Path, threads: int) -> Loaded:
    import llama_cpp
    import numpy as np

    llama_cpp.llama_backend_init()
    loaded = llama_cpp.llama_model_load_from_file(str(model).encode(), llama_cpp.llama_model_default_params())
    settings = llama_cpp.llama_context_default_params()
    settings.n_ctx, settings.n_batch, settings.n_ubatch = _WINDOW, 2048, 512  # the last two are its own defaults
    settings.n_threads = settings.n_threads_batch = threads
    context = llama_cpp.llama_init_from_model(loaded, settings)
    memory = llama_cpp.llama_get_memory(context)
    size = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(loaded))

    class Llama(Stepping):
        def reset(self) -> None:
            llama_cpp.llama_memory_clear(memory, True)

        def forward(self, ids: Sequence[int]) -> None:
            tokens = (ctypes.c_int32 * len(ids))(*ids)  # the batch points into it
            if llama_cpp.llama_decode(context, llama_cpp.llama_batch_get_one(tokens, len(ids))):
                raise RuntimeError("llama_decode failed")

        def score(self, ids: Sequence[int]) -> Any:
            self.reset()
            batch = llama_cpp.llama_batch_init(len(ids), 0, 1)
            batch.n_tokens = len(ids)
            for index, token in enumerate(ids):
                batch.token[index], batch.pos[index], batch.logits[index] = token, index, True
                batch.n_seq_id[index], batch.seq_id[index][0] = 1, 0
            if llama_cpp.llama_decode(context, batch):
                raise RuntimeError("llama_decode failed")
            rows = np.ctypeslib.as_array(llama_cpp.llama_get_logits(context), (len(ids), size)).copy()
            llama_cpp.llama_batch_free(batch)
            return rows

    return Llama(), {"llama-cpp-python": llama_cpp.__version__}


if __name__ == "__main__":
    serve(load)
