"""OpenVINO GenAI's LLMPipeline for speed; for quality the same compiled weights, whose logits the pipeline keeps."""

import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from tests.bench.workers.protocol import Loaded, serve


def load(model: Path, threads: int) -> Loaded:
    import numpy as np
    import openvino as ov
    import openvino_genai

    settings = {"INFERENCE_NUM_THREADS": threads}
    scheduler = openvino_genai.SchedulerConfig()
    scheduler.enable_prefix_caching = False  # the same prompt comes again: it has to be computed again
    pipeline = openvino_genai.LLMPipeline(str(model), "CPU", scheduler_config=scheduler, **settings)

    def generate(ids: Sequence[int], count: int) -> list[float]:
        """Seconds until each of `count` tokens."""
        wanted = openvino_genai.GenerationConfig()
        wanted.max_new_tokens, wanted.ignore_eos, wanted.do_sample = count, True, False
        moments: list[float] = []

        class Clock(openvino_genai.StreamerBase):
            def write(self, _token: Any) -> Any:
                moments.append(time.perf_counter())
                return openvino_genai.StreamingStatus.RUNNING

            def end(self) -> None:
                pass

        start = time.perf_counter()
        pipeline.generate(ov.Tensor(np.asarray([ids], np.int64)), wanted, Clock())
        return [moment - start for moment in moments]

    class OpenVINO:
        def prefill(self, ids: Sequence[int]) -> float:
            return generate(ids, 1)[0]

        def decode(self, ids: Sequence[int], count: int) -> list[float]:
            moments = generate(ids, count + 2)
            return [after - before for before, after in pairwise(moments)][1:]

        def score(self, ids: Sequence[int]) -> Any:
            compiled = ov.Core().compile_model(model / "openvino_model.xml", "CPU", settings)
            request = compiled.create_infer_request()
            everything = {
                "input_ids": np.asarray([ids], np.int64),
                "attention_mask": np.ones((1, len(ids)), np.int64),
                "position_ids": np.arange(len(ids), dtype=np.int64)[None],
                "beam_idx": np.zeros(1, np.int32),
            }
            known = {name for port in compiled.inputs for name in port.names}
            request.infer({name: value for name, value in everything.items() if name in known})
            return request.get_tensor("logits").data[0]

    return OpenVINO(), {"openvino-genai": openvino_genai.__version__}


if __name__ == "__main__":
    serve(load)
