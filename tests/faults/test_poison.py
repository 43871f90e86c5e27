"""Poisoned requests, on the real model behind the Function URL: no 5xx, no hang, and the same process answers on."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.asking import Ending, the_next_answer
from tests.faults.poison import POISON
from tests.faults.stage import Setup, Stage, opened


@pytest.fixture(scope="module")
def stage(default_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with opened(Setup(place="stream"), default_model, tmp_path_factory.mktemp("poison") / "log") as stage:
        yield stage


@pytest.mark.parametrize("name", POISON)
def test_a_poisoned_request_is_answered_and_the_process_lives(stage: Stage, name: str) -> None:
    path, body = POISON[name]
    before = stage.pid()
    response = stage.client.post(path, content=body, headers={"content-type": "application/json"})
    assert response.status_code < 500, response.text
    if response.status_code == 400:
        assert response.json()["error"]["message"]
    assert stage.pid() == before


def test_the_next_request_works(stage: Stage) -> None:
    assert the_next_answer(stage) == Ending(status=200, finish_reason="stop")
    assert '"stack"' not in stage.log.read_text()
