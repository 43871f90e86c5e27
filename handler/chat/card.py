"""What is known of a model before it is loaded: what its manifest says. Pure."""

from collections.abc import Mapping
from dataclasses import field

from handler.frozen import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCard:
    """`created` is in Unix seconds, `context_window` in tokens. `recommended` are the model's own values for request
    fields that a request leaves open."""

    name: str
    created: int
    context_window: int
    recommended: Mapping[str, float] = field(default_factory=dict)
