"""The FastAPI application, put together from its parts. Importing this module has no effect.

From the outside in: Observed, Cors, FaultBarrier, Authentication, Metering, then the routes.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import field
from typing import TYPE_CHECKING

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware

from handler.api.admission import Admission
from handler.api.answering import Answering
from handler.api.auth import Authentication
from handler.api.error_responses import error_response, from_http_exception, told
from handler.api.limits import Limits
from handler.api.metering import Metering
from handler.api.middleware import EXPOSED_HEADERS, Cors, FaultBarrier, Observed
from handler.api.models import Models
from handler.api.quiet import doing_when_quiet
from handler.api.quota import Quotas
from handler.api.routes.chat import chat_router
from handler.api.routes.completions import completions_router
from handler.api.routes.embeddings import embeddings_router
from handler.api.routes.health import health_router
from handler.api.routes.models import models_router
from handler.api.routes.page import page_router
from handler.api.routes.responses import responses_router
from handler.api.routes.tokenize import tokenize_router
from handler.api.shelf import Shelf, Slot
from handler.api.stepping import EngineThread
from handler.api.unknown_keys import UnknownFields
from handler.chat.service import ChatService
from handler.counter import Counter, MemoryCounter
from handler.errors import EndpointError, InvalidRequest
from handler.frozen import dataclass
from handler.keys import KeySource
from handler.record import RequestLog, RequestRecord

if TYPE_CHECKING:
    from handler.chat.embedding import EmbeddingService


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiConfig:
    """What an operator can choose about the API. `keys` None: whoever reaches it may use it. `cors_origins` empty: no
    CORS headers."""

    keys: KeySource | None = None
    counter: Counter = field(default_factory=MemoryCounter)  # of the limits of keys
    cors_origins: tuple[str, ...] = ("*",)
    max_body_bytes: int = 6 * 1024 * 1024
    max_concurrency: int = 8  # answers in flight; above it 429
    max_prompt_tokens: int = 0  # a cap on every prompt; 0: the window
    max_output_tokens: int = 0  # a cap on every answer; 0: the window
    max_seconds: float = 0.0  # from a request's beginning to its answer's end; 0: no limit of ours
    max_choices: int = 8  # the largest n
    unknown_fields: UnknownFields = "reject"
    batching: bool = True  # answers in flight share decode steps


def create_app(
    chats: Mapping[str, ChatService | Slot[ChatService]],
    config: ApiConfig | None = None,
    *,
    embeddings: "Mapping[str, EmbeddingService | Slot[EmbeddingService]] | None" = None,
    shelf: Shelf | None = None,
    log: RequestLog | None = None,
    on_ready: Callable[[], None] | None = None,
    when_quiet: Callable[[], None] | None = None,
) -> FastAPI:
    """An ASGI app that serves `chats`, which maps each model id and each alias to the model that answers it, and
    `embeddings`, the same of embedding models. `shelf` loads and drops those that are not always in memory.
    Requests that come with no record of their own are written to `log`.

    `on_ready` is called when the lifespan begins; `when_quiet`, later, once no answer is in flight.
    """
    config = config or ApiConfig()
    shelf = shelf or Shelf()
    engine = EngineThread(batching=config.batching)
    admission = Admission(config.max_concurrency)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        if on_ready is not None:
            on_ready()
        async with doing_when_quiet(admission, when_quiet):
            yield
        await asyncio.to_thread(engine.close)
        await asyncio.to_thread(shelf.close)

    app = FastAPI(
        lifespan=lifespan,
        # A schema made from our routes would hold none of the field table: the contract is OpenAI's own.
        openapi_url=None,
        redirect_slashes=False,
        middleware=_middleware(config, log or RequestLog()),
        # Spans and logs of exceptions could quote a prompt.
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
    )
    app.add_exception_handler(EndpointError, _on_endpoint_error)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(RequestValidationError, _on_validation_error)
    models = Models(chats, embeddings)
    answering = Answering(engine, admission, shelf, max_seconds=config.max_seconds)
    limits = Limits(
        max_body_bytes=config.max_body_bytes,
        max_prompt_tokens=config.max_prompt_tokens,
        max_output_tokens=config.max_output_tokens,
        max_choices=config.max_choices,
        unknown_fields=config.unknown_fields,
    )
    for router in (chat_router, completions_router, embeddings_router, responses_router, tokenize_router):
        app.include_router(router(models=models, answering=answering, limits=limits))
    app.include_router(models_router(models))
    app.include_router(health_router())
    app.include_router(page_router())
    return app


def _middleware(config: ApiConfig, log: RequestLog) -> list[Middleware]:
    cors = Middleware(
        Cors,
        allow_origins=config.cors_origins,
        allow_methods=("GET", "HEAD", "POST", "OPTIONS"),
        allow_headers=("*",),
        expose_headers=EXPOSED_HEADERS,
    )
    return [
        Middleware(Observed, log=log),
        *([cors] if config.cors_origins else []),
        Middleware(FaultBarrier),
        *([] if config.keys is None else _guard(config.keys, config.counter)),
    ]


def _guard(keys: KeySource, counter: Counter) -> list[Middleware]:
    return [Middleware(Authentication, keys=keys), Middleware(Metering, quotas=Quotas(counter))]


async def _on_endpoint_error(request: Request, error: Exception) -> Response:
    shown, record = told(error), RequestRecord.of(request.scope)
    if shown is error:
        record.refused(error)
    else:
        record.failed(error)
    return error_response(shown)


async def _on_http_exception(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    return from_http_exception(error, request.method, request.url.path)


async def _on_validation_error(request: Request, error: Exception) -> Response:
    del request, error  # its details quote the input
    return error_response(InvalidRequest("The request could not be read."))
