"""The rules between `tools`, `tool_choice`, `parallel_tool_calls` and their older forms. Pure."""

from handler.api import fields
from handler.api.values import JsonObject
from handler.chat.tools import ChatTools
from handler.errors import InvalidRequest


def chat_tools(body: JsonObject) -> ChatTools | None:
    """The functions and how they are to be used; None where there are none. Raises InvalidRequest.

    `functions` allow one call in an answer, as they always did.
    """
    tools, functions = fields.TOOLS.of(body), fields.FUNCTIONS.of(body)
    choice, function_call = fields.TOOL_CHOICE.of(body), fields.FUNCTION_CALL.of(body)
    parallel = fields.PARALLEL_TOOL_CALLS.of(body)
    if tools and functions:
        raise InvalidRequest("'functions' are the older form of 'tools': send one of them.", param="functions")
    if not tools:
        _needs("tools", "tool_choice", given=choice not in (None, "none"))
        _needs("tools", "parallel_tool_calls", given=not parallel)
    if not functions:
        _needs("functions", "function_call", given=function_call not in (None, "none"))
    if functions:
        return ChatTools(tools=functions, choice=function_call or "auto", parallel=False, legacy=True)
    return ChatTools(tools=tools, choice=choice or "auto", parallel=parallel) if tools else None


def _needs(needed: str, name: str, *, given: bool) -> None:
    if given:
        raise InvalidRequest(
            f"Invalid value for '{name}': '{name}' is only allowed when '{needed}' are specified.", param=name
        )
