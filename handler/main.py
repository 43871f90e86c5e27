"""The composition root: settings → model → chat → app → (stream | buffered | local server).

Where Lambda names its Runtime API the answer leaves through it, in the mode of `LLM_MODE`; elsewhere over HTTP.
The model loads in a thread while the web framework is imported: neither waits for the other.
"""

import asyncio
import contextlib
import logging
import os
import socket
import sys
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

from handler import __version__
from handler.errors import ArtifactError, ConfigurationError
from handler.settings import LambdaEnvironment, Settings, load_settings

if TYPE_CHECKING:
    from fastapi import FastAPI

    from handler.chat.embedding import EmbeddingService
    from handler.chat.service import ChatService

logger = logging.getLogger(__name__)

# How long the local server lets answers go on after Ctrl-C, in seconds.
STOP_GRACE = 3


def main() -> int:
    """Serves until told to stop. Returns the exit status: 1 if the settings or the model are not usable."""
    surroundings = LambdaEnvironment()
    try:
        settings = load_settings()
        _configure_logging(settings)
        app = build_app(settings)
    except Exception as error:
        return _refuse(error, surroundings.runtime_api)
    if surroundings.runtime_api is None:
        return _serve_http(app, settings)
    if not settings.api_keys:
        logger.warning("LLM_API_KEYS is empty: whoever can reach this function may use it")
    if settings.mode == "stream":
        from handler.aws.loop import serve_streaming

        asyncio.run(
            serve_streaming(
                app,
                runtime_api=surroundings.runtime_api,
                init_type=surroundings.initialization_type,
                max_concurrency=surroundings.max_concurrency,
                deadline_margin_ms=settings.deadline_margin_ms,
            )
        )
    else:
        from handler.aws.ric import serve_buffered

        serve_buffered(app, runtime_api=surroundings.runtime_api, deadline_margin_ms=settings.deadline_margin_ms)
    return 0


def build_app(settings: Settings) -> "FastAPI":
    """The ASGI application over the models that the settings name.

    Raises ArtifactError if a model directory is missing, damaged or of another format, and ConfigurationError if two
    models have the same name.
    """
    with ThreadPoolExecutor(2, "load") as threads:
        loading: Future[ChatService] = threads.submit(load_chat_service, settings)
        loading_embeddings = threads.submit(load_embeddings, settings)
        from handler.api.app import ApiConfig, create_app

        service, embeddings = loading.result(), loading_embeddings.result()
    services = dict.fromkeys((service.model.name, *settings.model_alias), service)
    if twice := services.keys() & embeddings.keys():
        raise ConfigurationError(
            f"The chat model and the embedding model are both named {min(twice)}: change an alias, or export one of"
            " them with another --name"
        )
    config = ApiConfig(
        api_keys=tuple(key.get_secret_value() for key in settings.api_keys),
        cors_origins=settings.cors_origins,
        max_body_bytes=settings.max_body_bytes,
        max_concurrency=settings.max_concurrency,
        max_output_tokens=settings.max_output_tokens,
        max_choices=settings.max_choices,
        unknown_fields=settings.unknown_fields,
    )
    return create_app(services, config, embeddings=embeddings)


def load_chat_service(settings: Settings) -> "ChatService":
    """The chat service over the exported model in `settings.model`, every file of it checked against its hash.

    Weights, hashes and tokenizer are read side by side: most of it happens outside the interpreter's lock.
    Raises ArtifactError; where files differ from the manifest, that is what it says.
    """
    from handler.artifact import verify_files
    from handler.chat.fingerprint import fingerprint
    from handler.chat.service import ChatService, ServedModel
    from handler.chat.template import ChatTemplate
    from handler.grammar.compiler import GrammarCompiler
    from handler.manifest import ModelManifest
    from handler.ort.decoder import load_decoder
    from handler.tokenizer import HFTokenizer

    directory = settings.model
    manifest = ModelManifest.read(directory)
    with ThreadPoolExecutor(3, "load") as threads:
        verified = threads.submit(verify_files, directory, manifest, full=True)
        decoder = threads.submit(load_decoder, directory, manifest, threads=settings.threads)
        tokenizer = threads.submit(HFTokenizer.from_file, directory / manifest.tokenizer_file)
        verified.result()
        template = None
        if manifest.chat_template_file is not None:
            source = (directory / manifest.chat_template_file).read_text(encoding="utf-8")
            template = ChatTemplate(source, manifest.special_tokens)
        loaded = tokenizer.result()
        grammars = GrammarCompiler(loaded, vocab_size=manifest.vocab_size, end_token_ids=manifest.end_token_ids)
        if LambdaEnvironment().side_by_side:
            grammars.warm()
        service = ChatService(
            ServedModel(
                name=manifest.name,
                created=manifest.created,
                decoder=decoder.result(),
                tokenizer=loaded,
                chat_template=template,
                end_token_ids=manifest.end_token_ids,
                fingerprint=fingerprint(manifest, __version__),
                start_token_ids=loaded.start_ids,
                bos_token_id=manifest.bos_token_id,
                grammars=grammars,
                recommended=manifest.generation_defaults.model_dump(exclude_none=True),
            )
        )
    service.warm()
    return service


def load_embeddings(settings: Settings) -> "dict[str, EmbeddingService]":
    """The embedding service by each of its names; empty where `settings.embedding_model` names no model.

    Raises ArtifactError, as `load_chat_service` does.
    """
    if settings.embedding_model is None:
        return {}
    from handler.artifact import verify_files
    from handler.chat.embedding import EmbeddingModel, EmbeddingService
    from handler.embedding_tokenizer import EmbeddingTokenizer
    from handler.engine.embedding import Vectors
    from handler.manifest import ModelManifest
    from handler.ort.embedding import load_encoder

    directory = settings.embedding_model
    manifest = ModelManifest.read(directory)
    verify_files(directory, manifest, full=True)
    encoder = load_encoder(directory, manifest, threads=settings.threads)
    if manifest.embedding is None:
        raise ArtifactError(f"{directory} does not say how it embeds: export the model again")
    service = EmbeddingService(
        EmbeddingModel(
            name=manifest.name,
            created=manifest.created,
            encoder=encoder,
            tokenizer=EmbeddingTokenizer.from_file(directory / manifest.tokenizer_file),
            vectors=Vectors(pooling=manifest.embedding.pooling, normalize=manifest.embedding.normalize),
            dimensions=manifest.embedding.dimensions,
        )
    )
    service.warm()
    return dict.fromkeys((manifest.name, *settings.embedding_model_alias), service)


def _configure_logging(settings: Settings) -> None:
    """Messages go to standard error as they are: those that machines read are JSON already."""
    logging.basicConfig(level=settings.log_level.upper(), format="%(message)s", stream=sys.stderr)


def _refuse(error: Exception, runtime_api: str | None) -> int:
    """Says on one line why the process cannot start; on Lambda, to the Runtime API too."""
    if not isinstance(error, ConfigurationError):
        logger.error("The server cannot start", exc_info=error)
    sys.stderr.write(f"lambda-llm: {error}\n")
    if runtime_api is not None:
        from handler.aws.runtime_client import report_init_error

        report_init_error(runtime_api, error)
    return 1


def _serve_http(app: "FastAPI", settings: Settings) -> int:
    import uvicorn

    host, port = settings.host, settings.port
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.create_server((host, port), family=family)
    except OSError as error:
        sys.stderr.write(
            f"lambda-llm: cannot listen on {host}:{port} ({os.strerror(error.errno or 0)}): choose another LLM_PORT\n"
        )
        return 1
    config = uvicorn.Config(
        app,
        log_config=None,
        log_level="critical",  # faults are logged by the application, without the text that an exception may quote
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=STOP_GRACE,
    )
    url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    logger.info("Serving on %s/v1 (chat page: %s/)", url, url)
    with contextlib.suppress(KeyboardInterrupt):  # uvicorn has stopped in order, and passes the signal on
        uvicorn.Server(config).run(sockets=[listener])
    return 0
