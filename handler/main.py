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
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING
from weakref import WeakMethod

from handler import __version__
from handler.errors import ArtifactError, ConfigurationError
from handler.timeline import Timeline

if TYPE_CHECKING:
    from fastapi import FastAPI

    from handler.access import Access
    from handler.api.shelf import Slot
    from handler.aws.snapstart import RestoreHook
    from handler.chat.embedding import EmbeddingService
    from handler.chat.service import ChatService
    from handler.engine.ports import Decoder
    from handler.grammar.compiler import GrammarCompiler
    from handler.location import Location
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
_LOADERS = 4  # threads: weights, hashes, embeddings, keys


def main(timeline: Timeline | None = None) -> int:
    """Serves until told to stop. Returns the exit status: 1 if the settings or the model are not usable."""
    timeline = timeline or Timeline()
    gc.disable()  # until ready: a start makes 120,000 objects and hardly any garbage
    for name, value in _LIGHTER.items():
        os.environ.setdefault(name, value)
    from handler.access import access_of
    from handler.request_log import request_log_of
    from handler.settings import LambdaEnvironment, load_settings

    surroundings = LambdaEnvironment()
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

    ledger = Ledger()

    def free() -> int:
        return ledger.free

    with ThreadPoolExecutor(_LOADERS, "load") as threads:
        preparing_access = None if access.prepare is None else threads.submit(_prepare_access, access.prepare, timeline)
        source = open_source(settings.model)
        finish = _begin_loading(source, settings, threads, timeline, free)
        embedding_source = None if settings.embedding_model is None else open_source(settings.embedding_model)
        loading_embeddings = None
        if embedding_source is not None:
            loading_embeddings = threads.submit(load_embedding_service, embedding_source, settings)
        from handler.api.no_openapi import leave_out_openapi

        leave_out_openapi()
        from handler.api.app import ApiConfig, create_app
        from handler.catalogue import Catalogue, make_shelf
        from handler.process_memory import give_back, memory_limit, resident_bytes
        from handler.settings import LambdaEnvironment

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
    surroundings = LambdaEnvironment()
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

    return slot_of(source, partial(_load_chat_service, source, settings, free), name=name, service=service)


def _embedding_slot(
    source: "ModelSource", settings: "Settings", *, name: str | None = None, service: "EmbeddingService | None" = None
) -> "Slot[EmbeddingService]":
    from handler.catalogue import slot_of

    return slot_of(source, partial(load_embedding_service, source, settings), name=name, service=service)


def open_source(location: "Location") -> "ModelSource":
    """The model at a location, of which the manifest is read and nothing else.

    Raises ArtifactError if it holds no manifest that this server reads, ConfigurationError if S3 lets nobody read it.
    """
    from pathlib import Path

    from handler.model_files import DirectorySource

    if isinstance(location, Path):
        return DirectorySource(location)
    from handler.aws.store.source import S3Source

    source = S3Source(location)
    if location.sha256 is None:
        logger.info("%s may change; %s is what it is now and stays", location, source.pinned)
    return source


def load_chat_service(settings: "Settings") -> "ChatService":
    """The chat service over the exported model in `settings.model`, every file of it checked against its hash.

    Raises ArtifactError; where files differ from the manifest, that is what it says.
    """
    return _load_chat_service(open_source(settings.model), settings, None)


def _load_chat_service(source: "ModelSource", settings: "Settings", free: Callable[[], int] | None) -> "ChatService":
    with ThreadPoolExecutor(_LOADERS, "load") as threads:
        service, _grammars = _begin_loading(source, settings, threads, Timeline(), free)()
        return service


def _begin_loading(
    source: "ModelSource",
    settings: "Settings",
    threads: Executor,
    timeline: Timeline,
    free: Callable[[], int] | None,
) -> "Callable[[], tuple[ChatService, GrammarCompiler]]":
    """Begins with what goes on without the interpreter's lock, weights and hashes. The function that it returns does
    the rest, in the calling thread, and waits."""
    from handler.ort.decoder import load_decoder

    manifest = source.manifest
    files = source.fetch()
    directory = files.directory

    def read_weights() -> "Decoder":
        from handler.engine.warm import warm_up

        files.wait()
        with timeline.beside("session"):
            decoder = load_decoder(directory, manifest, threads=settings.threads)
        with timeline.beside("warm step"):
            warm_up(decoder)
        return decoder

    def check_hashes() -> None:
        with timeline.beside("hashes" if files.fetched is None else "store"):
            files.verify()
        if files.fetched is not None:
            timeline.count("store_bytes", files.fetched)

    weights = threads.submit(read_weights)
    verified = threads.submit(check_hashes)
    timeline.end("runtime")

    def finish() -> "tuple[ChatService, GrammarCompiler]":
        from handler.chat.fingerprint import fingerprint
        from handler.chat.service import ChatService, ServedModel
        from handler.chat.template import ChatTemplate
        from handler.engine.footprint import Footprint
        from handler.engine.prefix_cache import PrefixCache
        from handler.grammar.compiler import GrammarCompiler
        from handler.ort.baked import load_prefix
        from handler.ort.kv_arrays import position_bytes
        from handler.tokenizer import HFTokenizer

        try:
            files.wait(manifest.tokenizer_file)
            tokenizer = HFTokenizer.from_file(directory / manifest.tokenizer_file)
            timeline.end("tokenizer")
            template = None
            if manifest.chat_template_file is not None:
                files.wait(manifest.chat_template_file)
                text = (directory / manifest.chat_template_file).read_text(encoding="utf-8")
                template = ChatTemplate(text, manifest.special_tokens)
                template.compile()
            timeline.end("template")
        finally:
            verified.result()  # of a damaged file, that is what is told
        grammars = GrammarCompiler(tokenizer, vocab_size=manifest.vocab_size, end_token_ids=manifest.end_token_ids)
        baked = load_prefix(directory, manifest)
        decoder = weights.result()
        service = ChatService(
            ServedModel(
                name=manifest.name,
                created=manifest.created,
                decoder=decoder,
                tokenizer=tokenizer,
                chat_template=template,
                end_token_ids=manifest.end_token_ids,
                fingerprint=fingerprint(manifest, __version__),
                start_token_ids=tokenizer.start_ids,
                bos_token_id=manifest.bos_token_id,
                grammars=grammars,
                recommended=manifest.generation_defaults.model_dump(exclude_none=True),
                prefixes=PrefixCache(
                    decoder,
                    budget=settings.prefix_cache_mb * 2**20,
                    baked=() if baked is None else (baked,),
                    answers=settings.prefix_cache_answers,
                    free=free,
                ),
                footprint=Footprint(position=position_bytes(manifest.graph), logits=4 * manifest.vocab_size),
                # A growing cache is copied to forget a wrong guess: that can cost more than the guess would save.
                speculation=settings.speculation and manifest.graph.kv_layout == "shared",
            )
        )
        timeline.end("model")
        service.warm()
        return service, grammars

    def finish_and_close() -> "tuple[ChatService, GrammarCompiler]":
        with closing(files):
            return finish()

    return finish_and_close


def load_embedding_service(source: "ModelSource", settings: "Settings") -> "EmbeddingService":
    """The embedding service over an exported embedding model. Raises ArtifactError, as `load_chat_service` does."""
    from handler.chat.embedding import EmbeddingModel, EmbeddingService
    from handler.embedding_tokenizer import EmbeddingTokenizer
    from handler.engine.embedding import Vectors
    from handler.ort.embedding import load_encoder

    manifest = source.manifest
    with closing(source.fetch()) as files:
        files.verify()
        encoder = load_encoder(files.directory, manifest, threads=settings.threads)
        tokenizer = EmbeddingTokenizer.from_file(files.directory / manifest.tokenizer_file)
    if manifest.embedding is None:
        raise ArtifactError(f"{manifest.name} does not say how it embeds: export the model again")
    service = EmbeddingService(
        EmbeddingModel(
            name=manifest.name,
            created=manifest.created,
            encoder=encoder,
            tokenizer=tokenizer,
            vectors=Vectors(pooling=manifest.embedding.pooling, normalize=manifest.embedding.normalize),
            dimensions=manifest.embedding.dimensions,
        )
    )
    service.warm()
    return service


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
