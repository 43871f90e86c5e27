"""The columns of the fault table."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from tests.faults.asking import Ending
from tests.faults.stage import Place, Setup, Stage
from tests.faults.worlds import MakeWorld, World

Fate = Literal["the same", "a new one", "exits 0"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One fault. `inject` brings it about, `injected` says how, and its result is how the answer that it hit ended.

    endings: what is expected, by the places where the fault is tried.
    log: each is a line of the log, as its text or as the facts that a record of it has among others.
    process: which one gives the next answer.
    settings, limit, wrapper: of the stage, as `Setup` has them; `limit` in seconds.
    world: what the stage depends on. It is mended after the fault, before the next question.
    """

    fault: str
    injected: str
    inject: Callable[[Stage], Ending]
    endings: Mapping[Place, Ending]
    log: tuple[str | Mapping[str, object], ...] = ()
    process: Fate = "the same"
    settings: Mapping[str, str] = field(default_factory=dict)
    limit: float = 60.0
    snapstart: bool = False
    wrapper: tuple[str, ...] = ()
    world: MakeWorld | None = None

    def setup(self, place: Place, world: World | None = None) -> Setup:
        """The stage for it."""
        settings = self.settings if world is None else {**self.settings, **world.settings}
        return Setup(
            place=place,
            settings=tuple(sorted(settings.items())),
            limit=self.limit,
            snapstart=self.snapstart,
            wrapper=self.wrapper,
        )
