"""What answers of a model take of memory, foreseen from their lengths. Pure."""

from handler.frozen import dataclass

# Buffers are copied when sequences join others: old and new are there at once, rows are as long as the longest, and
# what was freed is not at once the system's. Measured with SmolLM2-135M: 1.1 times the KV for one answer of 8,000
# tokens, 2.1 times for four of 1,050.
_COPIES = 2.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Footprint:
    """In bytes. `position`: the KV of one token of one sequence; `logits`: those of one token."""

    position: int
    logits: int

    def needed(self, positions: int, sequences: int) -> int:
        """Of so many sequences of so many tokens each, at their peak."""
        return round(sequences * (positions * self.position * _COPIES + self._beside))

    def longest(self, nbytes: int, sequences: int) -> int:
        """How many tokens each of so many sequences may have in `nbytes`; 0: not even one."""
        return max(0, int((nbytes / sequences - self._beside) / (self.position * _COPIES)))

    @property
    def _beside(self) -> int:
        """What each sequence has besides: its own logits, and copies that are processed and sampled from."""
        return 4 * self.logits


NOTHING = Footprint(position=0, logits=0)  # where nobody counts
