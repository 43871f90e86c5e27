"""POST /v1/embeddings.

What answers is imported with the first request: most processes never get one.
"""

from fastapi import APIRouter, Request, Response

from handler.api.answering import Answering
from handler.api.limits import Limits
from handler.api.models import Models


def embeddings_router(*, models: Models, answering: Answering, limits: Limits) -> APIRouter:
    router = APIRouter()

    @router.post("/v1/embeddings")
    async def create_embedding_late(request: Request) -> Response:
        from handler.api.embedding_endpoint import create_embedding

        return await create_embedding(request, models=models, answering=answering, limits=limits)

    return router
