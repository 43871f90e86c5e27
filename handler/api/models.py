"""The served models by every name that they answer to. Aliases are explicit; no name is ever substituted."""

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from handler.api.shelf import Slot
from handler.api.values import JsonObject
from handler.chat.card import ModelCard
from handler.chat.service import ChatService
from handler.errors import NotFound

if TYPE_CHECKING:
    from handler.chat.embedding import EmbeddingService

OWNER = "lambda-llm"
_SHOWN = 80  # characters of a foreign name that an error message repeats


class Models:
    """`chats` maps each id and each alias to the model that answers it, `embeddings` those of embedding models; their
    order is the order of the list. A service instead of a slot: a model that is always in memory."""

    def __init__(
        self,
        chats: "Mapping[str, ChatService | Slot[ChatService]]",
        embeddings: "Mapping[str, EmbeddingService | Slot[EmbeddingService]] | None" = None,
    ) -> None:
        self._chats = {name: found if isinstance(found, Slot) else _chat_slot(found) for name, found in chats.items()}
        self._embeddings = {
            name: found if isinstance(found, Slot) else _embedding_slot(found)
            for name, found in (embeddings or {}).items()
        }

    def chat(self, name: str) -> Slot[ChatService]:
        """Raises NotFound (`model_not_found`) that lists what is served."""
        slot = self._chats.get(name)
        if slot is None:
            raise _not_found(name, self._chats)
        return slot

    def embedding(self, name: str) -> "Slot[EmbeddingService]":
        """The same of an embedding model. Raises NotFound, for a chat model too."""
        slot = self._embeddings.get(name)
        if slot is None:
            raise _not_found(name, self._embeddings, "embedding model")
        return slot

    def fill_in(self, body: JsonObject) -> None:
        """Puts what the named model's authors recommend where the request leaves a field open."""
        name = body.get("model")
        slot = self._chats.get(name) if isinstance(name, str) else None
        if slot is not None:
            for field, value in slot.card.recommended.items():
                if body.get(field) is None:
                    body[field] = value

    @property
    def default(self) -> str:
        """The first model's name, for requests that may leave it out; empty where no chat model is served."""
        return next(iter(self._chats), "")

    def describe(self, name: str) -> JsonObject:
        """OpenAI's Model, with vLLM's `max_model_len`: the window in tokens. Raises NotFound."""
        slot = self._embeddings.get(name) or self._chats.get(name)
        if slot is None:
            raise _not_found(name, self._names())
        return {
            "id": name,
            "object": "model",
            "created": slot.card.created,
            "owned_by": OWNER,
            "max_model_len": slot.card.context_window,
        }

    def list(self) -> JsonObject:
        """OpenAI's ListModelsResponse."""
        return {"object": "list", "data": [self.describe(name) for name in self._names()]}

    def _names(self) -> Iterator[str]:
        yield from self._chats
        yield from self._embeddings


def _chat_slot(service: ChatService) -> Slot[ChatService]:
    model = service.model
    card = ModelCard(
        name=model.name,
        created=model.created,
        context_window=model.decoder.context_window,
        recommended=model.recommended,
    )
    return Slot(card, service=service)


def _embedding_slot(service: "EmbeddingService") -> "Slot[EmbeddingService]":
    model = service.model
    card = ModelCard(name=model.name, created=model.created, context_window=model.encoder.context_window)
    return Slot(card, service=service)


def _not_found(name: str, served: Iterable[str], kind: str = "model") -> NotFound:
    return NotFound(
        f"The {kind} '{name[:_SHOWN]}' does not exist. Served here: {', '.join(served) or 'none'}.",
        param="model",
        code="model_not_found",
    )
