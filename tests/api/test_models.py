"""What the served models' own recommendations do to a request."""

import dataclasses

from handler.api.models import Models
from handler.chat.service import ChatService
from tests.fakes import chat_service


def models() -> Models:
    model = dataclasses.replace(chat_service().model, recommended={"temperature": 0.2, "top_p": 0.9})
    return Models({"fake-model": ChatService(model)})


def test_an_open_field_takes_the_recommended_value() -> None:
    body = {"model": "fake-model", "temperature": None}
    models().fill_in(body)
    assert body == {"model": "fake-model", "temperature": 0.2, "top_p": 0.9}


def test_what_the_request_says_stays() -> None:
    body = {"model": "fake-model", "temperature": 1, "top_p": 0}
    models().fill_in(body)
    assert body == {"model": "fake-model", "temperature": 1, "top_p": 0}


def test_a_request_for_no_model_or_an_unknown_one_is_left_alone() -> None:
    for body in ({}, {"model": "other"}, {"model": 1}):
        kept = dict(body)
        models().fill_in(body)
        assert body == kept
