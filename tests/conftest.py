"""Settings for every test: properties try the same examples on every run, however slow the machine is."""

import os

from hypothesis import settings

# As the server and the exporter do: no test reports to the makers of onnxruntime.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

settings.register_profile("repeatable", deadline=None, derandomize=True)
settings.load_profile("repeatable")
