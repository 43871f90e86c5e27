"""GET /health: whether the server is ready. It answers only once its models are loaded: whoever asks before waits."""

from fastapi import APIRouter, Response


def health_router() -> APIRouter:
    router = APIRouter()

    @router.api_route("/health", methods=["GET", "HEAD"])
    async def health() -> Response:
        return Response('{"status":"ready"}', media_type="application/json", headers={"cache-control": "no-store"})

    return router
