"""onnxruntime-genai: its own loop, `append_tokens` for the prompt and `generate_next_token` for each step."""

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.bench.workers.protocol import Loaded, serve

_WINDOW = 2304  # tokens: the longest prompt that is measured, and room


def load(model: Path, threads: int) -> Loaded:
    import numpy as np
    import onnxruntime_genai as og

    config = og.Config(str(model))
    config.overlay(
        json.dumps({"model": {"decoder": {"session_options": {"intra_op_num_threads": threads}}, "eos_token_id": []}})
    )
    loaded = og.Model(config)

    def prompted(ids: Sequence[int]) -> tuple[Any, float]:
        settings = og.GeneratorParams(loaded)
        settings.set_search_options(max_length=_WINDOW, do_sample=False)
        generator = og.Generator(loaded, settings)
        start = time.perf_counter()
        generator.append_tokens(np.asarray(ids, np.int32))
        return generator, time.perf_counter() - start

    class GenAI:
        def prefill(self, ids: Sequence[int]) -> float:
            return prompted(ids)[1]

        def decode(self, ids: Sequence[int], count: int) -> list[float]:
            generator, _ = prompted(ids)
            seconds = []
            generator.generate_next_token()  # chooses from the prompt's own logits: no step
            for _ in range(count + 1):
                start = time.perf_counter()
                generator.generate_next_token()
                seconds.append(time.perf_counter() - start)
            return seconds[1:]

        def score(self, ids: Sequence[int]) -> Any:
            generator, _ = prompted(ids)
            return generator.get_output("logits")[0]

    return GenAI(), {"onnxruntime-genai": og.__version__}


if __name__ == "__main__":
    serve(load)
