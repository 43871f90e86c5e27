"""What the template reveals: a dialect read off a conversation with calls, rendered by the model's own template.

The fixed texts around two known names and two known arguments are the dialect, whatever it is called.
"""

import json
import re
from collections.abc import Iterable
from typing import Final

from handler.chat.conversation import ToolCall
from handler.chat.dialects.call_format import CallFormat
from handler.chat.dialects.facts import Facts
from handler.frozen import dataclass

CALLS: Final = (
    ToolCall(id="call00001", name="probe_call", arguments='{"probe_key": "probe value"}'),
    ToolCall(id="call00002", name="other_call", arguments='{"other_key": "other value"}'),
)


def reveal(said: str, text: str, one: str, two: str | None, end_tokens: Iterable[str]) -> CallFormat | None:
    """The dialect, or None where it is not fixed texts around names and JSON.

    `said`, `one` and `two` are the same conversation up to a turn in which the assistant says `text`, makes the first
    of CALLS, or both. `two` None: the template does not show two calls in one turn. A turn ends with an `end_tokens`.
    """
    first = locate(one, CALLS[0])
    if first is None:
        return None
    begin_at = _common(said[: said.index(text)], one)
    tail = _until(one[first.end :], end_tokens)
    if tail is None or begin_at > first.name:
        return None
    following = None
    if two is not None:
        again = locate(two, CALLS[0])
        second = None if again is None else locate(two, CALLS[1], again.end)
        if again is None or second is None:
            return None
        following = _without_id(two[again.end : second.name])
    form = CallFormat(
        begin=(_without_id(one[begin_at : first.name]).lstrip(),),
        to_arguments=one[first.name + len(CALLS[0].name) : first.arguments],
        next=following,
        end=_without_id(tail),
    )
    return form if _is_fixed(form) else None


def detect(facts: Facts) -> CallFormat | None:
    return facts.revealed


@dataclass(frozen=True, slots=True)
class Located:
    """Where a call stands in a prompt: its name, and its arguments from beginning to end."""

    name: int
    arguments: int
    end: int


def locate(prompt: str, call: ToolCall, start: int = 0) -> Located | None:
    """The first place from `start` on where the call's name is followed by its arguments as JSON."""
    name = prompt.find(call.name, start)
    if name < 0:
        return None
    wanted = json.loads(call.arguments)
    for brace in re.finditer(r"\{", prompt[name:]):
        at = name + brace.start()
        try:
            value, end = json.JSONDecoder().raw_decode(prompt, at)
        except ValueError:
            continue
        if value == wanted:
            return Located(name, at, end)
    return None


def _common(a: str, b: str) -> int:
    """How many characters both begin with."""
    return next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))


def _until(text: str, end_tokens: Iterable[str]) -> str | None:
    ends = [text.find(token) for token in end_tokens if token in text]
    return text[: min(ends)] if ends else None


def _without_id(text: str) -> str:
    """Models need not write a call's id: the caller gets one of ours."""
    for call in CALLS:
        text = re.sub(rf',\s*"id":\s*"\w*{call.id}"|"id":\s*"\w*{call.id}",\s*', "", text)
    return text


def _is_fixed(form: CallFormat) -> bool:
    texts = [*form.begin, form.to_arguments, form.next or "", form.end]
    told = [part for call in CALLS for part in (call.id, call.name)]
    if any(part in text for part in told for text in texts):
        return False
    return bool(form.begin[0] and form.to_arguments) and not re.match(r"[a-zA-Z0-9_-]", form.to_arguments)
