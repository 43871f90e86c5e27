"""`reasoning_effort` as the model's own switch, where its chat template has one. Pure."""

from collections.abc import Collection
from typing import Final

from handler.errors import UnsupportedValue

_DEFAULT: Final = "medium"  # OpenAI's
_SWITCHES: Final = ("enable_thinking", "thinking")  # Qwen, SmolLM; Granite, DeepSeek


def has_switch(variables: Collection[str]) -> bool:
    """Whether a template that reads these variables can be told how much to think."""
    return any(name in variables for name in ("reasoning_effort", *_SWITCHES))


def effort_variables(effort: str | None, variables: Collection[str], *, thinks: bool) -> dict[str, object]:
    """The variables that tell the template. `variables` are those that it reads; `thinks`: the model thinks at all.

    Raises UnsupportedValue where nothing would come of it.
    """
    if effort is None:
        return {}
    if "reasoning_effort" in variables:
        return {"reasoning_effort": effort}
    for switch in _SWITCHES:
        if switch in variables:
            return {switch: effort != "none"}
    if effort == _DEFAULT or (effort == "none" and not thinks):
        return {}
    allowed = f"{_DEFAULT!r}" if thinks else f"'none' and {_DEFAULT!r}"
    raise UnsupportedValue(
        f"Unsupported value: the model has no reasoning switch; 'reasoning_effort' supports only {allowed} with it.",
        param="reasoning_effort",
    )
