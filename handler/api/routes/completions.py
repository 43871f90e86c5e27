"""POST /v1/completions.

What answers is imported with the first request: most processes never get one.
"""

from fastapi import APIRouter, Request, Response

from handler.api.answering import Answering
from handler.api.limits import Limits
from handler.api.models import Models


def completions_router(*, models: Models, answering: Answering, limits: Limits) -> APIRouter:
    router = APIRouter()

    @router.post("/v1/completions")
    async def create_completion_late(request: Request) -> Response:
        from handler.api.completion_endpoint import create_completion

        return await create_completion(request, models=models, answering=answering, limits=limits)

    return router
