"""torch, eager, in float32: transformers' own model with its KV cache."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.bench.workers.protocol import Loaded, Stepping, serve


def load(model: Path, threads: int) -> Loaded:
    import torch
    import transformers

    torch.set_num_threads(threads)
    torch.set_grad_enabled(False)
    network = transformers.AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)

    class Torch(Stepping):
        def reset(self) -> None:
            self.cache = transformers.DynamicCache()

        def forward(self, ids: Sequence[int]) -> None:
            network(torch.tensor([list(ids)]), past_key_values=self.cache, use_cache=True, logits_to_keep=1)

        def score(self, ids: Sequence[int]) -> Any:
            return network(torch.tensor([list(ids)])).logits[0].numpy()

    return Torch(), {"torch": torch.__version__, "transformers": transformers.__version__}


if __name__ == "__main__":
    serve(load)
