"""What a plan can fail with: always the reader's own files, never a bug to report."""


class DeploymentError(Exception):
    """samconfig.toml or the template cannot be deployed as it is; the message says what would work."""
