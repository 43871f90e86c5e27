"""POST /tokenize and /detokenize, as vLLM has them.

What answers is imported with the first request: most processes never get one.
"""

from fastapi import APIRouter, Request, Response

from handler.api.answering import Answering
from handler.api.limits import Limits
from handler.api.models import Models


def tokenize_router(*, models: Models, answering: Answering, limits: Limits) -> APIRouter:
    router = APIRouter()

    @router.post("/tokenize")
    async def tokenize_late(request: Request) -> Response:
        from handler.api.tokenize_endpoint import tokenize

        return await tokenize(request, models=models, answering=answering, limits=limits)

    @router.post("/detokenize")
    async def detokenize_late(request: Request) -> Response:
        from handler.api.tokenize_endpoint import detokenize

        return await detokenize(request, models=models, answering=answering, limits=limits)

    return router
