"""The engine: from prompt token ids to typed text events. Pure: no I/O, no HTTP, no onnxruntime."""
