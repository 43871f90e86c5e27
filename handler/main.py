"""The composition root: settings → model → chat → app → (stream | buffered | local server).

Where Lambda names its Runtime API the answer leaves through it, in the mode of `LLM_MODE`; elsewhere over HTTP.
What needs the interpreter is done one after the other, and beside it what does not: reading weights and hashing files.
So the weights come first, and everything is imported where it is needed.
"""

import gc
import logging
import os
import socket
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING
from weakref import WeakMethod

from handler.errors import ConfigurationError
from handler.timeline import Timeline

if TYPE_CHECKING:
    from fastapi import FastAPI

    from handler.access import Access
    from handler.api.shelf import Slot
    from handler.aws.snapstart import RestoreHook
    from handler.chat.embedding import EmbeddingService
    from handler.chat.service import ChatService
    from handler.model_files import ModelSource
    from handler.record import RequestLog
    from handler.settings import LambdaEnvironment, Settings

logger = logging.getLogger(__name__)

# What libraries read when they are imported.
_LIGHTER = {
    "ORT_DISABLE_TELEMETRY": "1",  # onnxruntime's official builds report each process and model to their makers
    "OPENBLAS_NUM_THREADS": "1",  # numpy starts no threads: nothing here multiplies matrices with it
    "PYDANTIC_DISABLE_PLUGINS": "__all__",  # pydantic does not search every installed package for one
}
_THREADS = 4  # weights, hashes, embeddings, keys


def main(timeline: Timeline | None = None) -> int:
    """Serves until told to stop. Returns the exit status: 1 if the settings or the model are not usable."""
    timeline = timeline or Timeline()
    gc.disable()  # until ready: a start makes 120,000 objects and hardly any garbage
    for name, value in _LIGHTER.items():
        os.environ.setdefault(name, value)
    from handler.access import access_of
    from handler.request_log import request_log_of
    from handler.settings import load_lambda_environment, load_settings

    surroundings = load_lambda_environment()
    listener: socket.socket | None = None
    try:
        settings = load_settings()
        _configure_logging(settings)
        if surroundings.runtime_api is None:
            from handler.http_server import listen

            listener = listen(settings.host, settings.port)
        log = request_log_of(settings, surroundings)
        timeline.end("settings")
        access = access_of(settings, on_lambda=surroundings.runtime_api is not None)
        app = build_app(settings, timeline, access, log)
    except Exception as error:
        return _refuse(error, surroundings.runtime_api)
    if listener is not None:
        _serve_http(app, listener)
    elif surroundings.runtime_api is not None:
        _serve_lambda(app, settings, surroundings, surroundings.runtime_api, access.on_restore, log)
    return 0


def build_app(settings: "Settings", timeline: Timeline, access: "Access", log: "RequestLog | None" = None) -> "FastAPI":
    """The ASGI application over the models that the settings name, for whom `access` lets in. `timeline` is told of
    each phase, and written when the application's lifespan begins. Each request is a line of `log`.

    Raises ArtifactError if a model is missing, damaged or of another format, and ConfigurationError if two
    models have the same name or keys cannot be had.
    """
    from handler.api.ledger import Ledger
    from handler.loading import begin_loading, load_embedding_service, open_source

    ledger = Ledger()

    def free() -> int:
        return ledger.free

    with ThreadPoolExecutor(_THREADS, "load") as threads:
        preparing_access = None if access.prepare is None else threads.submit(_prepare_access, access.prepare, timeline)
        source = open_source(settings.model)
        finish = begin_loading(source, settings, threads, timeline, free)
        embedding_source = None if settings.embedding_model is None else open_source(settings.embedding_model)
        loading_embeddings = None
        if embedding_source is not None:
            loading_embeddings = threads.submit(load_embedding_service, embedding_source, settings)
        from handler.api.no_openapi import leave_out_openapi

        leave_out_openapi()
        from handler.api.app import ApiConfig, create_app
        from handler.catalogue import Catalogue, make_shelf
        from handler.process_memory import give_back, memory_limit, resident_bytes
        from handler.settings import load_lambda_environment

        timeline.end("api")
        service, grammars = finish()
        embeddings = None if loading_embeddings is None else loading_embeddings.result()
        if preparing_access is not None:
            preparing_access.result()
    catalogue = Catalogue()
    catalogue.add_chat(_chat_slot(source, settings, free, service=service), settings.model_alias)
    if embedding_source is not None:
        slot = _embedding_slot(embedding_source, settings, service=embeddings)
        catalogue.add_embedding(slot, settings.embedding_model_alias)
    for further in settings.models:
        further_source = open_source(further.location)
        if further_source.manifest.embedding is None:
            catalogue.add_chat(_chat_slot(further_source, settings, free, name=further.name))
        else:
            catalogue.add_embedding(_embedding_slot(further_source, settings, name=further.name))
    config = ApiConfig(
        keys=access.keys,
        counter=access.counter,
        cors_origins=settings.cors_origins,
        max_body_bytes=settings.max_body_bytes,
        max_concurrency=settings.max_concurrency,
        max_prompt_tokens=settings.max_prompt_tokens,
        max_output_tokens=settings.max_output_tokens,
        max_seconds=settings.max_seconds,
        max_choices=settings.max_choices,
        unknown_fields=settings.unknown_fields,
        batching=settings.batching,
    )
    surroundings = load_lambda_environment()
    warm_grammars = WeakMethod(grammars.warm)  # its model may be dropped
    app = create_app(
        catalogue.chats,
        config,
        embeddings=catalogue.embeddings,
        shelf=make_shelf(
            catalogue.slots,
            ledger,
            memory=memory_limit(given_mb=settings.memory_mb, lambda_mb=surroundings.function_memory_size),
            resident=resident_bytes(),
            budget=settings.models_mb * 2**20,
            after_dropping=give_back,
        ),
        log=log,
        on_ready=lambda: _ready(timeline, log),
        # In an ordinary Lambda function nothing runs beside a request that needs it: there it is read then.
        when_quiet=(lambda: _call(warm_grammars)) if surroundings.side_by_side else None,
    )
    timeline.end("app")
    return app


def _prepare_access(prepare: Callable[[], None], timeline: Timeline) -> None:
    with timeline.beside("keys"):
        prepare()


def _chat_slot(
    source: "ModelSource",
    settings: "Settings",
    free: Callable[[], int],
    *,
    name: str | None = None,
    service: "ChatService | None" = None,
) -> "Slot[ChatService]":
    from handler.catalogue import slot_of
    from handler.loading import load_chat

    return slot_of(source, partial(load_chat, source, settings, free), name=name, service=service)


def _embedding_slot(
    source: "ModelSource", settings: "Settings", *, name: str | None = None, service: "EmbeddingService | None" = None
) -> "Slot[EmbeddingService]":
    from handler.catalogue import slot_of
    from handler.loading import load_embedding_service

    return slot_of(source, partial(load_embedding_service, source, settings), name=name, service=service)


def _configure_logging(settings: "Settings") -> None:
    """Messages go to standard error as they are: those that machines read are JSON already."""
    logging.basicConfig(level=settings.log_level.upper(), format="%(message)s", stream=sys.stderr)
    # At its lower levels AWS's library writes what it was asked and answered, secrets too.
    logging.getLogger("botocore").setLevel(logging.WARNING)


def _refuse(error: Exception, runtime_api: str | None) -> int:
    """Says on one line why the process cannot start; on Lambda, to the Runtime API too."""
    if not isinstance(error, ConfigurationError):
        logger.error("The server cannot start", exc_info=error)
    sys.stderr.write(f"lambda-llm: {error}\n")
    if runtime_api is not None:
        from handler.aws.runtime_client import report_init_error

        report_init_error(runtime_api, error)
    return 1


def _call(method: "WeakMethod[Callable[[], None]]") -> None:
    """Calls a method of an object that is still there."""
    found = method()
    if found is not None:
        found()


def _ready(timeline: Timeline, log: "RequestLog | None") -> None:
    """The last step of a start, and the line that tells of all."""
    # What there is now stays until the end: no collection during an answer has to look at it.
    gc.freeze()
    gc.enable()
    timeline.end("server")
    if log is not None:
        log.ready(timeline.total_ms)
    logger.info(timeline.to_json())


def _serve_http(app: "FastAPI", listener: socket.socket) -> None:
    from handler.http_server import serve_http

    host, port = listener.getsockname()[:2]
    url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    logger.info("Serving on %s/v1 (chat page: %s/)", url, url)
    serve_http(app, listener)


def _serve_lambda(
    app: "FastAPI",
    settings: "Settings",
    surroundings: "LambdaEnvironment",
    runtime_api: str,
    on_restore: "Sequence[RestoreHook]",
    log: "RequestLog",
) -> None:
    from handler.aws.snapstart import reseed

    on_restore = (reseed, *on_restore, log.restored)
    if not settings.has_keys:
        logger.warning("Neither LLM_API_KEYS nor LLM_API_KEYS_FROM is set: whoever can reach this function may use it")
    if settings.mode == "buffered":
        from handler.aws.ric import serve_buffered

        serve_buffered(
            app,
            runtime_api=runtime_api,
            deadline_margin_ms=settings.deadline_margin_ms,
            on_restore=on_restore,
            log=log,
        )
        return
    import asyncio

    from handler.aws.loop import serve_streaming

    asyncio.run(
        serve_streaming(
            app,
            runtime_api=runtime_api,
            init_type=surroundings.initialization_type,
            max_concurrency=surroundings.max_concurrency,
            deadline_margin_ms=settings.deadline_margin_ms,
            on_restore=on_restore,
            log=log,
        )
    )
