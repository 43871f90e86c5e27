"""Which of a model's graphs is opened, and what with. Pure."""

from dataclasses import dataclass
from pathlib import Path

from handler.manifest import Graph

# The time of a decode step of 1, 2, … 16 tokens, in steps of one token: SmolLM2-135M on AVX2 cores, the mean of int8
# and int4 by our kernels, with one thread (2.7 for 8 tokens, 4.6 for 16) and two (2.2, 3.8). ONNX Runtime's own come
# to about the same in the mean of the two recipes.
_STEP_COSTS = (1.0, 1.18, 1.4, 1.69, 1.96, 2.06, 2.26, 2.45, 2.7, 2.95, 3.16, 3.37, 3.57, 3.75, 3.97, 4.19)


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
        return _STEP_COSTS


def choose_graph(graph: Graph, library: Path | None) -> GraphChoice:
    """The graph of our kernels where the model has one and `library` has their operators; else the one that runs
    everywhere."""
    if graph.kernels is None or library is None:
        return GraphChoice(graph=graph, library=None)
    free = {"file": graph.kernels, "width_free": True, "company_free": True}
    return GraphChoice(graph=graph.model_copy(update=free), library=library)
