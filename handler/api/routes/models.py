"""GET /v1/models and GET /v1/models/{id}."""

from fastapi import APIRouter, Request, Response

from handler.api.chunks import dumps
from handler.api.models import Models


def models_router(models: Models) -> APIRouter:
    router = APIRouter()

    @router.api_route("/v1/models", methods=["GET", "HEAD"])
    async def list_models() -> Response:
        return Response(dumps(models.list()), media_type="application/json")

    # Hub ids hold a slash. A parameter of the function's own would make FastAPI import all of pydantic's version 1.
    @router.api_route("/v1/models/{name:path}", methods=["GET", "HEAD"])
    async def retrieve_model(request: Request) -> Response:
        return Response(dumps(models.describe(request.path_params["name"])), media_type="application/json")

    return router
