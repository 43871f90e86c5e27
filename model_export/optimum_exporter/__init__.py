"""The optimum exporter: any decoder and any encoder that optimum knows, traced by torch, stored as the recipe says.

Slower to export and to run than the direct exporter, and the oracle that the direct graphs are tested against.
"""

from model_export.optimum_exporter.build import build

__all__ = ["build"]
