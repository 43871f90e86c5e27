"""The served models by every name that they answer to. Aliases are explicit; no name is ever substituted."""

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from handler.api.values import JsonObject
from handler.chat.service import ChatService
from handler.errors import NotFound

if TYPE_CHECKING:
    from handler.chat.embedding import EmbeddingService

OWNER = "lambda-llm"
_SHOWN = 80  # characters of a foreign name that an error message repeats


class Models:
    """`services` maps each id and each alias to the service that answers it, `embeddings` those of embedding models;
    their order is the order of the list."""

    def __init__(
        self, services: Mapping[str, ChatService], embeddings: Mapping[str, "EmbeddingService"] | None = None
    ) -> None:
        self._services = dict(services)
        self._embeddings = dict(embeddings or {})

    def service(self, name: str) -> ChatService:
        """Raises NotFound (`model_not_found`) that lists what is served."""
        service = self._services.get(name)
        if service is None:
            raise _not_found(name, self._services)
        return service

    def embedding(self, name: str) -> "EmbeddingService":
        """The same of an embedding model. Raises NotFound, for a chat model too."""
        service = self._embeddings.get(name)
        if service is None:
            raise _not_found(name, self._embeddings, "embedding model")
        return service

    def fill_in(self, body: JsonObject) -> None:
        """Puts what the named model's authors recommend where the request leaves a field open."""
        name = body.get("model")
        service = self._services.get(name) if isinstance(name, str) else None
        if service is not None:
            for field, value in service.model.recommended.items():
                if body.get(field) is None:
                    body[field] = value

    @property
    def default(self) -> str:
        """The first model's name, for requests that may leave it out; empty where no chat model is served."""
        return next(iter(self._services), "")

    def describe(self, name: str) -> JsonObject:
        """OpenAI's Model, with vLLM's `max_model_len`: the window in tokens. Raises NotFound."""
        if name in self._embeddings:
            embedding = self._embeddings[name].model
            created, window = embedding.created, embedding.encoder.context_window
        elif name in self._services:
            model = self._services[name].model
            created, window = model.created, model.decoder.context_window
        else:
            raise _not_found(name, self._names())
        return {"id": name, "object": "model", "created": created, "owned_by": OWNER, "max_model_len": window}

    def list(self) -> JsonObject:
        """OpenAI's ListModelsResponse."""
        return {"object": "list", "data": [self.describe(name) for name in self._names()]}

    def _names(self) -> Iterator[str]:
        yield from self._services
        yield from self._embeddings


def _not_found(name: str, served: Iterable[str], kind: str = "model") -> NotFound:
    return NotFound(
        f"The {kind} '{name[:_SHOWN]}' does not exist. Served here: {', '.join(served) or 'none'}.",
        param="model",
        code="model_not_found",
    )
