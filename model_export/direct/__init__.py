"""The direct exporter. `supports` says whether it knows a config, `build` writes the graph."""

from model_export.direct.architectures import supports
from model_export.direct.build import build

__all__ = ["build", "supports"]
