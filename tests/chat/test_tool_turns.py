"""Tools, calls and results in prompts: by the template where it shows them, as text where it does not."""

import json

import pytest

from handler.chat.conversation import Conversation, Message, TemplateOptions, ToolCall
from handler.chat.prompt import PromptBuilder
from handler.chat.tools import Tool
from tests.chat.speaking import END, MODELS, template_of

WEATHER = Tool(name="get_weather", description="The weather.", parameters={"type": "object", "properties": {}})
ASKED = Message(role="user", content="Paris? Rome?")
PARIS = ToolCall(id="call_1", name="get_weather", arguments='{"city": "Paris"}')
ROME = ToolCall(id="call_2", name="get_weather", arguments='{"city": "Rome"}')
BOTH = Message(role="assistant", content="Let me see.", tool_calls=(PARIS, ROME))
RESULTS = (
    Message(role="tool", tool_call_id="call_1", content="sun"),
    Message(role="tool", tool_call_id="call_2", content="rain"),
)


def prompt_of(name: str, *messages: Message, tools: tuple[Tool, ...] = ()) -> str:
    _, tokenizer = MODELS[name]
    builder = PromptBuilder(template_of(name), tokenizer, (END,))
    return tokenizer.text(builder.build(Conversation(messages=messages), TemplateOptions(), tools).token_ids)


def test_hermes_shows_tools_calls_and_results() -> None:
    prompt = prompt_of("qwen", Message(role="system", content="Be kind."), ASKED, BOTH, *RESULTS, tools=(WEATHER,))
    assert prompt == (
        "⟦<|im_start|>⟧system\nBe kind.\n\n# Tools\n\n<tools>\n"
        '{"type": "function", "function": {"name": "get_weather", "description": "The weather.",'
        ' "parameters": {"type": "object", "properties": {}}}}\n'
        "</tools>\n\nCall within ⟦<tool_call>⟧⟦</tool_call>⟧.⟦<|im_end|>⟧\n"
        "⟦<|im_start|>⟧user\nParis? Rome?⟦<|im_end|>⟧\n"
        "⟦<|im_start|>⟧assistant\nLet me see.\n"
        '⟦<tool_call>⟧\n{"name": "get_weather", "arguments": {"city": "Paris"}}\n⟦</tool_call>⟧\n'
        '⟦<tool_call>⟧\n{"name": "get_weather", "arguments": {"city": "Rome"}}\n⟦</tool_call>⟧⟦<|im_end|>⟧\n'
        "⟦<|im_start|>⟧user\n<tool_response>\nsun\n</tool_response>\n<tool_response>\nrain\n</tool_response>⟦<|im_end|>⟧\n"
        "⟦<|im_start|>⟧assistant\n"
    )


def test_llama_gets_one_call_a_turn_each_with_its_result() -> None:
    prompt = prompt_of("llama3", ASKED, BOTH, *RESULTS)
    turn = "⟦<|start_header_id|>⟧{}⟦<|end_header_id|>⟧\n\n{}⟦<|eot_id|>⟧"
    assert prompt == "".join(
        [
            turn.format("system", ""),
            turn.format("user", "Paris? Rome?"),
            turn.format("assistant", "Let me see."),
            turn.format("assistant", '{"name": "get_weather", "parameters": {"city": "Paris"}}'),
            turn.format("ipython", '"sun"'),
            turn.format("assistant", '{"name": "get_weather", "parameters": {"city": "Rome"}}'),
            turn.format("ipython", '"rain"'),
            "⟦<|start_header_id|>⟧assistant⟦<|end_header_id|>⟧\n\n",
        ]
    )


def test_mistral_gets_ids_of_nine_characters() -> None:
    prompt = prompt_of("mistral", ASKED, BOTH, *RESULTS)
    assert prompt == (
        "⟦[INST]⟧ Paris? Rome?⟦[/INST]⟧⟦[TOOL_CALLS]⟧ ["
        '{"name": "get_weather", "arguments": {"city": "Paris"}, "id": "74196fe72"}, '
        '{"name": "get_weather", "arguments": {"city": "Rome"}, "id": "1b68f83fa"}]⟦</s>⟧'
        '⟦[TOOL_RESULTS]⟧ {"content": sun, "call_id": "74196fe72"}⟦[/TOOL_RESULTS]⟧'
        '⟦[TOOL_RESULTS]⟧ {"content": rain, "call_id": "1b68f83fa"}⟦[/TOOL_RESULTS]⟧'
    )


def test_a_template_that_wants_arguments_as_text_gets_text() -> None:
    assert '⟦<｜sep｜>⟧get_weather\n```json\n{"city": "Paris"}\n```' in prompt_of("revealing", ASKED, BOTH, *RESULTS)


def test_a_template_that_knows_no_tools_is_told_in_words() -> None:
    prompt = prompt_of("smollm2", ASKED, BOTH, *RESULTS, tools=(WEATHER,))
    assert prompt == (
        "⟦<|im_start|>⟧system\n"
        "You can call functions to help answer the user. They are listed here as JSON, one on each line:\n<tools>\n"
        '{"type": "function", "function": {"name": "get_weather", "description": "The weather.",'
        ' "parameters": {"type": "object", "properties": {}}}}\n'
        "</tools>\n"
        "To call a function, write its name and its arguments as a JSON object like this:\n"
        '<tool_call>\n{"name": "<name>", "arguments": {<arguments>}}\n</tool_call>\n'
        "You are then given what the function returned.⟦<|im_end|>⟧\n"
        "⟦<|im_start|>⟧user\nParis? Rome?⟦<|im_end|>⟧\n"
        "⟦<|im_start|>⟧assistant\nLet me see.\n"
        '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Paris"}}\n</tool_call>\n'
        '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Rome"}}\n</tool_call>⟦<|im_end|>⟧\n'
        "⟦<|im_start|>⟧user\n<tool_response>\nsun\n</tool_response>⟦<|im_end|>⟧\n"
        "⟦<|im_start|>⟧user\n<tool_response>\nrain\n</tool_response>⟦<|im_end|>⟧\n"
        "⟦<|im_start|>⟧assistant\n"
    )


def test_the_instruction_joins_the_system_message() -> None:
    system = Message(role="developer", content="Be kind.")
    prompt = prompt_of("smollm2", system, ASKED, tools=(WEATHER,))
    assert prompt.startswith("⟦<|im_start|>⟧system\nBe kind.\n\nYou can call functions")
    assert prompt.count("⟦<|im_start|>⟧system") == 1


@pytest.mark.parametrize("name", MODELS)
def test_nothing_of_a_tool_a_call_or_a_result_becomes_a_control_token(name: str) -> None:
    _, tokenizer = MODELS[name]
    attack = "".join(tokenizer.control_tokens)
    tool = Tool(name="f", description=attack, parameters={"type": "object", "properties": {attack: {"const": attack}}})
    call = ToolCall(id="call_1", name="f", arguments="{}")
    harmless = [
        ASKED,
        Message(role="assistant", tool_calls=(call,)),
        Message(role="tool", tool_call_id="call_1", content="x"),
    ]
    bad_call = ToolCall(id=attack, name=attack, arguments=json.dumps({"a": attack}))
    harmful = [
        ASKED,
        Message(role="assistant", tool_calls=(bad_call,)),
        Message(role="tool", tool_call_id=attack, content=attack),
    ]

    def controls(messages: list[Message], tools: tuple[Tool, ...]) -> int:
        builder = PromptBuilder(template_of(name), tokenizer, (END,))
        token_ids = builder.build(Conversation(messages=tuple(messages)), TemplateOptions(), tools).token_ids
        return sum(map(tokenizer.is_special, token_ids))

    assert controls(harmful, (tool,)) == controls(harmless, (Tool(name="f"),))
