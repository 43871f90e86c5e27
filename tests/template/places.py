"""Where things are."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
TOOLS_PYTHON = str(ROOT / ".venv-tools" / "bin" / "python")
SAM = str(ROOT / ".venv-tools" / "bin" / "sam")
NODE = str(ROOT / ".venv-clients" / "bin" / "node")
