"""litellm, which finds an overflow of the window by OpenAI's wording."""

import json
import os

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # else it asks the network for a price list

import litellm
from harness import BASE_URL, CAPITAL, KEY, MODEL, QUESTION, Paint, run

litellm.telemetry = False
PAINT = {
    "type": "function",
    "function": {"name": "buy_paint", "description": "Buys paint.", "parameters": Paint.model_json_schema()},
}
BUY = [{"role": "user", "content": "One litre of glossy red paint."}]


def ask(messages, **settings):
    settings = {"temperature": 0, "max_tokens": 64} | settings
    return litellm.completion(
        model=f"openai/{MODEL}", api_base=BASE_URL, api_key=KEY, messages=messages, num_retries=0, **settings
    )


def text():
    answer = ask([{"role": "user", "content": QUESTION}])
    assert CAPITAL in answer.choices[0].message.content
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage.completion_tokens > 5


def streamed_text():
    chunks = list(ask([{"role": "user", "content": QUESTION}], stream=True, stream_options={"include_usage": True}))
    whole = litellm.stream_chunk_builder(chunks)
    assert CAPITAL in whole.choices[0].message.content
    assert whole.choices[0].finish_reason == "stop"


def overflow():
    try:
        ask([{"role": "user", "content": "word " * 9000}])
    except litellm.ContextWindowExceededError:
        return
    raise AssertionError("the overflow was not recognised")


def wrong_model():
    try:
        litellm.completion(model="openai/gpt-0", api_base=BASE_URL, api_key=KEY, messages=BUY, num_retries=0)
    except litellm.NotFoundError:
        return
    raise AssertionError("a model that is not served was not refused")


def completion():
    answer = litellm.text_completion(
        model=f"text-completion-openai/{MODEL}",
        api_base=BASE_URL,
        api_key=KEY,
        prompt="The capital of France is",
        max_tokens=8,
        temperature=0,
    )
    assert answer.choices[0].text.strip()


def tools():
    answer = ask(BUY, tools=[PAINT], tool_choice="required")
    [call] = answer.choices[0].message.tool_calls
    Paint.model_validate_json(call.function.arguments)
    assert answer.choices[0].finish_reason == "tool_calls"
    result = {"role": "tool", "tool_call_id": call.id, "content": "bought"}
    final = ask([*BUY, answer.choices[0].message, result], max_tokens=8)
    assert final.choices[0].message.content


def streamed_tools():
    chunks = list(ask(BUY, tools=[PAINT], tool_choice="required", stream=True))
    [call] = litellm.stream_chunk_builder(chunks).choices[0].message.tool_calls
    Paint.model_validate_json(call.function.arguments)


def structured():
    answer = ask(BUY, response_format=Paint)
    Paint.model_validate_json(answer.choices[0].message.content)
    chunks = ask(BUY, response_format=Paint, stream=True)
    content = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert json.loads(content) == json.loads(answer.choices[0].message.content)


def responses():
    answer = litellm.responses(
        model=f"openai/{MODEL}", api_base=BASE_URL, api_key=KEY, input=QUESTION, temperature=0, max_output_tokens=48
    )
    assert CAPITAL in answer.output[0].content[0].text


run(text, streamed_text, overflow, wrong_model, completion, tools, streamed_tools, structured, responses)
