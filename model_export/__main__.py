"""`python -m model_export`."""

import os
import sys

if __name__ == "__main__":
    # Read when onnxruntime is imported: its official builds report each process and model to their makers.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    from model_export.cli import main

    sys.exit(main())
