"""The default model, which never learnt to call a function, calls all the same when it must."""

import json

import jsonschema
import pytest

from handler.chat.conversation import Conversation, Message, ToolCall
from handler.chat.deltas import ChatEvent, Finished, Stopped, TextDelta, ToolCallArguments, ToolCallStart
from handler.chat.service import ChatService
from handler.chat.tools import ChatTools, NamedTool, Tool, ToolChoice
from handler.engine.params import GenerationParams
from handler.loading import load_chat_service
from handler.settings import Settings
from tests.models import exported

TOOLS = (
    Tool(
        name="get_weather",
        description="The current weather in a city.",
        parameters={
            "type": "object",
            "properties": {"city": {"type": "string", "maxLength": 40}, "unit": {"enum": ["celsius", "fahrenheit"]}},
            "required": ["city", "unit"],
            "additionalProperties": False,
        },
        strict=True,
    ),
    Tool(
        name="add",
        description="Adds numbers.",
        parameters={
            "type": "object",
            "properties": {"numbers": {"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 3}},
            "required": ["numbers"],
        },
    ),
)
ASKED = Message(role="user", content="What is the weather in Paris?")


@pytest.fixture(scope="module")
def service() -> ChatService:
    return load_chat_service(Settings(model=exported("default", "int8")))


def answer(service: ChatService, tools: ChatTools | None, temperature: float, *messages: Message) -> list[ChatEvent]:
    params = GenerationParams(temperature=temperature, seed=3, max_tokens=150)
    return list(service.prepare(Conversation(messages=messages), params, tools=tools).events())


@pytest.mark.parametrize("temperature", [0, 1])
@pytest.mark.parametrize("choice", ["required", NamedTool(name="add")], ids=["required", "named"])
def test_a_forced_call_is_valid(service: ChatService, choice: ToolChoice, temperature: float) -> None:
    events = answer(service, ChatTools(tools=TOOLS, choice=choice), temperature, ASKED)
    (start,) = [event for event in events if isinstance(event, ToolCallStart)]
    arguments = "".join(event.text for event in events if isinstance(event, ToolCallArguments))
    (tool,) = [tool for tool in TOOLS if tool.name == start.name]
    jsonschema.validate(json.loads(arguments), tool.parameters)
    stopped, finished = events[-2:]
    assert stopped == Stopped(reason="tool_calls" if choice == "required" else "stop")
    assert isinstance(finished, Finished)
    assert not any(event.text for event in events if isinstance(event, TextDelta))
    if choice == "required" and temperature == 0:
        assert (start.name, json.loads(arguments)["city"]) == ("get_weather", "Paris")


def test_a_result_is_read(service: ChatService) -> None:
    """What the function returned is in the answer."""
    call = ToolCall(id="call_1", name="get_weather", arguments='{"city": "Paris", "unit": "celsius"}')
    turns = (
        ASKED,
        Message(role="assistant", tool_calls=(call,)),
        Message(role="tool", tool_call_id="call_1", content="It is 17 degrees and sunny in Paris."),
    )
    events = answer(service, ChatTools(tools=TOOLS, choice="none"), 0, *turns)
    assert "17" in "".join(event.text for event in events if isinstance(event, TextDelta))
