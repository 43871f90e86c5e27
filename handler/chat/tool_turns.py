"""Fits tools, calls and results to what a template can show, so that nothing of them is lost on the way. Pure.

What the template shows is left to it. The rest becomes text: the functions a system message, calls the text of the
turn that made them, results users' messages.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import replace

from handler.chat.conversation import Message
from handler.chat.dialects import generic
from handler.chat.folding import SEPARATOR
from handler.chat.tool_abilities import ToolAbilities
from handler.chat.tools import Tool

_ID_LENGTH = 9


def template_tool(tool: Tool) -> dict[str, object]:
    """A function as chat templates know it."""
    parameters = {"type": "object", "properties": {}} if tool.parameters is None else dict(tool.parameters)
    function = {"name": tool.name, "description": tool.description or "", "parameters": parameters}
    return {"type": "function", "function": function}


def fold_tools(messages: Sequence[Message], tools: Sequence[Tool], abilities: ToolAbilities) -> tuple[Message, ...]:
    """The same conversation in turns that the template shows; with the functions, where it does not show those."""
    turns = _named_results(messages)
    if abilities.calls:
        if not abilities.text_beside_calls:
            turns = [part for turn in turns for part in _text_apart(turn)]
        if not abilities.several_calls:
            turns = _one_call_each(turns)
        if abilities.short_ids:
            turns = [_short_ids(turn) for turn in turns]
    else:
        turns = [_call_text(turn, abilities) for turn in turns]
    if not abilities.results:
        turns = [_result_text(turn) for turn in turns]
    if tools and not abilities.tools:
        turns = _instructed(turns, generic.instruction([template_tool(tool) for tool in tools], abilities.form))
    return tuple(turns)


def _named_results(messages: Sequence[Message]) -> list[Message]:
    """Results with the name of the function: some templates show that instead of the id."""
    names = {call.id: call.name for turn in messages for call in turn.tool_calls}
    return [
        replace(turn, name=names.get(turn.tool_call_id or "")) if turn.role == "tool" and turn.name is None else turn
        for turn in messages
    ]


def _text_apart(turn: Message) -> list[Message]:
    """What a turn with calls says else, in a turn of its own before it."""
    if not (turn.tool_calls and turn.content):
        return [turn]
    return [replace(turn, tool_calls=()), Message(role="assistant", name=turn.name, tool_calls=turn.tool_calls)]


def _one_call_each(messages: Sequence[Message]) -> list[Message]:
    """Each call in a turn of its own, its result right after it."""
    turns: list[Message] = []
    rest = list(messages)
    while rest:
        turn = rest.pop(0)
        if len(turn.tool_calls) < 2:
            turns.append(turn)
            continue
        for position, call in enumerate(turn.tool_calls):
            first = turn if position == 0 else Message(role="assistant")
            turns.append(replace(first, tool_calls=(call,)))
            result = next((later for later in rest if later.role == "tool" and later.tool_call_id == call.id), None)
            if result is not None:
                rest.remove(result)
                turns.append(result)
    return turns


def _short_ids(turn: Message) -> Message:
    return replace(
        turn,
        tool_calls=tuple(replace(call, id=_short(call.id)) for call in turn.tool_calls),
        tool_call_id=None if turn.tool_call_id is None else _short(turn.tool_call_id),
    )


def _short(call_id: str) -> str:
    if len(call_id) == _ID_LENGTH and call_id.isascii() and call_id.isalnum():
        return call_id
    return hashlib.sha256(call_id.encode()).hexdigest()[:_ID_LENGTH]


def _call_text(turn: Message, abilities: ToolAbilities) -> Message:
    if not turn.tool_calls:
        return turn
    texts = (turn.content or turn.refusal, abilities.form.write(turn.tool_calls))
    return replace(turn, content="\n".join(text for text in texts if text), tool_calls=())


def _result_text(turn: Message) -> Message:
    if turn.role != "tool":
        return turn
    return Message(role="user", content=generic.result(turn.content or ""))


def _instructed(turns: list[Message], instruction: str) -> list[Message]:
    first = turns[0]
    if first.role not in ("system", "developer"):
        return [Message(role="system", content=instruction), *turns]
    texts = (first.content, instruction)
    return [replace(first, content=SEPARATOR.join(text for text in texts if text)), *turns[1:]]
