"""From JSON to typed values: every effective field arrives, inert ones pass, all others are refused by name."""

import dataclasses

import pytest

from handler.api.chat_request import ChatRequest, read_chat_request
from handler.api.fields import FIELDS
from handler.api.formats import AnswerFormat
from handler.api.values import Json
from handler.chat.conversation import Conversation, Message, TemplateOptions
from handler.chat.tools import AllowedTools, ChatTools, NamedTool, Tool
from handler.engine.grammar import (
    ChoiceGrammar,
    GrammarSpec,
    JsonObjectGrammar,
    JsonSchemaGrammar,
    LarkGrammar,
    RegexGrammar,
)
from handler.engine.params import GenerationParams
from handler.errors import InvalidRequest

HI = Message(role="user", content="hi")
PLAIN = ChatRequest(
    model="m",
    conversation=Conversation(messages=(HI,)),
    params=GenerationParams(),
    template=TemplateOptions(),
    stream=False,
    include_usage=False,
)


def read(**more: Json) -> ChatRequest:
    return read_chat_request({"model": "m", "messages": [{"role": "user", "content": "hi"}], **more})


def params(**changes: object) -> ChatRequest:
    return dataclasses.replace(PLAIN, params=dataclasses.replace(GenerationParams(), **changes))


def template(**changes: object) -> ChatRequest:
    return dataclasses.replace(PLAIN, template=dataclasses.replace(TemplateOptions(), **changes))


def limited(grammar: GrammarSpec, path: str) -> ChatRequest:
    return dataclasses.replace(PLAIN, answer_format=AnswerFormat(grammar=grammar, path=path))


F: Json = {"name": "f"}
TOOL: Json = {"type": "function", "function": F}
TOOLS = (Tool(name="f"),)
CALLABLE = ChatTools(tools=TOOLS)

# One line per effective field: what is sent, and all that it changes.
EFFECTIVE: dict[str, tuple[dict[str, Json], ChatRequest]] = {
    "model": ({"model": "other"}, dataclasses.replace(PLAIN, model="other")),
    "messages": (
        {"messages": [{"role": "system", "content": "be brief"}]},
        dataclasses.replace(PLAIN, conversation=Conversation(messages=(Message(role="system", content="be brief"),))),
    ),
    "max_completion_tokens": ({"max_completion_tokens": 5}, params(max_tokens=5)),
    "max_tokens": ({"max_tokens": 5}, params(max_tokens=5)),
    "temperature": ({"temperature": 0}, params(temperature=0.0)),
    "top_p": ({"top_p": 0.5}, params(top_p=0.5)),
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
    "logprobs": ({"logprobs": True}, params(top_logprobs=0)),
    "top_logprobs": ({"logprobs": True, "top_logprobs": 20}, params(top_logprobs=20)),
    "n": ({"n": 2}, params(n=2)),
    "stream": ({"stream": True}, dataclasses.replace(PLAIN, stream=True)),
    "stream_options": (
        {"stream": True, "stream_options": {"include_usage": True}},
        dataclasses.replace(PLAIN, stream=True, include_usage=True),
    ),
    "chat_template_kwargs": (
        {"chat_template_kwargs": {"enable_thinking": False}},
        template(template_kwargs={"enable_thinking": False}),
    ),
    "add_generation_prompt": ({"add_generation_prompt": False}, template(add_generation_prompt=False)),
    "continue_final_message": (
        {"continue_final_message": True},
        template(add_generation_prompt=False, continue_final_message=True),
    ),
    "tools": ({"tools": [TOOL]}, dataclasses.replace(PLAIN, tools=CALLABLE)),
    "tool_choice": (
        {"tools": [TOOL], "tool_choice": "required"},
        dataclasses.replace(PLAIN, tools=dataclasses.replace(CALLABLE, choice="required")),
    ),
    "parallel_tool_calls": (
        {"tools": [TOOL], "parallel_tool_calls": False},
        dataclasses.replace(PLAIN, tools=dataclasses.replace(CALLABLE, parallel=False)),
    ),
    "functions": (
        {"functions": [F]},
        dataclasses.replace(PLAIN, tools=ChatTools(tools=TOOLS, parallel=False, legacy=True)),
    ),
    "function_call": (
        {"functions": [F], "function_call": F},
        dataclasses.replace(
            PLAIN, tools=ChatTools(tools=TOOLS, choice=NamedTool(name="f"), parallel=False, legacy=True)
        ),
    ),
    "response_format": (
        {"response_format": {"type": "json_object"}},
        limited(JsonObjectGrammar(), "response_format"),
    ),
    "structured_outputs": (
        {"structured_outputs": {"regex": "a+"}},
        limited(RegexGrammar("a+"), "structured_outputs.regex"),
    ),
    "prediction": (
        {"prediction": {"type": "content", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}},
        dataclasses.replace(PLAIN, prediction="a\nb"),
    ),
    "reasoning_effort": ({"reasoning_effort": "high"}, template(reasoning_effort="high")),
}


@pytest.mark.parametrize("name", [row.name for row in FIELDS if row.standing == "effective"])
def test_an_effective_field_arrives(name: str) -> None:
    sent, expected = EFFECTIVE[name]
    assert read(**sent) == expected
    assert expected != PLAIN


@pytest.mark.parametrize("name", [row.name for row in FIELDS if not row.required])
def test_null_means_absent(name: str) -> None:
    assert read(**{name: None}) == PLAIN


@pytest.mark.parametrize(
    "sent",
    [
        {"user": "u"},
        {"safety_identifier": "s" * 64},
        {"metadata": {"a": "b"}},
        {"prompt_cache_key": "k"},
        {"prompt_cache_retention": "24h"},
        {"store": False},
        {"service_tier": "auto"},
        {"service_tier": "default"},
    ],
    ids=str,
)
def test_an_inert_field_changes_nothing(sent: dict[str, Json]) -> None:
    assert read(**sent) == PLAIN


@pytest.mark.parametrize(
    "sent",
    [
        {"n": 1},
        {"response_format": {"type": "text"}},
        {"tools": []},
        {"tool_choice": "none"},
        {"tools": [], "tool_choice": "none"},
        {"parallel_tool_calls": True},
        {"functions": []},
        {"function_call": "none"},
        {"verbosity": "medium"},
        {"modalities": ["text"]},
        {"prompt_cache_options": {"mode": "implicit", "ttl": "30m"}},
        {"stream": False},
        {"temperature": 1},
        {"top_p": 1},
        {"top_k": 0},
        {"top_k": -1},
        {"logprobs": False},
        {"stop": []},
        {"stop": ""},
        {"logit_bias": {}},
        {"add_generation_prompt": True},
        {"continue_final_message": False},
    ],
    ids=str,
)
def test_a_field_at_its_default_is_never_rejected(sent: dict[str, Json]) -> None:
    assert read(**sent) == PLAIN


# At least one value of every rejected field.
REJECTED: list[tuple[str, Json, str]] = [
    ("tools", [{"type": "custom", "custom": {"name": "f"}}], "unsupported_value"),
    ("reasoning_effort", "extreme", "unsupported_value"),
    ("verbosity", "low", "unsupported_value"),
    ("modalities", ["text", "audio"], "unsupported_value"),
    ("audio", {"voice": "alloy", "format": "wav"}, "unsupported_parameter"),
    ("prediction", {"type": "tokens", "content": "x"}, "unsupported_value"),
    ("prediction", {"type": "content", "content": [{"type": "image_url"}]}, "unsupported_value"),
    ("web_search_options", {}, "unsupported_parameter"),
    ("moderation", {"model": "x"}, "unsupported_parameter"),
    ("prompt_cache_options", {"mode": "explicit"}, "unsupported_value"),
    ("structured_outputs", {"structural_tag": {}}, "unsupported_parameter"),
    ("structured_outputs", {"disable_any_whitespace": True}, "unsupported_value"),
    ("store", True, "unsupported_value"),
    ("service_tier", "flex", "unsupported_value"),
    ("service_tier", "priority", "unsupported_value"),
]


@pytest.mark.parametrize(("name", "value", "code"), REJECTED)
def test_a_rejected_field_is_named(name: str, value: Json, code: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read(**{name: value})
    assert caught.value.param is not None
    assert (caught.value.param.partition("[")[0].partition(".")[0], caught.value.code) == (name, code)
    assert name in caught.value.message


def test_every_rejected_row_is_proved() -> None:
    assert {row.name for row in FIELDS if row.standing == "rejected"} <= {name for name, _, _ in REJECTED}


@pytest.mark.parametrize(
    ("sent", "param"),
    [
        ({"max_tokens": 5, "max_completion_tokens": 6}, "max_tokens"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"n": 0}, "n"),
        ({"n": 9}, "n"),
        ({"n": 129}, "n"),
        ({"top_logprobs": 2}, "top_logprobs"),
        ({"top_logprobs": 2, "logprobs": False}, "top_logprobs"),
        ({"min_tokens": 6, "max_tokens": 5}, "min_tokens"),
        ({"stream_options": {"include_usage": True}}, "stream_options"),
        ({"stream": True, "stream_options": {"include_obfuscation": True}}, "stream_options.include_obfuscation"),
        ({"stream": True, "stream_options": {"include_usage": "yes"}}, "stream_options.include_usage"),
        ({"add_generation_prompt": True, "continue_final_message": True}, "continue_final_message"),
        ({"temperature": "0.7"}, "temperature"),
        ({"user": 1}, "user"),
        ({"model": None}, "model"),
        ({"messages": None}, "messages"),
        ({"messages": []}, "messages"),
        ({"tool_choice": "auto"}, "tool_choice"),
        ({"tools": [], "tool_choice": TOOL}, "tool_choice"),
        ({"parallel_tool_calls": False}, "parallel_tool_calls"),
        ({"function_call": "auto"}, "function_call"),
        ({"functions": [F], "tools": [TOOL]}, "functions"),
        ({"functions": [F], "tool_choice": "required"}, "tool_choice"),
        ({"tools": [TOOL], "function_call": "auto"}, "function_call"),
        ({"functions": [F], "parallel_tool_calls": False}, "parallel_tool_calls"),
        ({"structured_outputs": {}}, "structured_outputs"),
        ({"structured_outputs": {"json_object": False}}, "structured_outputs"),
        ({"structured_outputs": {"regex": "a", "choice": ["a"]}}, "structured_outputs"),
        ({"structured_outputs": {"choice": []}}, "structured_outputs.choice"),
        ({"structured_outputs": {"regex": "a"}, "response_format": {"type": "json_object"}}, "structured_outputs"),
        ({"tools": [{**TOOL, "x": 1}]}, "tools[0].x"),
        ({"tools": [{"type": "function", "function": {"name": "f", "x": 1}}]}, "tools[0].function.x"),
        ({"functions": [{"name": "f", "strict": True}]}, "functions[0].strict"),
        ({"tools": [TOOL], "tool_choice": {**TOOL, "x": 1}}, "tool_choice.x"),
        ({"function_call": {"name": "f", "x": 1}}, "function_call.x"),
        ({"response_format": {"type": "json_object", "schema": {}}}, "response_format.schema"),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "n", "x": 1}}},
            "response_format.json_schema.x",
        ),
        ({"structured_outputs": {"foo": 1}}, "structured_outputs.foo"),
        ({"prediction": "x"}, "prediction"),
        ({"prediction": {"content": "x"}}, "prediction.type"),
        ({"prediction": {"type": "content"}}, "prediction.content"),
        ({"prediction": {"type": "content", "content": 1}}, "prediction.content"),
        ({"prediction": {"type": "content", "content": []}}, "prediction.content"),
        ({"prediction": {"type": "content", "content": "x", "x": 1}}, "prediction.x"),
        (
            {"prediction": {"type": "content", "content": [{"type": "text", "text": "x", "x": 1}]}},
            "prediction.content[0].x",
        ),
        ({"prediction": {"type": "content", "content": "x"}, "n": 2}, "prediction"),
        ({"foo": 1}, "foo"),
        ({"Temperature": 1}, "Temperature"),
        ({"stream": True, "stream_options": {"foo": 1}}, "stream_options.foo"),
    ],
    ids=str,
)
def test_a_request_that_cannot_be_honoured_names_what_is_wrong(sent: dict[str, Json], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read(**sent)
    assert caught.value.param == param


@pytest.mark.parametrize(
    ("options", "spec"),
    [
        ({"json": {"type": "integer"}}, JsonSchemaGrammar({"type": "integer"})),
        ({"json_object": True, "regex": None}, JsonObjectGrammar()),
        ({"choice": ["a", "b"], "disable_any_whitespace": False}, ChoiceGrammar(("a", "b"))),
        ({"grammar": 'start: "a"'}, LarkGrammar('start: "a"')),
    ],
    ids=str,
)
def test_an_answer_is_limited_in_one_way(options: dict[str, Json], spec: GrammarSpec) -> None:
    assert read(structured_outputs=options) == limited(spec, f"structured_outputs.{next(iter(options))}")


def test_the_description_of_a_format_is_told_to_the_model() -> None:
    schema: Json = {"name": "ages", "description": "In years.", "schema": {"type": "object"}}
    asked = read(response_format={"type": "json_schema", "json_schema": schema})
    told = Message(role="system", content="Answer in the format ages: In years.")
    assert asked.conversation.messages == (told, HI)


def test_a_tool_choice_names_tools_by_their_whole_definition_or_by_name() -> None:
    choice: Json = {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [TOOL]}}
    asked = read(tools=[TOOL], tool_choice=choice)
    assert asked.tools == dataclasses.replace(CALLABLE, choice=AllowedTools(mode="required", names=("f",)))


def test_both_names_of_the_bound_may_agree() -> None:
    assert read(max_tokens=5, max_completion_tokens=5) == params(max_tokens=5)


def test_obfuscation_may_be_declined() -> None:
    assert read(stream=True, stream_options={"include_obfuscation": False}).include_usage is False


@pytest.mark.parametrize(("asked", "capped"), [(None, 10), (5, 5), (20, 10)])
def test_the_operators_cap_bounds_every_answer(asked: int | None, capped: int) -> None:
    body: dict[str, Json] = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "max_tokens": asked}
    assert read_chat_request(body, max_output_tokens=10) == params(max_tokens=capped)


def test_the_operators_cap_bounds_the_choices() -> None:
    body: dict[str, Json] = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "n": 3}
    assert read_chat_request(body, max_choices=3) == params(n=3)
    with pytest.raises(InvalidRequest, match="at most 2 choices"):
        read_chat_request(body, max_choices=2)


def test_unknown_keys_may_be_dropped_and_are_then_listed() -> None:
    body: dict[str, Json] = {
        "model": "m",
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "hi", "x": 1}], "y é": 1},
        ],
        "stream": True,
        "stream_options": {"z": 1},
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {"x": 1}, "cache": True}}],
        "foo": {"bar": 1},
    }
    asked = read_chat_request(body, unknown_fields="drop")
    dropped = (
        "foo",
        "stream_options.z",
        "tools[0].function.cache",
        "messages[0].y%20%C3%A9",
        "messages[0].content[0].x",
    )
    tools = ChatTools(tools=(Tool(name="f", parameters={"x": 1}),))
    assert asked == dataclasses.replace(PLAIN, stream=True, tools=tools, dropped=dropped)


def test_a_real_openai_field_is_never_dropped() -> None:
    body: dict[str, Json] = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "modalities": ["audio"]}
    with pytest.raises(InvalidRequest, match="'modalities'"):
        read_chat_request(body, unknown_fields="drop")


def test_a_body_of_the_responses_api_is_told_where_to_go() -> None:
    with pytest.raises(InvalidRequest, match="/v1/responses"):
        read_chat_request({"model": "m", "input": "hi"})


@pytest.mark.parametrize(
    "sent",
    [{"foo": None}, {"messages": [{"role": "user", "content": "hi", "tool_calls": None, "refusal": None}]}],
    ids=["a foreign key", "keys of another role"],
)
def test_null_means_absent_for_any_key(sent: dict[str, Json]) -> None:
    assert read(**{"messages": [{"role": "user", "content": "hi"}], **sent}) == read()
