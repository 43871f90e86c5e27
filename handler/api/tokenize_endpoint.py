"""From a request for tokens, or for their text, to its answer."""

from collections.abc import Callable
from functools import partial

from fastapi import Request, Response

from handler.api.answering import Answering, dropped_header, receive_object
from handler.api.limits import Limits
from handler.api.models import Models
from handler.api.tokenize_request import (
    DetokenizeRequest,
    TokenizeRequest,
    read_detokenize_request,
    read_tokenize_request,
)
from handler.api.values import JsonObject
from handler.chat.raw import RawText, check_known
from handler.chat.service import ChatService
from handler.record import RequestRecord


async def tokenize(request: Request, *, models: Models, answering: Answering, limits: Limits) -> Response:
    body = await receive_object(request, limits.max_body_bytes)
    asked = read_tokenize_request(body, unknown_fields=limits.unknown_fields)
    return await _answer(request, models, answering, asked, partial(_tokenized, asked=asked))


async def detokenize(request: Request, *, models: Models, answering: Answering, limits: Limits) -> Response:
    body = await receive_object(request, limits.max_body_bytes)
    asked = read_detokenize_request(body, unknown_fields=limits.unknown_fields)
    return await _answer(request, models, answering, asked, partial(_detokenized, asked=asked))


async def _answer(
    request: Request,
    models: Models,
    answering: Answering,
    asked: TokenizeRequest | DetokenizeRequest,
    compute: Callable[[ChatService], JsonObject],
) -> Response:
    name = models.default if asked.model is None else asked.model
    slot = models.chat(name)
    RequestRecord.of(request.scope).model = name
    with answering.turn(request) as turn:
        service = await turn.hold(slot)
        return await turn.computed(partial(compute, service), headers=dropped_header(asked.dropped))


def _tokenized(service: ChatService, asked: TokenizeRequest) -> JsonObject:
    model, text = service.model, asked.text
    if isinstance(text, str):
        token_ids = RawText(model).encode(text, add_start=asked.add_start)
    else:
        start = model.start_token_ids if asked.add_start else ()
        token_ids = (*start, *service.prompt_ids(text.conversation, text.template, text.tools))
    return {
        "count": len(token_ids),
        "max_model_len": model.decoder.context_window,
        "tokens": list(token_ids),
        "token_strs": [model.tokenizer.piece(i) for i in token_ids] if asked.token_strs else None,
    }


def _detokenized(service: ChatService, asked: DetokenizeRequest) -> JsonObject:
    check_known(asked.tokens, service.model.decoder.vocab_size, "tokens")
    return {"prompt": RawText(service.model).decode(asked.tokens)}
