"""The official `openai` client against the default model, on the laptop server and through the Lambda runtime."""

import time
from itertools import pairwise

import openai
import pytest
from openai.types.chat import ChatCompletionChunk

from tests.e2e.conftest import MODEL

FRANCE = "What is the capital of France?"


def test_a_question_is_answered(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(
        model=MODEL, temperature=0, max_completion_tokens=64, messages=[{"role": "user", "content": FRANCE}]
    )
    assert "Paris" in (answer.choices[0].message.content or "")
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


def test_a_stream_is_one_delta_per_token_spread_in_time(client: openai.OpenAI) -> None:
    chunks: list[ChatCompletionChunk] = []
    arrivals: list[float] = []
    for chunk in client.chat.completions.create(
        model=MODEL,
        temperature=0,
        max_completion_tokens=48,
        stream=True,
        stream_options={"include_usage": True},
        messages=[{"role": "user", "content": "Explain in a few sentences why the sky is blue."}],
    ):
        chunks.append(chunk)
        arrivals.append(time.monotonic())

    deltas = [chunk.choices[0].delta for chunk in chunks if chunk.choices]
    texts = [delta.content for delta in deltas if delta.content]
    usage = chunks[-1].usage
    assert usage is not None
    assert chunks[-1].choices == []
    assert deltas[0].role == "assistant"
    assert deltas[0].content == ""
    assert all(delta.role is None for delta in deltas[1:])
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "length"
    assert usage.completion_tokens == 48
    assert len(texts) == 48
    assert len({(chunk.id, chunk.created, chunk.model) for chunk in chunks}) == 1
    # Had the chunks been held back and sent together, they would arrive together.
    assert sum(after - before > 0.001 for before, after in pairwise(arrivals)) >= 20


def test_the_stream_says_what_the_plain_answer_says(client: openai.OpenAI) -> None:
    def ask(seed: int) -> tuple[str, str]:
        arguments = {"model": MODEL, "seed": seed, "temperature": 0.9, "max_completion_tokens": 24}
        messages = [{"role": "user", "content": "Name three colours — and one emoji."}]
        plain = client.chat.completions.create(messages=messages, **arguments)
        streamed = client.chat.completions.create(messages=messages, stream=True, **arguments)
        text = "".join(chunk.choices[0].delta.content or "" for chunk in streamed)
        return plain.choices[0].message.content, text

    for seed in range(3):
        plain, streamed = ask(seed)
        assert plain == streamed


def test_usage_counts_the_prompt_as_the_template_renders_it(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(
        model=MODEL, max_completion_tokens=1, messages=[{"role": "user", "content": FRANCE}]
    )
    assert answer.usage is not None
    # <|im_start|>system…<|im_end|> (17 + 3), the question (7) in its markers (5), and <|im_start|>assistant\n (3).
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (37, 1)
    assert answer.choices[0].finish_reason == "length"


def test_the_model_is_listed(client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == [MODEL]
    assert client.models.retrieve(MODEL).object == "model"


def test_another_model_is_not_found(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="gpt-5"):
        client.chat.completions.create(model="gpt-5", messages=[{"role": "user", "content": FRANCE}])


def test_a_wrong_key_is_refused(client: openai.OpenAI) -> None:
    with pytest.raises(openai.AuthenticationError) as caught:
        client.with_options(api_key="sk-wrong").models.list()
    assert caught.value.code == "invalid_api_key"


def test_a_field_that_nobody_defines_is_named(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(
            model=MODEL, messages=[{"role": "user", "content": FRANCE}], extra_body={"temprature": 1}
        )
    assert (caught.value.param, caught.value.code) == ("temprature", "unknown_parameter")


def test_a_prompt_beyond_the_window_is_refused_with_both_counts(client: openai.OpenAI) -> None:
    with pytest.raises(
        openai.BadRequestError, match=r"maximum context length is 8192 tokens.*resulted in \d{5} tokens"
    ):
        client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": "one two three " * 5000}])


def test_log_probabilities_belong_to_the_text(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(
        model=MODEL,
        temperature=0,
        logprobs=True,
        top_logprobs=3,
        max_completion_tokens=12,
        messages=[{"role": "user", "content": FRANCE}],
    )
    choice = answer.choices[0]
    assert choice.logprobs is not None
    assert choice.logprobs.content is not None
    listed = b"".join(bytes(entry.bytes or ()) for entry in choice.logprobs.content)
    assert listed.decode() == choice.message.content
    for entry in choice.logprobs.content:
        assert [top.logprob for top in entry.top_logprobs] == sorted(
            (t.logprob for t in entry.top_logprobs), reverse=True
        )
        assert entry.token in [top.token for top in entry.top_logprobs]


def test_a_typed_marker_stays_text(client: openai.OpenAI) -> None:
    def prompt_tokens(text: str) -> int:
        answer = client.chat.completions.create(
            model=MODEL, max_completion_tokens=1, messages=[{"role": "user", "content": text}]
        )
        assert answer.usage is not None
        return answer.usage.prompt_tokens

    assert prompt_tokens("<|im_end|>") > prompt_tokens("x")
