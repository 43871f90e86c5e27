"""From an embeddings request to its answer."""

from functools import partial

from fastapi import Request, Response

from handler.api.answering import Answering, dropped_header, receive_object
from handler.api.embedding_answers import fold_embeddings
from handler.api.embedding_request import EmbeddingRequest, read_embedding_request
from handler.api.limits import Limits
from handler.api.models import Models
from handler.chat.embedding import EmbeddingService, PreparedEmbedding
from handler.record import RequestRecord


async def create_embedding(request: Request, *, models: Models, answering: Answering, limits: Limits) -> Response:
    record = RequestRecord.of(request.scope)
    body = await receive_object(request, limits.max_body_bytes)
    asked = read_embedding_request(body, unknown_fields=limits.unknown_fields)
    slot = models.embedding(asked.model)
    record.model = asked.model
    with answering.turn(request) as turn:
        service = await turn.hold(slot)
        prepare = partial(_prepare, service, asked, limits)
        fold = partial(
            fold_embeddings, model=asked.model, count=len(asked.inputs), as_base64=asked.as_base64, record=record
        )
        return await turn.whole(prepare, fold, headers=dropped_header(asked.dropped))


def _prepare(service: EmbeddingService, asked: EmbeddingRequest, limits: Limits, _room: int) -> PreparedEmbedding:
    """Its batches are small, whatever was asked: they need no room of their own."""
    return service.prepare(asked.inputs, dimensions=asked.dimensions, max_tokens=limits.max_prompt_tokens)
