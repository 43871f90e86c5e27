"""Answers driven in rounds, without threads: what the engine's thread does, step by step."""

from collections.abc import Generator, Sequence
from typing import TypeVar

from handler.engine.rounds import Rounds
from handler.engine.step import Step

T = TypeVar("T")


def together(answers: Sequence[Generator[T, None, None]], starts: Sequence[int] = ()) -> tuple[list[list[T]], int]:
    """The events of each answer but its Steps, and how many rounds it took. `starts`: the rounds in which they come;
    those that are not named come at once."""
    events: list[list[T]] = [[] for _ in answers]
    begins = [*starts, *[0] * (len(answers) - len(starts))]
    steps: dict[int, Step] = {}
    ended: set[int] = set()
    rounds, count = Rounds(), 0
    while len(ended) < len(answers):
        for index, answer in enumerate(answers):
            if index in ended or begins[index] > count or (index in steps and not steps[index].is_over):
                continue
            steps.pop(index, None)
            for event in answer:
                if isinstance(event, Step):
                    steps[index] = event
                    break
                events[index].append(event)
            else:
                ended.add(index)
        if steps:
            rounds.run([*steps.values()])
        count += 1
    return events, count
