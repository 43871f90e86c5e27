"""What a chat template can do with tools, found by rendering short conversations once, not by reading its source. Pure.

Templates differ: some are told the functions as `tools`, some show calls and results and some silently skip them; some
want a call's arguments as an object and some as text, some refuse ids that are not nine characters long, some refuse
two calls in one turn.
"""

import itertools
import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from handler.chat.conversation import ToolCall
from handler.chat.dialects import detect, generic, revealed
from handler.chat.dialects.call_format import CallFormat
from handler.chat.dialects.facts import Facts
from handler.chat.template import ChatTemplate, TemplateMessage, TemplateRefusal

_LONG_ID: Final = "call_0123456789abcdef01234567"  # as long as ours
_SAID: Final = "probe answer"
_BESIDE: Final = "probe remark"
_RESULT: Final = "probe result"
_TOOL: Final = {
    "type": "function",
    "function": {
        "name": "probe_function",
        "description": "probe description",
        "parameters": {"type": "object", "properties": {"probe_argument": {"type": "string"}}},
    },
}


@dataclass(frozen=True, kw_only=True)
class ToolAbilities:
    """What the template shows: `tools`, `calls`, `results`; `several_calls` in one turn; `text_beside_calls`, what else
    a turn with calls says. `form` is the model's dialect. `text_arguments`: the template wants arguments as JSON text;
    `short_ids`: ids of nine characters; `null_content`: no content where a turn only calls, else it is an empty text.
    """

    form: CallFormat
    tools: bool = False
    calls: bool = False
    results: bool = False
    several_calls: bool = False
    text_beside_calls: bool = False
    text_arguments: bool = False
    short_ids: bool = False
    null_content: bool = False


def probe_tools(
    template: ChatTemplate, control_tokens: Mapping[str, int], end_token_ids: Collection[int]
) -> ToolAbilities:
    """Finds a template's abilities. Raises ArtifactError if it is not Jinja."""
    end_tokens = [token for token, token_id in control_tokens.items() if token_id in end_token_ids]
    shows_tools = _shows_tools(template)
    for text_arguments, short_ids, null in itertools.product((False, True), (False, True), (True, False)):
        ways = {"text_arguments": text_arguments, "short_ids": short_ids}
        nothing = None if null else ""
        one = _render_calls(template, revealed.CALLS[:1], nothing, **ways)
        if one is None or (null and "None" in one) or not _shows(one, revealed.CALLS[0]):
            continue
        two = _render_calls(template, revealed.CALLS, nothing, **ways)
        if two is not None and not all(_shows(two, call) for call in revealed.CALLS):
            two = None
        beside = _render_calls(template, revealed.CALLS[:1], _BESIDE, **ways)
        said = _render(template, [_question(), {"role": "assistant", "content": _SAID}, _question(2)])
        shown = None
        if said is not None and _SAID in said:
            shown = revealed.reveal(said, _SAID, one, two, end_tokens)
        form = detect(Facts(source=template.source, revealed=shown, control_tokens=control_tokens))
        return ToolAbilities(
            form=form or generic.GENERIC,
            tools=shows_tools and form is not None,
            calls=True,
            results=_names_tools(template) and _RESULT in one,
            several_calls=two is not None,
            text_beside_calls=beside is not None and _BESIDE in beside,
            text_arguments=text_arguments,
            short_ids=short_ids,
            null_content=null,
        )
    form = detect(Facts(source=template.source, revealed=None, control_tokens=control_tokens))
    results = _render(
        template, [_question(), {"role": "assistant", "content": _SAID}, _result("call00001"), _question(2)]
    )
    return ToolAbilities(
        form=form or generic.GENERIC,
        tools=shows_tools and form is not None,
        results=_names_tools(template) and results is not None and _RESULT in results,
    )


def _shows_tools(template: ChatTemplate) -> bool:
    prompt = _render(template, [_question()])
    return prompt is not None and all(word in prompt for word in ("probe_function", "probe_argument"))


def _names_tools(template: ChatTemplate) -> bool:
    """Most templates print any role's name; only one that names this role was made for it."""
    return re.search(r"""(["'])tool\1""", template.source) is not None


def _render_calls(
    template: ChatTemplate, calls: Sequence[ToolCall], text: str | None, *, text_arguments: bool, short_ids: bool
) -> str | None:
    ids = {call.id: call.id if short_ids else _LONG_ID[: -len(call.id)] + call.id for call in calls}
    written = [
        {
            "id": ids[call.id],
            "type": "function",
            "function": {
                "name": call.name,
                "arguments": call.arguments if text_arguments else json.loads(call.arguments),
            },
        }
        for call in calls
    ]
    turns: list[TemplateMessage] = [_question(), {"role": "assistant", "content": text, "tool_calls": written}]
    turns += [_result(call_id) for call_id in ids.values()]
    turns += [{"role": "assistant", "content": _SAID}, _question(2)]
    return _render(template, turns)


def _question(number: int = 1) -> TemplateMessage:
    return {"role": "user", "content": f"probe question {number}"}


def _result(call_id: str) -> TemplateMessage:
    return {"role": "tool", "content": _RESULT, "tool_call_id": call_id, "name": "probe_call"}


def _render(template: ChatTemplate, turns: Sequence[TemplateMessage]) -> str | None:
    try:
        return template.render(turns, add_generation_prompt=True, tools=[_TOOL])
    except TemplateRefusal:
        return None


def _shows(prompt: str, call: ToolCall) -> bool:
    """Whether the call is there, its arguments as JSON: not as Python writes a dict, nor JSON within JSON."""
    return revealed.locate(prompt, call) is not None
