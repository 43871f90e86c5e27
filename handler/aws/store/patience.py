"""How often and after which pauses a read is tried again. Pure but for the die that it throws."""

from random import SystemRandom

from handler.frozen import dataclass

_dice = SystemRandom()


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """`attempts` for each part, the first included; pauses in seconds.

    They double, and a die cuts up to half of them off, so that the threads of many cold starts do not come back at
    once: https://aws.amazon.com/builders-library/timeouts-retries-and-backoff-with-jitter/
    """

    attempts: int = 8
    first_pause: float = 0.1
    longest_pause: float = 2.0

    def pause(self, failures: int) -> float:
        """Seconds to wait after so many failures, at least one."""
        doubled = self.first_pause * float(2 ** (failures - 1))
        return min(self.longest_pause, doubled) * _dice.uniform(0.5, 1)
