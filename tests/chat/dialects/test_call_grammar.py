"""Every answer that a grammar allows is text or valid calls: proved by answers drawn at random."""

import json

import pytest

from handler.chat.conversation import Conversation, Message
from handler.chat.deltas import ChatEvent, Stopped, TextDelta, ToolCallArguments, ToolCallStart
from handler.chat.tools import AllowedTools, ChatTools, NamedTool, Tool, ToolChoice
from handler.engine.grammar import (
    ChoiceGrammar,
    GrammarSpec,
    JsonObjectGrammar,
    JsonSchemaGrammar,
    LarkGrammar,
    RegexGrammar,
)
from handler.engine.params import GenerationParams
from handler.errors import InvalidRequest, UnsupportedValue
from tests.chat.speaking import MODELS, RandomDecoder, service_of

CITY = {
    "type": "object",
    "properties": {"city": {"enum": ["Paris", "Rome"]}, "days": {"type": "integer", "minimum": 1, "maximum": 9}},
    "required": ["city"],
}
WEATHER, STOP = Tool(name="get_weather", parameters=CITY), Tool(name="get")
ASKED = Conversation(messages=(Message(role="user", content="Paris?"),))


def answer(
    name: str, tools: ChatTools, seed: int, response_format: GrammarSpec | None = None, limit: int = 300
) -> list[ChatEvent]:
    service = service_of(name, RandomDecoder(MODELS[name][1], seed))
    params = GenerationParams(temperature=1, seed=seed, max_tokens=limit)
    return list(service.prepare(ASKED, params, tools=tools, response_format=response_format).events())


def text_of(events: list[ChatEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


def calls_of(events: list[ChatEvent]) -> list[tuple[str, str]]:
    starts = [event for event in events if isinstance(event, ToolCallStart)]
    assert [start.call for start in starts] == list(range(len(starts)))
    assert len({start.id for start in starts}) == len(starts)
    return [
        (
            start.name,
            "".join(e.text for e in events if isinstance(e, ToolCallArguments) and e.call == start.call),
        )
        for start in starts
    ]


def check_calls(calls: list[tuple[str, str]]) -> None:
    for name, text in calls:
        arguments = json.loads(text)
        if name == "get":
            assert arguments == {}
        else:
            assert name == "get_weather"
            assert arguments["city"] in ("Paris", "Rome")
            assert arguments.keys() <= {"city", "days"}
            assert 1 <= arguments.get("days", 1) <= 9


def reason_of(events: list[ChatEvent]) -> str:
    (stopped,) = [event for event in events if isinstance(event, Stopped)]
    return stopped.reason


MARKERS = ("<tool_call>", "[TOOL_CALLS]", "<｜calls｜>", "<|python_tag|>")


@pytest.mark.parametrize("name", MODELS)
def test_required_gives_valid_calls_and_nothing_else(name: str) -> None:
    for seed in range(8):
        events = answer(name, ChatTools(tools=(WEATHER, STOP), choice="required"), seed, limit=1500)
        assert text_of(events) == ""
        assert reason_of(events) == "tool_calls"
        calls = calls_of(events)
        assert calls
        check_calls(calls)


@pytest.mark.parametrize("name", MODELS)
def test_auto_gives_text_or_valid_calls_and_never_shows_a_marker(name: str) -> None:
    seen = set()
    for seed in range(15):
        events = answer(name, ChatTools(tools=(WEATHER, STOP)), seed)
        calls, reason = calls_of(events), reason_of(events)
        assert not any(marker in text_of(events) for marker in MARKERS)
        if reason != "length":
            check_calls(calls)
            assert (reason == "tool_calls") is bool(calls)
            seen.add(reason)
    # Spelled in single letters, a marker is not hit upon by chance.
    assert seen == ({"stop"} if name == "smollm2" else {"stop", "tool_calls"})


@pytest.mark.parametrize(
    ("choice", "names", "reason"),
    [
        (NamedTool(name="get"), {"get"}, "stop"),
        (AllowedTools(mode="required", names=("get_weather",)), {"get_weather"}, "tool_calls"),
    ],
    ids=["named", "allowed"],
)
@pytest.mark.parametrize("name", ["qwen", "mistral"])
def test_only_what_was_chosen_is_called(name: str, choice: ToolChoice, names: set[str], reason: str) -> None:
    for seed in range(8):
        events = answer(name, ChatTools(tools=(WEATHER, STOP), choice=choice), seed, limit=1500)
        calls = calls_of(events)
        assert {called for called, _ in calls} == names
        assert reason_of(events) == reason
        assert len(calls) == 1 or not isinstance(choice, NamedTool)


@pytest.mark.parametrize("name", ["qwen", "mistral", "revealing"])
def test_parallel_calls_are_several_or_one(name: str) -> None:
    def counts(*, parallel: bool) -> set[int]:
        tools = ChatTools(tools=(WEATHER, STOP), choice="required", parallel=parallel)
        return {len(calls_of(answer(name, tools, seed))) for seed in range(8)}

    assert max(counts(parallel=True)) > 1
    assert counts(parallel=False) == {1}


@pytest.mark.parametrize("name", ["qwen", "llama3", "smollm2"])
@pytest.mark.parametrize(
    ("spec", "is_format"),
    [
        pytest.param(JsonObjectGrammar(), lambda text: isinstance(json.loads(text), dict), id="json_object"),
        pytest.param(JsonSchemaGrammar({"enum": [1, 2]}), lambda text: json.loads(text) in (1, 2), id="json_schema"),
        pytest.param(RegexGrammar("[ab]/c"), lambda text: text in ("a/c", "b/c"), id="regex"),
        pytest.param(ChoiceGrammar(("yes", "no/maybe")), lambda text: text in ("yes", "no/maybe"), id="choice"),
    ],
)
def test_with_a_format_an_answer_is_of_the_format_or_calls(name: str, spec: GrammarSpec, is_format: object) -> None:
    assert callable(is_format)
    for seed in range(8):
        events = answer(name, ChatTools(tools=(WEATHER, STOP)), seed, spec)
        if reason_of(events) == "stop":
            assert is_format(text_of(events))
        elif reason_of(events) == "tool_calls":
            check_calls(calls_of(events))
            assert text_of(events) == ""


def test_a_lark_grammar_does_not_go_with_tools_that_may_be_called() -> None:
    lark = LarkGrammar('start: "a"')
    with pytest.raises(UnsupportedValue, match="cannot be combined with tools") as error:
        answer("qwen", ChatTools(tools=(STOP,)), 0, lark)
    assert error.value.param == "response_format"
    assert text_of(answer("qwen", ChatTools(tools=(STOP,), choice="none"), 0, lark)) == "a"


@pytest.mark.parametrize("tool", [Tool(name="f", strict=True), Tool(name="f")], ids=["strict", "forced"])
def test_a_schema_that_was_promised_and_cannot_be_kept_is_refused(tool: Tool) -> None:
    parameters = {"type": "object", "properties": {"a": {"not": {"type": "null"}}}}
    tools = ChatTools(
        tools=(STOP, Tool(name="f", strict=tool.strict, parameters=parameters)),
        choice="auto" if tool.strict else "required",
    )
    with pytest.raises(UnsupportedValue, match="#/properties/a, not") as error:
        answer("qwen", tools, 0)
    assert error.value.param == "tools[1].function.parameters"


def test_of_a_schema_that_nobody_promised_what_can_be_is_enforced() -> None:
    parameters = {"properties": {"a": {"type": "integer", "not": {"const": 3}}}, "required": ["a"]}
    tool = Tool(name="f", parameters=parameters)
    events = answer("qwen", ChatTools(tools=(tool,), choice=AllowedTools(mode="auto", names=("f",))), 3)
    for _, arguments in calls_of(events):
        assert isinstance(json.loads(arguments)["a"], int)


def test_what_is_no_schema_is_refused_in_any_case() -> None:
    tool = Tool(name="f", parameters={"type": "object", "properties": {"a": {"type": "text"}}})
    with pytest.raises(InvalidRequest) as error:
        answer("qwen", ChatTools(tools=(tool,)), 0)
    assert error.value.param == "tools[0].function.parameters"


def test_a_stop_string_does_not_cut_a_forced_call() -> None:
    service = service_of("qwen", RandomDecoder(MODELS["qwen"][1], 0))
    tools = ChatTools(tools=(STOP,), choice=NamedTool(name="get"))
    events = list(service.prepare(ASKED, GenerationParams(stop=("\n", "}")), tools=tools).events())
    assert calls_of(events) == [("get", "{}")]


def test_a_call_cut_by_the_limit_ends_with_length() -> None:
    events = answer("qwen", ChatTools(tools=(WEATHER,), choice="required"), 0, limit=50)
    assert reason_of(events) == "length"
    assert text_of(events) == ""


def test_no_tool_can_be_called_where_none_may() -> None:
    events = answer("qwen", ChatTools(tools=(WEATHER,), choice="none"), 0)
    assert calls_of(events) == []
