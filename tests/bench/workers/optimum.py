"""optimum's ORTModelForCausalLM, as its documentation has it called."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.bench.workers.protocol import Loaded, Stepping, serve


def load(model: Path, threads: int) -> Loaded:
    from importlib.metadata import version

    import onnxruntime
    import torch
    from optimum.onnxruntime import ORTModelForCausalLM

    torch.set_num_threads(threads)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    network = ORTModelForCausalLM.from_pretrained(model, session_options=options)

    class Optimum(Stepping):
        def reset(self) -> None:
            self.past, self.length = None, 0

        def forward(self, ids: Sequence[int]) -> None:
            self.length += len(ids)
            output = network(
                input_ids=torch.tensor([list(ids)]),
                attention_mask=torch.ones(1, self.length, dtype=torch.int64),
                position_ids=torch.arange(self.length - len(ids), self.length)[None],
                past_key_values=self.past,
                use_cache=True,
            )
            self.past = output.past_key_values
            self.logits = output.logits

        def score(self, ids: Sequence[int]) -> Any:
            self.reset()
            self.forward(ids)
            return self.logits[0].numpy()

    return Optimum(), {"optimum-onnx": version("optimum-onnx"), "onnxruntime": onnxruntime.__version__}


if __name__ == "__main__":
    serve(load)
