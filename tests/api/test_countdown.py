"""When an answer has to end: by the clock, and by how long a step takes."""

from handler.api.answering import Countdown


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def asked_at(countdown: Countdown, clock: Clock, *times: float) -> list[bool]:
    answers = []
    for clock.now in times:
        answers.append(countdown())
    return answers


def test_without_a_deadline_it_is_never_over() -> None:
    clock = Clock()
    assert asked_at(Countdown(None, clock), clock, 1, 10, 1e9) == [False, False, False]


def test_it_is_over_at_the_deadline_and_stays_so() -> None:
    clock = Clock()
    assert asked_at(Countdown(10, clock), clock, 10, 0) == [True, True]


def test_it_is_over_where_another_step_would_come_too_late() -> None:
    clock = Clock()
    assert asked_at(Countdown(10, clock), clock, 3, 6, 7.9) == [False, False, False]
    clock.now = 0.0
    assert asked_at(Countdown(10, clock), clock, 3, 6, 8.5) == [False, False, True]


def test_a_long_pause_counts_as_a_step_of_five_seconds() -> None:
    clock = Clock()
    assert asked_at(Countdown(1000, clock), clock, 900) == [False]
