"""`system_fingerprint`: a short name for everything on our side that can change an answer. Pure."""

import hashlib
import json

from handler.manifest import ModelManifest


def fingerprint(manifest: ModelManifest, graph_file: str, engine_version: str) -> str:
    """`fp_` and ten hexadecimal digits, from the hashes of weights, tokenizer and template, the graph that
    runs of those that the model has, and the engine's version.

    Two servers with the same fingerprint answer the same request with the same seed alike.
    """
    files = {name: entry.sha256 for name, entry in sorted(manifest.files.items())}
    told = json.dumps([files, manifest.end_token_ids, manifest.context_window, graph_file, engine_version])
    return "fp_" + hashlib.sha256(told.encode()).hexdigest()[:10]
