"""Runs the cases of one client and prints `{case: null or what went wrong}`; pytest reads it.

Called as `python CLIENT.py BASE_URL KEY MODEL`, in an environment that has the client and not our code.
"""

import inspect
import json
import sys
import traceback
from typing import Literal

import pydantic

BASE_URL, KEY, MODEL = sys.argv[1:]

QUESTION = "What is the capital of France?"
# At temperature 0 the default model answers this; it is small, so nothing else is asked of what it knows.
CAPITAL = "Paris"


class Paint(pydantic.BaseModel, extra="forbid"):
    """A paint to buy. Everything about it is bounded, so that an answer of some dozen tokens is whole."""

    colour: Literal["red", "green", "blue"]
    litres: Literal[1, 2, 5]
    glossy: bool


def run(*cases) -> None:
    """Calls each case, awaiting what has to be awaited."""
    verdicts = {}
    for case in cases:
        try:
            outcome = case()
            if inspect.isawaitable(outcome):
                import asyncio

                asyncio.run(outcome)
            verdicts[case.__name__] = None
        except BaseException:
            verdicts[case.__name__] = traceback.format_exc()
    print("\n" + json.dumps(verdicts))
