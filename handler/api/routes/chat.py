"""POST /v1/chat/completions."""

import time
import uuid
from contextlib import nullcontext
from functools import partial

from fastapi import APIRouter, Request, Response

from handler.api.answering import Answering, dropped_header, receive_object
from handler.api.answers import fold_answer, stream_answer
from handler.api.auth import tenant_of
from handler.api.chat_request import ChatRequest, read_chat_request
from handler.api.chunks import AnswerForm, Envelope
from handler.api.limits import Limits
from handler.api.models import Models
from handler.chat.service import ChatService, PreparedChat
from handler.record import RequestRecord


def chat_router(*, models: Models, answering: Answering, limits: Limits) -> APIRouter:
    router = APIRouter()

    @router.post("/v1/chat/completions")
    async def create_chat_completion(request: Request) -> Response:
        record = RequestRecord.of(request.scope)
        body = await receive_object(request, limits.max_body_bytes)
        models.fill_in(body)
        asked = read_chat_request(
            body,
            unknown_fields=limits.unknown_fields,
            max_output_tokens=limits.max_output_tokens,
            max_choices=limits.max_choices,
        )
        slot = models.chat(asked.model)
        record.model, record.stream = asked.model, asked.stream
        with answering.turn(request) as turn:
            service = await turn.hold(slot)
            envelope = Envelope(
                id=f"chatcmpl-{uuid.uuid4().hex}",
                created=int(time.time()),
                model=asked.model,
                fingerprint=service.model.fingerprint,
            )
            headers = dropped_header(asked.dropped)
            form = AnswerForm(
                choices=asked.params.n,
                include_usage=asked.include_usage,
                logprobs=asked.params.top_logprobs is not None,
                legacy_functions=asked.tools is not None and asked.tools.legacy,
            )
            prepare = partial(_prepare, service, asked, tenant_of(request.scope), limits)
            if asked.stream:
                render = partial(stream_answer, envelope=envelope, record=record, form=form)
                return await turn.streamed(prepare, render, headers=headers)
            fold = partial(fold_answer, envelope=envelope, record=record, form=form)
            return await turn.whole(prepare, fold, headers=headers)

    return router


def _prepare(service: ChatService, asked: ChatRequest, tenant: bytes, limits: Limits, room: int) -> PreparedChat:
    wanted = asked.answer_format
    with nullcontext() if wanted is None else wanted.blamed():
        prepared = service.prepare(
            asked.conversation,
            asked.params,
            asked.template,
            tools=asked.tools,
            response_format=None if wanted is None else wanted.grammar,
            tenant=tenant,
            prediction=asked.prediction,
        )
    return limits.allowed(prepared.within(room), param="messages")
