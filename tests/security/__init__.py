"""The product under attack: one file for each kind, all listed in docs/security.md."""
