"""What the caller has to change: a message that says what would have worked."""


class CannotEstimate(Exception):
    """Raised with a message for the person at the terminal."""
