"""The served models by every name that they answer to. Aliases are explicit; no name is ever substituted."""

from collections.abc import Mapping

from handler.api.values import JsonObject
from handler.chat.service import ChatService
from handler.errors import NotFound

OWNER = "lambda-llm"
_SHOWN = 80  # characters of a foreign name that an error message repeats


class Models:
    """`services` maps each id and each alias to the service that answers it; its order is the order of the list."""

    def __init__(self, services: Mapping[str, ChatService]) -> None:
        self._services = dict(services)

    def service(self, name: str) -> ChatService:
        """Raises NotFound (`model_not_found`) that lists what is served."""
        service = self._services.get(name)
        if service is None:
            raise NotFound(
                f"The model '{name[:_SHOWN]}' does not exist. Served here: {', '.join(self._services)}.",
                param="model",
                code="model_not_found",
            )
        return service

    def describe(self, name: str) -> JsonObject:
        """OpenAI's Model, with vLLM's `max_model_len`: the window in tokens. Raises NotFound."""
        model = self.service(name).model
        return {
            "id": name,
            "object": "model",
            "created": model.created,
            "owned_by": OWNER,
            "max_model_len": model.decoder.context_window,
        }

    def list(self) -> JsonObject:
        """OpenAI's ListModelsResponse."""
        return {"object": "list", "data": [self.describe(name) for name in self._services]}
