"""From JSON to typed values: every effective field arrives, inert ones pass, all others are refused by name."""

import dataclasses

import pytest

from handler.api.formats import AnswerFormat
from handler.api.responses.fields import FIELDS, NESTED_FIELDS
from handler.api.responses.request import ResponsesRequest, naming_own_fields, read_responses_request
from handler.api.values import Json, JsonObject
from handler.chat.conversation import Conversation, Message, TemplateOptions
from handler.chat.tools import ChatTools, NamedTool, Tool
from handler.engine.grammar import JsonObjectGrammar, JsonSchemaGrammar
from handler.engine.params import GenerationParams
from handler.errors import InvalidRequest

HI = Message(role="user", content="hi")
REPEATED: JsonObject = {
    "model": "m",
    "instructions": None,
    "max_output_tokens": None,
    "temperature": 1.0,
    "top_p": 1.0,
    "top_logprobs": 0,
    "text": {"format": {"type": "text"}, "verbosity": "medium"},
    "reasoning": {"effort": None, "summary": None},
    "tools": [],
    "tool_choice": "auto",
    "parallel_tool_calls": True,
    "metadata": {},
}
PLAIN = ResponsesRequest(
    model="m",
    conversation=Conversation(messages=(HI,)),
    params=GenerationParams(),
    template=TemplateOptions(),
    tools=None,
    answer_format=None,
    stream=False,
    repeated=REPEATED,
)
FUNCTION: JsonObject = {
    "type": "function",
    "name": "f",
    "description": None,
    "parameters": {"type": "object"},
    "strict": True,
}
TOOL = Tool(name="f", parameters={"type": "object"}, strict=True)
SCHEMA: JsonObject = {"type": "json_schema", "name": "s", "schema": {"type": "object"}, "strict": True}
LOGPROBS = ["message.output_text.logprobs"]


def read(**more: Json) -> ResponsesRequest:
    return read_responses_request({"model": "m", "input": "hi", **more})


def changed(repeated: JsonObject | None = None, **changes: object) -> ResponsesRequest:
    return dataclasses.replace(PLAIN, repeated={**REPEATED, **(repeated or {})}, **changes)


def params(repeated: JsonObject | None = None, **changes: object) -> ResponsesRequest:
    return changed(repeated, params=dataclasses.replace(GenerationParams(), **changes))


# One line per effective field: what is sent, and all that it changes.
EFFECTIVE: dict[str, tuple[dict[str, Json], ResponsesRequest]] = {
    "model": ({"model": "other"}, changed({"model": "other"}, model="other")),
    "input": ({"input": "ho"}, changed(conversation=Conversation(messages=(Message(role="user", content="ho"),)))),
    "instructions": (
        {"instructions": "be brief"},
        changed(
            {"instructions": "be brief"},
            conversation=Conversation(messages=(Message(role="system", content="be brief"), HI)),
        ),
    ),
    "max_output_tokens": ({"max_output_tokens": 5}, params({"max_output_tokens": 5}, max_tokens=5)),
    "temperature": ({"temperature": 0}, params({"temperature": 0.0}, temperature=0.0)),
    "top_p": ({"top_p": 0.5}, params({"top_p": 0.5}, top_p=0.5)),
    "include": ({"include": LOGPROBS}, params(top_logprobs=0)),
    "top_logprobs": ({"include": LOGPROBS, "top_logprobs": 20}, params({"top_logprobs": 20}, top_logprobs=20)),
    "stream": ({"stream": True}, changed(stream=True)),
    "stream_options": ({"stream": True, "stream_options": {"include_obfuscation": False}}, changed(stream=True)),
    "text": (
        {"text": {"format": {**SCHEMA, "description": None}}},
        changed(
            {"text": {"format": SCHEMA, "verbosity": "medium"}},
            answer_format=AnswerFormat(grammar=JsonSchemaGrammar({"type": "object"}), path="text.format.schema"),
        ),
    ),
    "tools": ({"tools": [FUNCTION]}, changed({"tools": [FUNCTION]}, tools=ChatTools(tools=(TOOL,)))),
    "tool_choice": (
        {"tools": [FUNCTION], "tool_choice": {"type": "function", "name": "f"}},
        changed(
            {"tools": [FUNCTION], "tool_choice": {"type": "function", "name": "f"}},
            tools=ChatTools(tools=(TOOL,), choice=NamedTool(name="f")),
        ),
    ),
    "parallel_tool_calls": (
        {"tools": [FUNCTION], "parallel_tool_calls": False},
        changed({"tools": [FUNCTION], "parallel_tool_calls": False}, tools=ChatTools(tools=(TOOL,), parallel=False)),
    ),
    "reasoning": (
        {"reasoning": {"effort": "low"}},
        changed({"reasoning": {"effort": "low", "summary": None}}, template=TemplateOptions(reasoning_effort="low")),
    ),
    "top_k": ({"top_k": 40}, params(top_k=40)),
    "min_p": ({"min_p": 0.1}, params(min_p=0.1)),
    "seed": ({"seed": -1}, params(seed=2**64 - 1)),
    "presence_penalty": ({"presence_penalty": -2}, params(presence_penalty=-2.0)),
    "frequency_penalty": ({"frequency_penalty": 1.5}, params(frequency_penalty=1.5)),
    "repetition_penalty": ({"repetition_penalty": 1.1}, params(repetition_penalty=1.1)),
    "logit_bias": ({"logit_bias": {"5": -100}}, params(logit_bias={5: -100.0})),
    "stop": ({"stop": ["a", "b"]}, params(stop=("a", "b"))),
    "stop_token_ids": ({"stop_token_ids": [7]}, params(stop_token_ids=(7,))),
    "ignore_eos": ({"ignore_eos": True}, params(ignore_eos=True)),
    "min_tokens": ({"min_tokens": 3}, params(min_tokens=3)),
    "chat_template_kwargs": (
        {"chat_template_kwargs": {"enable_thinking": False}},
        changed(template=TemplateOptions(template_kwargs={"enable_thinking": False})),
    ),
}


@pytest.mark.parametrize("name", [row.name for row in FIELDS if row.standing == "effective"])
def test_an_effective_field_arrives(name: str) -> None:
    sent, expected = EFFECTIVE[name]
    assert read(**sent) == expected
    assert expected != PLAIN


@pytest.mark.parametrize("name", [row.name for row in FIELDS if not row.required])
def test_null_means_absent(name: str) -> None:
    assert read(**{name: None}) == PLAIN


@pytest.mark.parametrize(("parent", "name"), [(p, row.name) for p, rows in NESTED_FIELDS.items() for row in rows])
def test_null_means_absent_within_objects_too(parent: str, name: str) -> None:
    assert read(stream=True, **{parent: {name: None}}) == changed(stream=True)


@pytest.mark.parametrize(
    ("sent", "repeated"),
    [
        ({"user": "u"}, True),
        ({"safety_identifier": "s" * 64}, True),
        ({"metadata": {"a": "b"}}, True),
        ({"prompt_cache_key": "k"}, True),
        ({"prompt_cache_retention": "24h"}, False),
        ({"store": False}, False),
        ({"service_tier": "auto"}, False),
        ({"service_tier": "default"}, False),
    ],
    ids=str,
)
def test_an_inert_field_changes_nothing_but_what_is_repeated(sent: dict[str, Json], repeated: bool) -> None:
    assert read(**sent) == changed(sent if repeated else None)


@pytest.mark.parametrize(
    "sent",
    [
        {"tools": []},
        {"tool_choice": "auto"},
        {"parallel_tool_calls": True},
        {"truncation": "disabled"},
        {"background": False},
        {"text": {"format": {"type": "text"}, "verbosity": "medium"}},
        {"reasoning": {"context": "auto", "mode": "standard"}},
        {"prompt_cache_options": {"mode": "implicit", "ttl": "30m"}},
        {"include": []},
        {"top_logprobs": 0},
        {"stream": False},
        {"temperature": 1},
        {"metadata": {}},
    ],
    ids=str,
)
def test_a_field_at_its_default_is_never_rejected(sent: dict[str, Json]) -> None:
    assert read(**sent) == PLAIN


# At least one value of every rejected field.
REJECTED: list[tuple[str, Json, str]] = [
    ("truncation", "auto", "unsupported_value"),
    ("background", True, "unsupported_value"),
    ("previous_response_id", "resp_1", "unsupported_parameter"),
    ("conversation", "conv_1", "unsupported_parameter"),
    ("prompt", {"id": "pmpt_1"}, "unsupported_parameter"),
    ("max_tool_calls", 3, "unsupported_parameter"),
    ("context_management", [{"type": "compaction"}], "unsupported_parameter"),
    ("moderation", {"model": "m"}, "unsupported_parameter"),
    ("prompt_cache_options", {"mode": "explicit"}, "unsupported_value"),
    ("access_programs", {"cyber": "standard"}, "unsupported_parameter"),
    ("background_options", {}, "unsupported_parameter"),
    ("image", {}, "unsupported_parameter"),
    ("store", True, "unsupported_value"),
    ("service_tier", "flex", "unsupported_value"),
    ("text.verbosity", "low", "unsupported_value"),
    ("reasoning.effort", "huge", "unsupported_value"),
    ("reasoning.summary", "auto", "unsupported_parameter"),
    ("reasoning.generate_summary", "auto", "unsupported_parameter"),
    ("reasoning.context", "all_turns", "unsupported_value"),
    ("reasoning.mode", "pro", "unsupported_value"),
    ("stream_options.include_obfuscation", True, "unsupported_value"),
]


@pytest.mark.parametrize(("path", "value", "code"), REJECTED)
def test_a_rejected_field_is_named(path: str, value: Json, code: str) -> None:
    parent, _, name = path.rpartition(".")
    sent: dict[str, Json] = {parent: {name: value}} if parent else {name: value}
    with pytest.raises(InvalidRequest) as caught:
        read(stream=True, **sent)
    assert (caught.value.param, caught.value.code) == (path, code)
    assert path in caught.value.message


def test_every_rejected_row_is_proved() -> None:
    rows = [*FIELDS, *(row for nested in NESTED_FIELDS.values() for row in nested)]
    assert {row.path for row in rows if row.standing == "rejected"} <= {path for path, _, _ in REJECTED}


@pytest.mark.parametrize(
    ("sent", "param"),
    [
        ({"max_output_tokens": 0}, "max_output_tokens"),
        ({"top_logprobs": 2}, "top_logprobs"),
        ({"include": ["reasoning.encrypted_content"]}, "include[0]"),
        ({"include": ["everything"]}, "include[0]"),
        ({"min_tokens": 6, "max_output_tokens": 5}, "min_tokens"),
        ({"stream_options": {}}, "stream_options"),
        ({"temperature": "0.7"}, "temperature"),
        ({"instructions": ["be brief"]}, "instructions"),
        ({"user": 1}, "user"),
        ({"model": None}, "model"),
        ({"input": None}, "input"),
        ({"input": []}, "input"),
        ({"input": [{"type": "reasoning", "id": "rs_1", "summary": []}]}, "input"),
        ({"parallel_tool_calls": 1}, "parallel_tool_calls"),
        ({"text": {"format": {"type": "yaml"}}}, "text.format.type"),
        ({"text": {"format": {"type": "json_schema", "name": "s"}}}, "text.format.schema"),
        ({"text": {"format": {"type": "json_schema", "schema": {}}}}, "text.format.name"),
        ({"text": {"format": {"type": "text", "schema": {}}}}, "text.format.schema"),
        ({"messages": []}, "messages"),
        ({"n": 1}, "n"),
        ({"tools": [{**FUNCTION, "x": 1}]}, "tools[0].x"),
        ({"tool_choice": {"type": "function", "name": "f", "x": 1}}, "tool_choice.x"),
        ({"text": {"foo": 1}}, "text.foo"),
        ({"reasoning": {"foo": 1}}, "reasoning.foo"),
        ({"input": [{"role": "user", "content": "hi", "name": "x"}]}, "input[0].name"),
        (
            {"input": [{"role": "user", "content": [{"type": "input_text", "text": "a", "x": 1}]}]},
            "input[0].content[0].x",
        ),
    ],
    ids=str,
)
def test_a_request_that_cannot_be_honoured_names_what_is_wrong(sent: dict[str, Json], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read(**sent)
    assert caught.value.param == param


@pytest.mark.parametrize(("asked", "capped"), [(None, 10), (5, 5), (20, 10)])
def test_the_operators_cap_bounds_every_answer(asked: int | None, capped: int) -> None:
    body: dict[str, Json] = {"model": "m", "input": "hi", "max_output_tokens": asked}
    asked_for = read_responses_request(body, max_output_tokens=10)
    assert asked_for == params({"max_output_tokens": asked}, max_tokens=capped)


def test_any_json_object() -> None:
    asked = read(text={"format": {"type": "json_object"}})
    repeated: JsonObject = {"text": {"format": {"type": "json_object"}, "verbosity": "medium"}}
    assert asked == changed(repeated, answer_format=AnswerFormat(grammar=JsonObjectGrammar(), path="text.format"))


def test_what_a_format_is_for_is_told_to_the_model_first() -> None:
    asked = read(text={"format": {**SCHEMA, "description": "for a test"}}, instructions="be brief")
    assert asked.conversation.messages == (
        Message(role="system", content="Answer in the format s: for a test"),
        Message(role="system", content="be brief"),
        HI,
    )


def test_without_tools_there_is_nothing_to_choose_or_to_run_in_parallel() -> None:
    sent: JsonObject = {"tool_choice": "none", "parallel_tool_calls": False}
    assert read(**sent) == changed(sent)


@pytest.mark.parametrize(
    ("param", "own"),
    [
        ("messages", "input"),
        ("tools[3].function.parameters.properties.x", "tools[3].parameters.properties.x"),
        ("reasoning_effort", "reasoning.effort"),
        ("logit_bias", "logit_bias"),
        (None, None),
    ],
)
def test_what_the_chat_service_refuses_bears_the_names_of_this_api(param: str | None, own: str | None) -> None:
    with pytest.raises(InvalidRequest) as caught, naming_own_fields():
        raise InvalidRequest(f"Not '{param}'.", param=param)
    assert (caught.value.param, caught.value.message) == (own, f"Not '{own}'.")


def test_unknown_keys_may_be_dropped_and_are_then_listed() -> None:
    part: Json = {"type": "input_text", "text": "hi", "x": 1}
    body: dict[str, Json] = {
        "model": "m",
        "input": [{"role": "user", "content": [part], "y": 1}],
        "text": {"z": 1},
        "client_metadata": {"a": 1},
    }
    asked = read_responses_request(body, unknown_fields="drop")
    assert asked == changed(dropped=("client_metadata", "text.z", "input[0].y", "input[0].content[0].x"))
