"""On the real model: a server with a prefix cache says what one without it says, to the last bit of the logits."""

from collections.abc import Generator
from dataclasses import replace

import pytest

from handler.chat.conversation import Conversation, Message
from handler.chat.deltas import ChatEvent, Finished, TextDelta
from handler.chat.service import ChatService
from handler.engine.events import Usage
from handler.engine.params import GenerationParams
from handler.loading import load_chat_service
from handler.settings import Settings
from tests.fakes import told
from tests.models import exported

pytestmark = pytest.mark.timeout(900)

SYSTEM = Message(role="system", content="You are a patient teacher. " * 40)
QUESTIONS = ("Why is the sky blue?", "And at sunset?", "Say that in one sentence.")
LISTED = GenerationParams(temperature=0, max_tokens=24, top_logprobs=3)


@pytest.fixture(scope="module")
def cached() -> ChatService:
    return load_chat_service(Settings(model=exported("default", "int8")))


@pytest.fixture(scope="module")
def plain() -> ChatService:
    return load_chat_service(Settings(model=exported("default", "int8"), prefix_cache_mb=0))


def ask(service: ChatService, messages: list[Message], params: GenerationParams) -> Generator[ChatEvent, None, None]:
    return service.prepare(Conversation(messages=tuple(messages)), params).events()


def check(
    cached: ChatService, plain: ChatService, messages: list[Message], params: GenerationParams = LISTED
) -> tuple[str, Usage]:
    """The text and the usage; both servers say the same, but for what was cached."""
    *events, finished = told(ask(cached, messages, params))
    *expected, last = told(ask(plain, messages, params))
    assert events == expected
    assert isinstance(finished, Finished)
    assert isinstance(last, Finished)
    assert replace(finished.usage, cached_tokens=0) == last.usage
    return "".join(e.text for e in events if isinstance(e, TextDelta)), finished.usage


def test_turns_of_a_conversation(cached: ChatService, plain: ChatService) -> None:
    messages, run = [SYSTEM], 0
    for question in QUESTIONS:
        messages.append(Message(role="user", content=question))
        said, usage = check(cached, plain, messages)
        messages.append(Message(role="assistant", content=said))
        assert usage.cached_tokens == run
        run = usage.prompt_tokens + usage.completion_tokens - 1  # nothing followed the last one: it was not run


def test_another_question_a_choice_of_answers_and_one_given_up(cached: ChatService, plain: ChatService) -> None:
    for content in ("How do birds fly?", "How do fish breathe?", "How do fish breathe?"):
        messages = [SYSTEM, Message(role="user", content=content)]
        given_up = ask(cached, messages, LISTED)
        for _ in range(6):
            next(given_up)
        given_up.close()
        check(cached, plain, messages, replace(LISTED, n=2, temperature=1, seed=5))
        assert check(cached, plain, messages)[1].cached_tokens > 240
