"""POST /v1/responses: stateless. Nothing is stored, so there is nothing to retrieve, delete or cancel.

What answers is imported with the first request: most processes never get one.
"""

from fastapi import APIRouter, Request, Response

from handler.api.answering import Answering
from handler.api.limits import Limits
from handler.api.models import Models


def responses_router(*, models: Models, answering: Answering, limits: Limits) -> APIRouter:
    router = APIRouter()

    @router.post("/v1/responses")
    async def create_response_late(request: Request) -> Response:
        from handler.api.responses.endpoint import create_response

        return await create_response(request, models=models, answering=answering, limits=limits)

    return router
