"""Which of a model's graphs is opened, and what with. Pure."""

from dataclasses import dataclass
from pathlib import Path

from handler.manifest import Graph

# SmolLM2-135M on two AVX2 cores: int8 by ONNX Runtime's kernels, and the mean of int8 and int4 by ours.
_STANDARD_COSTS = (1.0, 1.1, 1.17, 1.29, 1.44, 1.62, 1.74, 1.86)
_KERNELS_COSTS = (1.0, 1.14, 1.36, 1.64, 1.96, 2.38, 2.67, 2.83)


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphChoice:
    """`graph`: as it is run, its file the one to open. `library`: with the operators that the graph needs; None: it
    needs none but ONNX Runtime's own."""

    graph: Graph
    library: Path | None

    @property
    def step_costs(self) -> tuple[float, ...]:
        """The time of a decode step of 1, 2, … tokens, in steps of one token; empty where drafts never pay."""
        if self.graph.kv_layout != "shared":
            return ()  # a growing cache is copied to forget a wrong guess: that can cost more than the guess would save
        return _STANDARD_COSTS if self.library is None else _KERNELS_COSTS


def choose_graph(graph: Graph, library: Path | None) -> GraphChoice:
    """The graph of our kernels where the model has one and `library` has their operators; else the one that runs
    everywhere."""
    if graph.kernels is None or library is None:
        return GraphChoice(graph=graph, library=None)
    free = {"file": graph.kernels, "width_free": True, "company_free": True}
    return GraphChoice(graph=graph.model_copy(update=free), library=library)
