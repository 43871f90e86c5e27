"""Grammars: what an answer may be limited to, token by token. The only importer of llguidance."""
