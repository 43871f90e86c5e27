"""Facts about the start's timeline: phases follow one another and add up; what lies beside them does not count."""

import json
import time
from itertools import chain
from pathlib import Path

import pytest

from handler.timeline import Timeline, process_age


class Clock:
    """Answers the given seconds, one after the other."""

    def __init__(self, *seconds: float) -> None:
        self._seconds = chain(seconds)

    def __call__(self) -> float:
        return next(self._seconds)


def test_phases_add_up_to_the_total() -> None:
    timeline = Timeline(age=0.5, clock=Clock(100.0, 100.0, 100.25, 101.0))
    timeline.end("interpreter")
    timeline.end("settings")
    timeline.end("app")
    assert json.loads(timeline.to_json()) == {
        "event": "ready",
        "total_ms": 1500,
        "phases_ms": {"interpreter": 500, "settings": 250, "app": 750},
        "beside_ms": {},
    }


def test_what_other_threads_do_has_a_begin_and_an_end_and_is_told_by_its_begin() -> None:
    timeline = Timeline(clock=Clock(0.0, 0.2, 0.1, 0.3, 0.4, 0.5))
    with timeline.beside("late"), timeline.beside("early"):
        pass
    timeline.end("app")
    told = json.loads(timeline.to_json())
    assert list(told["beside_ms"].items()) == [("early", [100, 300]), ("late", [200, 400])]
    assert (told["total_ms"], told["phases_ms"]) == (500, {"app": 500})


def test_a_count_is_told_by_its_name() -> None:
    timeline = Timeline(clock=Clock(0.0, 0.5))
    timeline.count("store_bytes", 7)
    timeline.end("app")
    assert json.loads(timeline.to_json()) == {
        "event": "ready",
        "total_ms": 500,
        "phases_ms": {"app": 500},
        "beside_ms": {},
        "store_bytes": 7,
    }


def test_what_fails_beside_is_not_told() -> None:
    timeline = Timeline(clock=Clock(0.0, 0.1, 0.2))
    with pytest.raises(ValueError, match="no"), timeline.beside("session"):
        raise ValueError("no")
    timeline.end("app")
    assert json.loads(timeline.to_json())["beside_ms"] == {}


def test_the_process_is_as_old_as_its_start_says() -> None:
    first = process_age()
    time.sleep(0.05)
    second = process_age()
    if Path("/proc/self/stat").exists():
        assert first is not None
        assert second is not None
        assert 0.03 < second - first < 60
    else:
        assert (first, second) == (None, None)
