"""openai-agents in both modes: chat completions, and the Responses API, its default."""

from agents import (
    Agent,
    ModelSettings,
    OpenAIChatCompletionsModel,
    OpenAIResponsesModel,
    Runner,
    function_tool,
    set_tracing_disabled,
)
from harness import BASE_URL, CAPITAL, KEY, MODEL, QUESTION, Paint, run
from openai import AsyncOpenAI
from openai.types.responses import ResponseTextDeltaEvent

set_tracing_disabled(True)


@function_tool
def buy_paint(colour: str) -> str:
    """Buys paint of a colour."""
    return f"bought {colour}"


def agent(kind, *, tool_choice=None, **settings) -> Agent:
    client = AsyncOpenAI(base_url=BASE_URL, api_key=KEY, max_retries=0)
    model_settings = ModelSettings(temperature=0, max_tokens=48, tool_choice=tool_choice)
    return Agent(
        name="assistant",
        model=kind(model=MODEL, openai_client=client),
        model_settings=model_settings,
        **settings,
    )


async def answers(kind):
    outcome = await Runner.run(agent(kind), QUESTION)
    assert CAPITAL in outcome.final_output


async def streams(kind):
    outcome = Runner.run_streamed(agent(kind), QUESTION)
    deltas = [
        event.data.delta
        async for event in outcome.stream_events()
        if event.type == "raw_response_event" and isinstance(event.data, ResponseTextDeltaEvent)
    ]
    assert len(deltas) > 5
    assert "".join(deltas) == outcome.final_output


async def calls(kind):
    forced = agent(kind, tool_choice="required", tools=[buy_paint], tool_use_behavior="stop_on_first_tool")
    outcome = await Runner.run(forced, "Buy red paint.")
    assert outcome.final_output.startswith("bought ")
    # A whole round: the call, the tool's answer, then the model's own words (or further calls, bounded by max_turns).
    kinds = [type(item).__name__ for item in outcome.new_items]
    assert kinds == ["ToolCallItem", "ToolCallOutputItem"]
    replayed = [*outcome.to_input_list(), {"role": "user", "content": "What did you buy?"}]
    final = await Runner.run(agent(kind), replayed)
    assert isinstance(final.final_output, str)


async def streams_calls(kind):
    forced = agent(kind, tool_choice="buy_paint", tools=[buy_paint], tool_use_behavior="stop_on_first_tool")
    outcome = Runner.run_streamed(forced, "Buy red paint.")
    names = [event.name async for event in outcome.stream_events() if event.type == "run_item_stream_event"]
    assert names == ["tool_called", "tool_output"]


async def parses(kind):
    outcome = await Runner.run(agent(kind, output_type=Paint), "One litre of glossy red paint.")
    assert isinstance(outcome.final_output, Paint)


async def chat_text():
    await answers(OpenAIChatCompletionsModel)


async def chat_streamed_text():
    await streams(OpenAIChatCompletionsModel)


async def chat_tools():
    await calls(OpenAIChatCompletionsModel)


async def chat_streamed_tools():
    await streams_calls(OpenAIChatCompletionsModel)


async def chat_structured():
    await parses(OpenAIChatCompletionsModel)


async def responses_text():
    await answers(OpenAIResponsesModel)


async def responses_streamed_text():
    await streams(OpenAIResponsesModel)


async def responses_tools():
    await calls(OpenAIResponsesModel)


async def responses_streamed_tools():
    await streams_calls(OpenAIResponsesModel)


async def responses_structured():
    await parses(OpenAIResponsesModel)


run(
    chat_text,
    chat_streamed_text,
    chat_tools,
    chat_streamed_tools,
    chat_structured,
    responses_text,
    responses_streamed_text,
    responses_tools,
    responses_streamed_tools,
    responses_structured,
)
