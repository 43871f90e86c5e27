import contextlib

import pytest

from handler.chat.conversation import Conversation, Message, TemplateOptions, ToolCall
from handler.chat.prompt import PromptBuilder, template_message
from handler.chat.template import ChatTemplate
from handler.errors import InvalidRequest
from tests.chat import templates
from tests.chat.oracle import transformers_prompt
from tests.fakes import FakeTokenizer

CONTINUE = TemplateOptions(add_generation_prompt=False, continue_final_message=True)


def prompt_of(template: str, *messages: Message, options: TemplateOptions | None = None) -> str:
    builder = PromptBuilder(ChatTemplate(template, {"bos_token": "<bos>"}), FakeTokenizer())
    return FakeTokenizer().text(builder.build(Conversation(messages=messages), options or TemplateOptions()).token_ids)


def test_a_conversation_becomes_a_prompt() -> None:
    messages = [Message(role="developer", content="Be kind."), Message(role="user", content="Hi")]
    assert prompt_of(templates.CHATML, *messages) == (
        "⟦im_start⟧system\nBe kind.⟦im_end⟧\n⟦im_start⟧user\nHi⟦im_end⟧\n⟦im_start⟧assistant\n"
    )


def test_a_template_that_refuses_system_messages_still_gets_their_text() -> None:
    messages = [
        Message(role="system", content="Be kind."),
        Message(role="user", content="Hi"),
        Message(role="assistant", content="Hello"),
        Message(role="system", content="Be brief."),
    ]
    assert prompt_of(templates.GEMMA, *messages) == (
        "<bos><start_of_turn>user\nBe kind.\n\nHi<end_of_turn>\n<start_of_turn>model\nHello<end_of_turn>\n"
        "<start_of_turn>user\nBe brief.<end_of_turn>\n<start_of_turn>model\n"
    )


def test_what_a_template_refuses_all_the_same_is_the_callers_fault() -> None:
    with pytest.raises(InvalidRequest, match="refuses these messages: Conversation roles must alternate") as error:
        prompt_of(templates.GEMMA, Message(role="assistant", content="I begin."))
    assert error.value.param == "messages"


def test_without_a_generation_prompt_the_assistants_turn_is_not_opened() -> None:
    options = TemplateOptions(add_generation_prompt=False)
    prompt = prompt_of(templates.CHATML, Message(role="user", content="Hi"), options=options)
    assert prompt == "⟦im_start⟧user\nHi⟦im_end⟧\n"


@pytest.mark.parametrize("template", ["CHATML", "GEMMA", "SYSTEM_FIRST", "FORGETFUL", "MODERN"])
@pytest.mark.parametrize("content", ["The answer", " The answer is ", "User: \n"], ids=["plain", "spaces", "newline"])
def test_a_final_message_is_continued_as_transformers_continues_it(template: str, content: str) -> None:
    source = getattr(templates, template)
    expected = transformers_prompt(
        source,
        [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": content}],
        continue_final_message=True,
    )
    messages = [Message(role="user", content="Hi"), Message(role="assistant", content=content)]
    prompt = prompt_of(source, *messages, options=CONTINUE)
    assert prompt.replace("⟦", "<|").replace("⟧", "|>") == expected


def test_continuing_and_opening_a_turn_exclude_each_other() -> None:
    options = TemplateOptions(continue_final_message=True)
    with pytest.raises(InvalidRequest, match="exclude each other") as error:
        prompt_of(templates.CHATML, Message(role="assistant", content="a"), options=options)
    assert error.value.param == "continue_final_message"


def test_only_an_assistant_message_can_be_continued() -> None:
    with pytest.raises(InvalidRequest, match="needs an assistant message at the end"):
        prompt_of(templates.CHATML, Message(role="user", content="a"), options=CONTINUE)


def test_a_template_that_drops_the_final_message_cannot_continue_it() -> None:
    question, answer = Message(role="user", content="q"), Message(role="assistant", content="a")
    with pytest.raises(InvalidRequest, match="does not render the end of the final message"):
        prompt_of("{{ messages[0].content }}", question, answer, options=CONTINUE)


@pytest.mark.parametrize("depth", [400, 5000])
def test_arguments_nested_to_any_depth_are_no_fault_of_ours(depth: int) -> None:
    call = ToolCall(id="1", name="f", arguments='{"x": ' + "[" * depth + "]" * depth + "}")
    messages = [Message(role="user", content="q"), Message(role="assistant", tool_calls=(call,))]
    with contextlib.suppress(InvalidRequest):  # how deep is too deep differs between versions of Python
        assert prompt_of(templates.MODERN, *messages).count("[") == depth


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        pytest.param(Message(role="assistant"), {"role": "assistant", "content": ""}, id="no content is empty text"),
        pytest.param(
            Message(role="assistant", refusal="No."), {"role": "assistant", "content": "No."}, id="a refusal is text"
        ),
        pytest.param(
            Message(role="tool", content="4", tool_call_id="1", name="f"),
            {"role": "tool", "content": "4", "name": "f", "tool_call_id": "1"},
            id="a tool's result",
        ),
        pytest.param(
            Message(role="assistant", tool_calls=(ToolCall(id="1", name="f", arguments='{"x": 1}'),)),
            {
                "role": "assistant",
                "content": "",
                "tool_calls": [{"id": "1", "type": "function", "function": {"name": "f", "arguments": {"x": 1}}}],
            },
            id="arguments as an object",
        ),
        pytest.param(
            Message(role="assistant", tool_calls=(ToolCall(id="1", name="f", arguments="{x"),)),
            {
                "role": "assistant",
                "content": "",
                "tool_calls": [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{x"}}],
            },
            id="arguments that are no JSON",
        ),
        pytest.param(
            Message(role="assistant", tool_calls=(ToolCall(id="1", name="f", arguments=r'{"x": "\ud800"}'),)),
            {
                "role": "assistant",
                "content": "",
                "tool_calls": [
                    {"id": "1", "type": "function", "function": {"name": "f", "arguments": r'{"x": "\ud800"}'}}
                ],
            },
            id="arguments with half a character",
        ),
    ],
)
def test_a_turn_as_templates_know_it(message: Message, expected: dict[str, object]) -> None:
    assert template_message(message) == expected
