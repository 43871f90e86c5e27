"""What of the process's memory is spoken for: loaded models, and answers in flight with all that they may grow to.

What prompts may go on from (the prefix cache) has what is left over, and yields to both.
"""

import threading

# As much as there is, for whoever knows no limit: 2⁶² bytes.
UNLIMITED = 1 << 62


class Ledger:
    """Counts bytes. Thread-safe."""

    def __init__(self, capacity: int = UNLIMITED) -> None:
        """`capacity`: bytes for models and answers together."""
        self.capacity = capacity
        self._taken = 0
        self._lock = threading.Lock()

    @property
    def free(self) -> int:
        """Bytes that nobody has taken."""
        return self.capacity - self._taken

    def take(self, nbytes: int) -> bool:
        """Takes so many bytes, or none: then False."""
        with self._lock:
            if nbytes > self.capacity - self._taken:
                return False
            self._taken += nbytes
            return True

    def give(self, nbytes: int) -> None:
        """They are free again."""
        with self._lock:
            self._taken -= nbytes
