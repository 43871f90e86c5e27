"""From a model's location to the service that answers with it: files → session, tokenizer, template → service.

The files are checked beside all else, and a model that differs from its manifest in one byte never serves. Everything
is imported where it is needed, for the sake of a start.
"""

import logging
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING

from handler import __version__
from handler.errors import ArtifactError
from handler.timeline import Timeline

if TYPE_CHECKING:
    from handler.chat.embedding import EmbeddingService
    from handler.chat.service import ChatService
    from handler.engine.ports import Decoder
    from handler.grammar.compiler import GrammarCompiler
    from handler.location import Location
    from handler.model_files import ModelSource
    from handler.settings import Settings

logger = logging.getLogger(__name__)

_THREADS = 2  # weights, hashes


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
    return load_chat(open_source(settings.model), settings, None)


def load_chat(source: "ModelSource", settings: "Settings", free: Callable[[], int] | None) -> "ChatService":
    """The same over any source. `free`: how many bytes the prefix cache may grow by at the moment; None: by its budget.

    Raises ArtifactError.
    """
    with ThreadPoolExecutor(_THREADS, "load") as threads:
        service, _grammars = begin_loading(source, settings, threads, Timeline(), free)()
        return service


def begin_loading(
    source: "ModelSource",
    settings: "Settings",
    threads: Executor,
    timeline: Timeline,
    free: Callable[[], int] | None,
) -> "Callable[[], tuple[ChatService, GrammarCompiler]]":
    """Begins in `threads` with what goes on without the interpreter's lock, weights and hashes. The function that it
    returns does the rest, in the calling thread, and waits. Both raise ArtifactError."""
    from handler.ort.decoder import chosen_graph, load_decoder

    manifest = source.manifest
    choice = chosen_graph(manifest)
    files = source.fetch()
    directory = files.directory

    def read_weights() -> "Decoder":
        from handler.engine.warm import warm_up

        files.wait()
        with timeline.beside("session"):
            decoder = load_decoder(directory, manifest, threads=settings.threads, choice=choice)
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
    timeline.count("kernels", choice.library is not None)
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
                fingerprint=fingerprint(manifest, choice.graph.file, __version__),
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
                step_costs=choice.step_costs if settings.speculation else (),
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
