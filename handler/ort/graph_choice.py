"""Which of a model's graphs is opened, and what with. Pure."""

from dataclasses import dataclass
from pathlib import Path

from handler.manifest import Graph


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphChoice:
    """`graph`: as it is run, its file the one to open. `library`: with the operators that the graph needs; None: it
    needs none but ONNX Runtime's own."""

    graph: Graph
    library: Path | None


def choose_graph(graph: Graph, library: Path | None) -> GraphChoice:
    """The graph of our kernels where the model has one and `library` has their operators; else the one that runs
    everywhere."""
    if graph.kernels is None or library is None:
        return GraphChoice(graph=graph, library=None)
    free = {"file": graph.kernels, "width_free": True, "company_free": True}
    return GraphChoice(graph=graph.model_copy(update=free), library=library)
