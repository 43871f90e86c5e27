"""LlamaIndex's OpenAILike: chat, and `/v1/completions`, which it calls unless it is told of a chat model."""

from harness import BASE_URL, CAPITAL, KEY, MODEL, QUESTION, Paint, run
from llama_index.core.llms import ChatMessage
from llama_index.core.tools import FunctionTool
from llama_index.llms.openai_like import OpenAILike


def model(**settings) -> OpenAILike:
    settings = {"is_chat_model": True, "temperature": 0, "max_tokens": 48, "context_window": 2048} | settings
    return OpenAILike(model=MODEL, api_base=BASE_URL, api_key=KEY, max_retries=0, **settings)


def buy_paint(colour: str) -> str:
    """Buys paint of a colour."""
    return f"bought {colour}"


def text():
    answer = model().chat([ChatMessage(role="user", content=QUESTION)])
    assert CAPITAL in answer.message.content
    assert CAPITAL in model().complete(QUESTION).text


def streamed_text():
    parts = list(model().stream_chat([ChatMessage(role="user", content=QUESTION)]))
    assert len(parts) > 5
    assert "".join(part.delta for part in parts) == parts[-1].message.content
    assert CAPITAL in parts[-1].message.content


def completion():
    raw = model(is_chat_model=False, max_tokens=8)
    assert raw.complete("The capital of France is").text.strip()
    parts = list(raw.stream_complete("The capital of France is"))
    assert "".join(part.delta for part in parts) == parts[-1].text
    assert parts[-1].text == raw.complete("The capital of France is").text


def tools():
    llm = model(is_function_calling_model=True)
    tool = FunctionTool.from_defaults(buy_paint)
    answer = llm.chat_with_tools([tool], user_msg="Buy red paint.", tool_required=True)
    [call] = llm.get_tool_calls_from_response(answer)
    assert call.tool_name == "buy_paint"
    assert isinstance(call.tool_kwargs["colour"], str)


def streamed_tools():
    llm = model(is_function_calling_model=True)
    tool = FunctionTool.from_defaults(buy_paint)
    *_, last = llm.stream_chat_with_tools([tool], user_msg="Buy red paint.", tool_required=True)
    [call] = llm.get_tool_calls_from_response(last)
    assert call.tool_name == "buy_paint"


def structured():
    for settings in ({"should_use_structured_outputs": True}, {"is_function_calling_model": True}):
        answer = model(**settings).as_structured_llm(Paint).complete("One litre of glossy red paint.")
        assert isinstance(answer.raw, Paint), settings


run(text, streamed_text, completion, tools, streamed_tools, structured)
