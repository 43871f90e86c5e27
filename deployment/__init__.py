"""What `sam deploy` would create, worked out here: no AWS account, no network, no engine.

`template.yaml` → translated by SAM's own translator → parameters, conditions and rules evaluated → `Plan`. It runs in
the SAM CLI's environment (`.venv-tools`), and needs nothing that is not there.
"""
