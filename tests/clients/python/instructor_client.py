"""instructor: a typed object through a forced tool call and through a JSON schema."""

import instructor
from harness import BASE_URL, KEY, MODEL, Paint, run
from openai import OpenAI

BUY = [{"role": "user", "content": "One litre of glossy red paint."}]


def ask(mode, **settings):
    client = instructor.from_openai(OpenAI(base_url=BASE_URL, api_key=KEY, max_retries=0), mode=mode)
    arguments = {"model": MODEL, "temperature": 0, "max_tokens": 64, "messages": BUY, "max_retries": 1} | settings
    return client, arguments


def tools():
    client, arguments = ask(instructor.Mode.TOOLS)
    assert isinstance(client.chat.completions.create(response_model=Paint, **arguments), Paint)


def structured():
    for mode in (instructor.Mode.JSON_SCHEMA, instructor.Mode.TOOLS_STRICT):
        client, arguments = ask(mode)
        assert isinstance(client.chat.completions.create(response_model=Paint, **arguments), Paint), mode


def streamed_structured():
    for mode in (instructor.Mode.TOOLS, instructor.Mode.JSON_SCHEMA):
        client, arguments = ask(mode)
        *_, last = client.chat.completions.create_partial(response_model=Paint, **arguments)
        assert Paint.model_validate(last.model_dump()), mode


run(tools, structured, streamed_structured)
