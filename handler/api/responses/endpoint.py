"""From a Responses request to its answer."""

import time
import uuid
from contextlib import nullcontext
from functools import partial

from fastapi import Request, Response

from handler.api.answering import Answering, dropped_header, receive_object
from handler.api.auth import tenant_of
from handler.api.limits import Limits
from handler.api.models import Models
from handler.api.responses.answers import fold_response, named_events, stream_response
from handler.api.responses.events import ResponseEvents
from handler.api.responses.objects import Head
from handler.api.responses.request import ResponsesRequest, naming_own_fields, read_responses_request
from handler.chat.service import ChatService, PreparedChat
from handler.errors import EndpointError
from handler.record import RequestRecord


async def create_response(request: Request, *, models: Models, answering: Answering, limits: Limits) -> Response:
    record = RequestRecord.of(request.scope)
    body = await receive_object(request, limits.max_body_bytes)
    models.fill_in(body)
    asked = read_responses_request(
        body, unknown_fields=limits.unknown_fields, max_output_tokens=limits.max_output_tokens
    )
    slot = models.chat(asked.model)
    record.model, record.stream = asked.model, asked.stream
    with answering.turn(request) as turn:
        service = await turn.hold(slot)
        head = Head(id=_new_id("resp"), created_at=int(time.time()), asked=asked.repeated)
        response = ResponseEvents(head, new_id=_new_id, clock=time.time, cost=record.told_cost)
        prepare = partial(_prepare, service, asked, tenant_of(request.scope), limits)
        headers = dropped_header(asked.dropped)
        if asked.stream:
            render = partial(stream_response, response=response, record=record)
            failure = partial(_failure, response)
            return await turn.streamed(prepare, render, headers=headers, failure=failure)
        fold = partial(fold_response, response=response, record=record)
        return await turn.whole(prepare, fold, headers=headers)


def _prepare(service: ChatService, asked: ResponsesRequest, tenant: bytes, limits: Limits, room: int) -> PreparedChat:
    wanted = asked.answer_format
    with naming_own_fields(), nullcontext() if wanted is None else wanted.blamed():
        prepared = service.prepare(
            asked.conversation,
            asked.params,
            asked.template,
            tools=asked.tools,
            response_format=None if wanted is None else wanted.grammar,
            tenant=tenant,
        ).within(room)
    return limits.allowed(prepared, param="input")


def _failure(response: ResponseEvents, error: EndpointError) -> bytes:
    return named_events(response.fail(error))


def _new_id(prefix: str) -> str:
    return f"{prefix}_{uuid.uuid4().hex}"
