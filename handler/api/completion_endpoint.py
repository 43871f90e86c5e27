"""From a completions request to its answer."""

import time
import uuid
from functools import partial

from fastapi import Request, Response

from handler.api.answering import Answering, dropped_header, receive_object
from handler.api.auth import tenant_of
from handler.api.chunks import Envelope
from handler.api.completion_answers import CompletionForm, fold_completion, stream_completion
from handler.api.completion_request import CompletionRequest, read_completion_request
from handler.api.limits import Limits
from handler.api.models import Models
from handler.chat.completion import Constraint, PreparedCompletion, prepare_completion
from handler.chat.raw import RawText
from handler.chat.service import ServedModel
from handler.record import RequestRecord


async def create_completion(request: Request, *, models: Models, answering: Answering, limits: Limits) -> Response:
    record = RequestRecord.of(request.scope)
    body = await receive_object(request, limits.max_body_bytes)
    models.fill_in(body)
    asked = read_completion_request(
        body,
        unknown_fields=limits.unknown_fields,
        max_output_tokens=limits.max_output_tokens,
        max_choices=limits.max_choices,
    )
    slot = models.chat(asked.model)
    record.model, record.stream = asked.model, asked.stream
    with answering.turn(request) as turn:
        model = (await turn.hold(slot)).model
        prepare = partial(_prepare, model, asked, tenant_of(request.scope), limits)
        envelope = Envelope(
            id=f"cmpl-{uuid.uuid4().hex}", created=int(time.time()), model=asked.model, fingerprint=model.fingerprint
        )
        form = CompletionForm(
            written=None if asked.params.top_logprobs is None else RawText(model).written,
            include_usage=asked.include_usage,
        )
        headers = dropped_header(asked.dropped)
        if asked.stream:
            render = partial(stream_completion, envelope=envelope, record=record, form=form)
            return await turn.streamed(prepare, render, headers=headers)
        fold = partial(fold_completion, envelope=envelope, record=record, form=form)
        return await turn.whole(prepare, fold, headers=headers)


def _prepare(
    model: ServedModel, asked: CompletionRequest, tenant: bytes, limits: Limits, room: int
) -> PreparedCompletion:
    constraint = (
        None if asked.answer_format is None else Constraint(asked.answer_format.grammar, asked.answer_format.path)
    )
    prepared = prepare_completion(
        model,
        asked.prompts,
        asked.params,
        echo=asked.echo,
        add_start=asked.add_start,
        constraint=constraint,
        tenant=tenant,
    )
    return limits.allowed(prepared.within(room), param="prompt")
