"""The product's own engine on the graph that runs everywhere: what our kernels are worth."""

from functools import partial

from tests.bench.workers.ours import load
from tests.bench.workers.protocol import serve

if __name__ == "__main__":
    serve(partial(load, kernels=False))
