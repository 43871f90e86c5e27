"""The Response object: what repeats the request, what is always so on a server that stores nothing, and the answer.
Pure."""

from collections.abc import Sequence
from typing import Literal

from handler.api.values import Json, JsonObject
from handler.engine.events import Usage
from handler.frozen import dataclass

ResponseStatus = Literal["in_progress", "completed", "incomplete", "failed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What every Response of one request has in common. `created_at` is in Unix seconds; `asked` repeats the request's
    own fields, with defaults where it was silent."""

    id: str
    created_at: int
    asked: JsonObject

    def response(
        self,
        status: ResponseStatus,
        output: Sequence[Json],
        *,
        usage: JsonObject | None = None,
        error: JsonObject | None = None,
        incomplete_details: JsonObject | None = None,
        completed_at: int | None = None,
    ) -> JsonObject:
        """OpenAI's Response. `usage` is there only at the end: the specification has no null for it."""
        response: JsonObject = {
            "id": self.id,
            "object": "response",
            "created_at": self.created_at,
            "completed_at": completed_at,
            "status": status,
            "error": error,
            "incomplete_details": incomplete_details,
            **self.asked,
            "background": False,
            "max_tool_calls": None,
            "previous_response_id": None,
            "service_tier": "default",
            "store": False,
            "truncation": "disabled",
            "output": list(output),
        }
        if usage is not None:
            response["usage"] = usage
        return response


def usage_object(usage: Usage, cost: float | None = None) -> JsonObject:
    """Token counts as `ResponseUsage`; with the cost in USD, where it is told."""
    told: JsonObject = {} if cost is None else {"cost": cost}
    return {
        "input_tokens": usage.prompt_tokens,
        "input_tokens_details": {"cached_tokens": usage.cached_tokens, "cache_write_tokens": 0},
        "output_tokens": usage.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
        **told,
    }
