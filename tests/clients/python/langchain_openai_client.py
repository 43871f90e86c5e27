"""langchain-openai: chat completions and the Responses API."""

from harness import BASE_URL, CAPITAL, KEY, MODEL, QUESTION, Paint, run
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAI


@tool
def buy_paint(colour: str) -> str:
    """Buys paint of a colour."""
    return f"bought {colour}"


def chat(**settings) -> ChatOpenAI:
    settings = {"temperature": 0, "max_tokens": 48, "max_retries": 0} | settings
    return ChatOpenAI(base_url=BASE_URL, api_key=KEY, model=MODEL, **settings)


def text():
    answer = chat().invoke(QUESTION)
    assert CAPITAL in answer.content
    assert answer.response_metadata["finish_reason"] == "stop"
    assert answer.usage_metadata["total_tokens"] > 0


def streamed_text():
    chunks = list(chat(stream_usage=True).stream(QUESTION))
    whole = chunks[0]
    for chunk in chunks[1:]:
        whole += chunk
    assert len(chunks) > 5
    assert CAPITAL in whole.content
    assert whole.response_metadata["finish_reason"] == "stop"
    assert whole.usage_metadata["output_tokens"] > 5


def completion():
    answer = OpenAI(base_url=BASE_URL, api_key=KEY, model=MODEL, temperature=0, max_tokens=8, max_retries=0)
    assert answer.invoke("The capital of France is").strip()
    assert len(list(answer.stream("The capital of France is"))) > 1


def tools():
    model = chat().bind_tools([buy_paint], tool_choice="buy_paint")
    answer = model.invoke("Buy red paint.")
    [call] = answer.tool_calls
    assert call["name"] == "buy_paint"
    assert isinstance(call["args"]["colour"], str)
    assert answer.invalid_tool_calls == []
    result = ToolMessage(buy_paint.invoke(call["args"]), tool_call_id=call["id"])
    final = chat().bind_tools([buy_paint], tool_choice="none").invoke([HumanMessage("Buy red paint."), answer, result])
    assert final.content
    assert final.tool_calls == []


def streamed_tools():
    model = chat().bind_tools([buy_paint], tool_choice="required")
    chunks = list(model.stream("Buy red paint."))
    whole = chunks[0]
    for chunk in chunks[1:]:
        whole += chunk
    assert whole.tool_calls[0]["name"] == "buy_paint"
    assert sum(bool(chunk.tool_call_chunks) for chunk in chunks) > 2
    assert whole.response_metadata["finish_reason"] == "tool_calls"


def structured():
    for method in ("json_schema", "function_calling"):
        paint = chat().with_structured_output(Paint, method=method).invoke("One litre of glossy red paint.")
        assert isinstance(paint, Paint), method


def streamed_structured():
    last = list(chat().with_structured_output(Paint, method="json_schema").stream("One litre of glossy red paint."))[-1]
    assert isinstance(last, Paint)


def responses():
    model = chat(use_responses_api=True)
    assert CAPITAL in model.invoke(QUESTION).text
    assert CAPITAL in "".join(chunk.text for chunk in model.stream(QUESTION))


def responses_tools():
    model = chat(use_responses_api=True).bind_tools([buy_paint], tool_choice="required")
    answer = model.invoke("Buy red paint.")
    assert answer.tool_calls[0]["name"] == "buy_paint"
    result = ToolMessage("bought", tool_call_id=answer.tool_calls[0]["id"])
    messages = [HumanMessage("Buy red paint."), answer, result]
    assert chat(use_responses_api=True).invoke(messages).text
    paint = chat(use_responses_api=True).with_structured_output(Paint, method="json_schema").invoke("Red paint.")
    assert isinstance(paint, Paint)


run(
    text,
    streamed_text,
    completion,
    tools,
    streamed_tools,
    structured,
    streamed_structured,
    responses,
    responses_tools,
)
