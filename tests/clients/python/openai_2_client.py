"""The official client of the major version before the one that the other tests use."""

from harness import BASE_URL, CAPITAL, KEY, MODEL, QUESTION, Paint, run
from openai import OpenAI, pydantic_function_tool

CLIENT = OpenAI(base_url=BASE_URL, api_key=KEY, max_retries=0, _strict_response_validation=True)
BUY = [{"role": "user", "content": "One litre of glossy red paint."}]
ASK = {"model": MODEL, "temperature": 0, "max_tokens": 64}


def text():
    answer = CLIENT.chat.completions.create(messages=[{"role": "user", "content": QUESTION}], **ASK)
    assert CAPITAL in answer.choices[0].message.content


def streamed_text():
    with CLIENT.chat.completions.stream(messages=[{"role": "user", "content": QUESTION}], **ASK) as stream:
        deltas = [event.delta for event in stream if event.type == "content.delta"]
        assert "".join(deltas) == stream.get_final_completion().choices[0].message.content


def tools():
    tool = pydantic_function_tool(Paint)
    choice = {"type": "function", "function": {"name": "Paint"}}
    answer = CLIENT.chat.completions.parse(messages=BUY, tools=[tool], tool_choice=choice, **ASK)
    assert isinstance(answer.choices[0].message.tool_calls[0].function.parsed_arguments, Paint)
    with CLIENT.chat.completions.stream(messages=BUY, tools=[tool], tool_choice="required", **ASK) as stream:
        kinds = [event.type for event in stream]
        final = stream.get_final_completion()
    assert kinds.count("tool_calls.function.arguments.delta") > 2
    assert isinstance(final.choices[0].message.tool_calls[0].function.parsed_arguments, Paint)


def structured():
    answer = CLIENT.chat.completions.parse(messages=BUY, response_format=Paint, **ASK)
    assert isinstance(answer.choices[0].message.parsed, Paint)
    with CLIENT.chat.completions.stream(messages=BUY, response_format=Paint, **ASK) as stream:
        assert stream.get_final_completion().choices[0].message.parsed == answer.choices[0].message.parsed


def responses():
    ask = {"model": MODEL, "temperature": 0, "max_output_tokens": 64}
    assert CAPITAL in CLIENT.responses.create(input=QUESTION, **ask).output_text
    with CLIENT.responses.stream(input=QUESTION, **ask) as stream:
        deltas = [event.delta for event in stream if event.type == "response.output_text.delta"]
        assert "".join(deltas) == stream.get_final_response().output_text


def responses_structured():
    ask = {"model": MODEL, "temperature": 0, "max_output_tokens": 64}
    answer = CLIENT.responses.parse(input="Red paint.", text_format=Paint, **ask)
    assert isinstance(answer.output_parsed, Paint)


run(text, streamed_text, tools, structured, responses, responses_structured)
