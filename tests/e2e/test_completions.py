"""Completions of the default model, on the laptop server and through the Lambda runtime."""

import httpx
import openai

from tests.e2e.conftest import MODEL

START = "The capital of France is"


def test_a_text_is_continued(client: openai.OpenAI) -> None:
    answer = client.completions.create(model=MODEL, prompt=START, temperature=0, max_tokens=8)
    assert "Paris" in answer.choices[0].text
    pieces = client.completions.create(model=MODEL, prompt=START, temperature=0, max_tokens=8, stream=True)
    assert "".join(chunk.choices[0].text for chunk in pieces) == answer.choices[0].text


def test_a_prompt_is_scored_token_by_token(client: openai.OpenAI) -> None:
    text = START + " Paris. Größe 🦊"
    scored = client.completions.create(model=MODEL, prompt=text, echo=True, max_tokens=0, logprobs=3)
    choice = scored.choices[0]
    assert (choice.text, choice.finish_reason) == (text, "length")
    told = choice.logprobs
    assert told is not None
    assert told.tokens is not None
    assert told.text_offset is not None
    assert told.token_logprobs is not None
    assert told.top_logprobs is not None
    whole = [token for token in told.tokens if not token.startswith("bytes:")]
    ends = [*told.text_offset[1:], len(text)]
    pieces = [text[a:b] for a, b in zip(told.text_offset, ends, strict=True)]
    assert "".join(pieces) == text
    assert [piece for piece, token in zip(pieces, told.tokens, strict=True) if not token.startswith("bytes:")] == whole
    assert (told.token_logprobs[0], told.top_logprobs[0]) == (None, None)
    assert all(logprob < 0 for logprob in told.token_logprobs[1:])
    paris = told.tokens.index(" Paris")
    assert told.top_logprobs[paris][" Paris"] == told.token_logprobs[paris] > -2
    assert scored.usage is not None
    assert (scored.usage.prompt_tokens, scored.usage.completion_tokens) == (len(told.tokens), 0)


def test_a_rendered_chat_is_answered_as_the_chat(client: openai.OpenAI) -> None:
    """What /tokenize says of a chat is what the chat runs: its token ids, completed, give the chat's answer."""
    messages = [{"role": "user", "content": "What is the capital of France?"}]
    address = str(client.base_url).removesuffix("/v1/")
    with httpx.Client(headers=client.auth_headers, timeout=60) as http:
        tokens = http.post(f"{address}/tokenize", json={"messages": messages}).raise_for_status().json()["tokens"]
        text = http.post(f"{address}/detokenize", json={"tokens": tokens}).raise_for_status().json()["prompt"]
    asked = {"model": MODEL, "temperature": 0, "max_tokens": 16}
    chat = client.chat.completions.create(messages=messages, **asked).choices[0].message.content
    for prompt in (tokens, text):
        assert client.completions.create(prompt=prompt, **asked).choices[0].text == chat
