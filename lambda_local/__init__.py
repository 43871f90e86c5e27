"""A local Lambda without Docker: a streaming Function URL, and the real Runtime Interface Emulator for `invoke`.

    python -m lambda_local                      a Function URL on http://127.0.0.1:9000 that streams
    python -m lambda_local.invoke EVENT.json    one event through AWS's own emulator, as `sam local invoke` would

The way of one request through the first:

    front.py ─ event.py ─→ environment.py ─→ runtime_api.py ─→ the runtime's process (process.py)
       ↑                                          │
       └── invocation.py (parts, in order) ←── prelude.py, response.py
"""
