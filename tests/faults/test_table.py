"""Every row of the fault table, at every place that it names: the expected ending, the log, and the next request."""

from collections.abc import Iterator
from contextlib import ExitStack, nullcontext
from pathlib import Path

import pytest

from tests.faults.asking import Ending, the_next_answer
from tests.faults.row import Row
from tests.faults.stage import Place, Setup, Stage, opened
from tests.faults.table import TABLE
from tests.faults.worlds import World

# Those that need the same stage follow one another: it is started once for all of them.
CASES = sorted(((row, place) for row in TABLE for place in row.endings), key=lambda case: repr(case[0].setup(case[1])))


class Stages:
    """One stage at a time: each holds a model."""

    def __init__(self, model: Path, logs: Path) -> None:
        self._model = model
        self._logs = logs
        self._open = ExitStack()
        self._stage: Stage | None = None

    def get(self, setup: Setup) -> Stage:
        if self._stage is None or self._stage.setup != setup or not self._stage.usable():
            self.close()
            log = self._logs / str(len(list(self._logs.iterdir())))
            self._stage = self._open.enter_context(opened(setup, self._model, log))
        if self._stage.alive() is None:
            self._stage.ask_health()
        self._stage.since()
        return self._stage

    def close(self) -> None:
        self._stage = None
        self._open.close()


@pytest.fixture(scope="module")
def stages(default_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stages]:
    stages = Stages(default_model, tmp_path_factory.mktemp("logs"))
    yield stages
    stages.close()


@pytest.fixture
def world(row: Row, default_model: Path) -> Iterator[World | None]:
    """What the row's stage depends on; most depend on nothing."""
    with nullcontext() if row.world is None else row.world(default_model) as world:
        yield world


@pytest.mark.parametrize(("row", "place"), CASES, ids=[f"{row.fault}-{place}" for row, place in CASES])
def test_a_fault_ends_as_the_table_says(stages: Stages, row: Row, place: Place, world: World | None) -> None:
    stage = stages.get(row.setup(place, world))
    before = stage.alive()
    assert row.inject(stage) == row.endings[place], stage.logged()
    for wanted in row.log:
        if isinstance(wanted, str):
            stage.line(wanted)
        else:
            stage.record(wanted)
    if row.process == "exits 0":
        assert stage.exit_code() == 0
        if place == "laptop":
            return
    if world is not None:
        world.mend()
        if world.key is not None:
            stage.client.headers["authorization"] = f"Bearer {world.key}"
    assert the_next_answer(stage) == Ending(status=200, finish_reason="stop")
    assert (stage.pid() == before) == (row.process == "the same")
