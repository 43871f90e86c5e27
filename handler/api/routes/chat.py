"""POST /v1/chat/completions."""

import time
import uuid
from collections.abc import Mapping
from contextlib import ExitStack
from functools import partial

from fastapi import APIRouter, Request, Response
from starlette.types import Scope

from handler.api.admission import Admission
from handler.api.answers import fold_answer, stream_answer
from handler.api.chat_request import ChatRequest, UnknownFields, read_chat_request
from handler.api.chunks import Envelope, dumps
from handler.api.json_body import check_headers, parse_object, read_body
from handler.api.models import Models
from handler.api.record import RequestRecord
from handler.api.sse import EventStream, watching
from handler.api.stepping import EngineThread
from handler.api.values import JsonObject
from handler.errors import DeadlineExceeded
from handler.scope import DEADLINE

MAX_DROPPED_SHOWN = 32  # paths in x-dropped-fields; clients refuse very long headers


def chat_router(
    *,
    models: Models,
    engine: EngineThread,
    admission: Admission,
    max_body_bytes: int,
    max_output_tokens: int,
    unknown_fields: UnknownFields,
) -> APIRouter:
    router = APIRouter()

    @router.post("/v1/chat/completions")
    async def create_chat_completion(request: Request) -> Response:
        record = RequestRecord.of(request.scope)
        body = await _json(request, max_body_bytes)
        asked = read_chat_request(body, unknown_fields=unknown_fields, max_output_tokens=max_output_tokens)
        service = models.service(asked.model)
        record.model, record.stream = asked.model, asked.stream
        deadline = _deadline(request.scope)
        with ExitStack() as closing:
            closing.enter_context(admission.slot())
            prepared = await engine.call(partial(service.prepare, asked.conversation, asked.params, asked.template))
            record.prompt_tokens = prepared.prompt_tokens
            if _is_over(deadline):
                raise _too_late()
            events = engine.stream(partial(prepared.events, partial(_is_over, deadline)))
            closing.callback(events.cancel)
            envelope = Envelope(
                id=f"chatcmpl-{uuid.uuid4().hex}",
                created=int(time.time()),
                model=asked.model,
                fingerprint=service.model.fingerprint,
            )
            headers = _headers(asked)
            if asked.stream:
                return EventStream(
                    stream_answer(events, envelope, record, include_usage=asked.include_usage),
                    on_disconnect=events.cancel,
                    closing=closing.pop_all(),
                    headers=headers,
                )
            async with watching(request.receive, events.cancel):
                logprobs = asked.params.top_logprobs is not None
                answer = await fold_answer(events, envelope, record, logprobs=logprobs)
            if answer is None:
                return Response(status_code=499)  # nginx's number; nobody will read it
            if record.completion_tokens == 0 and _is_over(deadline):
                raise _too_late()
            return Response(_utf8(answer), media_type="application/json", headers=headers)

    return router


async def _json(request: Request, max_bytes: int) -> JsonObject:
    check_headers(request.headers, max_bytes)
    return parse_object(await read_body(request.stream(), max_bytes))


def _deadline(scope: Scope) -> float | None:
    """When the answer has to end, in monotonic seconds: the server's word, under `scope["state"]["deadline"]`."""
    state: Mapping[str, object] = scope.get("state") or {}
    value = state.get(DEADLINE)
    return float(value) if isinstance(value, int | float) else None


def _is_over(deadline: float | None) -> bool:
    return deadline is not None and time.monotonic() >= deadline


def _too_late() -> DeadlineExceeded:
    return DeadlineExceeded("The time for this request was up before the first token.")


def _headers(asked: ChatRequest) -> dict[str, str]:
    return {"x-dropped-fields": ", ".join(asked.dropped[:MAX_DROPPED_SHOWN])} if asked.dropped else {}


def _utf8(answer: JsonObject) -> bytes:
    return dumps(answer).encode()
