"""pydantic-ai over chat completions and over the Responses API."""

from harness import BASE_URL, CAPITAL, KEY, MODEL, QUESTION, Paint, run
from pydantic_ai import Agent, NativeOutput, ToolOutput
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.openai import OpenAIProvider
from pydantic_ai.settings import ModelSettings

BOUGHT: list[str] = []


def agent(kind=OpenAIChatModel, **settings) -> Agent:
    provider = OpenAIProvider(base_url=BASE_URL, api_key=KEY)
    model_settings = ModelSettings(temperature=0.0, max_tokens=64)
    return Agent(kind(MODEL, provider=provider), model_settings=model_settings, retries=0, **settings)


def buy_paint(colour: str) -> str:
    """Buys paint of a colour."""
    BOUGHT.append(colour)
    return f"bought {colour}"


async def text():
    outcome = await agent().run(QUESTION)
    assert CAPITAL in outcome.output


async def streamed_text():
    async with agent().run_stream(QUESTION) as stream:
        parts = [part async for part in stream.stream_text(delta=True, debounce_by=None)]
    assert len(parts) > 5
    assert CAPITAL in "".join(parts)


async def tools():
    # An output that is a tool forces a call: tool_choice is required.
    outcome = await agent(output_type=ToolOutput(Paint)).run("One litre of glossy red paint.")
    assert isinstance(outcome.output, Paint)


async def streamed_tools():
    async with agent(output_type=ToolOutput(Paint)).run_stream("One litre of glossy red paint.") as stream:
        assert isinstance(await stream.get_output(), Paint)


async def function_tools():
    outcome = await agent(output_type=[buy_paint]).run("Buy red paint.")
    assert outcome.output == f"bought {BOUGHT[-1]}"


async def structured():
    outcome = await agent(output_type=NativeOutput(Paint)).run("One litre of glossy red paint.")
    assert isinstance(outcome.output, Paint)


async def streamed_structured():
    async with agent(output_type=NativeOutput(Paint)).run_stream("One litre of glossy red paint.") as stream:
        assert isinstance(await stream.get_output(), Paint)


async def responses_text():
    assert CAPITAL in (await agent(OpenAIResponsesModel).run(QUESTION)).output
    async with agent(OpenAIResponsesModel).run_stream(QUESTION) as stream:
        assert CAPITAL in await stream.get_output()


async def responses_tools():
    outcome = await agent(OpenAIResponsesModel, output_type=ToolOutput(Paint)).run("One litre of glossy red paint.")
    assert isinstance(outcome.output, Paint)


async def responses_structured():
    outcome = await agent(OpenAIResponsesModel, output_type=NativeOutput(Paint)).run("One litre of glossy red paint.")
    assert isinstance(outcome.output, Paint)


run(
    text,
    streamed_text,
    tools,
    streamed_tools,
    function_tools,
    structured,
    streamed_structured,
    responses_text,
    responses_tools,
    responses_structured,
)
