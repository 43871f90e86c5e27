"""The tools of a request: what the model may call, and what it must. Pure.

Names are checked here and schemas where the grammar is compiled; the shapes of the JSON are the edge's business.
"""

import re
from collections.abc import Mapping
from typing import Final, Literal

from handler.errors import InvalidRequest
from handler.frozen import dataclass

_NAME: Final = re.compile(r"[a-zA-Z0-9_-]{1,64}")  # OpenAI's rule


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """A function. `parameters` is a JSON schema of an object; None: it takes no arguments."""

    name: str
    description: str | None = None
    parameters: Mapping[str, object] | None = None
    strict: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedTool:
    """This function is called, exactly once."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AllowedTools:
    """The model sees all the tools, and may (auto) or must (required) call some of these."""

    mode: Literal["auto", "required"]
    names: tuple[str, ...]


ToolChoice = Literal["auto", "none", "required"] | NamedTool | AllowedTools


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatTools:
    """The functions and how they are to be used. `parallel`: more than one call in an answer.

    `legacy`: they came as `functions` and `function_call`; errors then name those fields.
    """

    tools: tuple[Tool, ...]
    choice: ToolChoice = "auto"
    parallel: bool = True
    legacy: bool = False

    @property
    def forced(self) -> bool:
        """Whether the answer has to be a call."""
        match self.choice:
            case NamedTool():
                return True
            case AllowedTools(mode=mode):
                return mode == "required"
            case choice:
                return choice == "required"

    @property
    def callable(self) -> tuple[Tool, ...]:
        """The functions that the model may call; none with the choice "none"."""
        match self.choice:
            case "none":
                return ()
            case NamedTool(name=name):
                return tuple(tool for tool in self.tools if tool.name == name)
            case AllowedTools(names=names):
                return tuple(tool for tool in self.tools if tool.name in names)
            case _:
                return self.tools

    @property
    def field(self) -> str:
        """The request's field that defines the functions."""
        return "functions" if self.legacy else "tools"

    def path(self, tool: Tool) -> str:
        """Where the request defines the function."""
        position = self.tools.index(tool)
        return f"functions[{position}]" if self.legacy else f"tools[{position}].function"

    def check(self) -> None:
        """Raises InvalidRequest for a name that is no name, is given twice, or is chosen and not there."""
        seen: set[str] = set()
        for tool in self.tools:
            if not _NAME.fullmatch(tool.name):
                raise InvalidRequest(
                    "A function's name is of 1 to 64 letters (a to z), digits, underscores and hyphens.",
                    param=f"{self.path(tool)}.name",
                )
            if tool.name in seen:
                raise InvalidRequest(
                    f"Two functions have the name {tool.name!r}.",
                    param=self.field,
                )
            seen.add(tool.name)
        for name in self._chosen():
            if name not in seen:
                raise InvalidRequest(
                    "The chosen function is not among the tools.",
                    param="function_call" if self.legacy else "tool_choice",
                )
        if not self.tools and self.forced:
            raise InvalidRequest("A call is required, but there are no tools.", param="tool_choice")

    def _chosen(self) -> tuple[str, ...]:
        match self.choice:
            case NamedTool(name=name):
                return (name,)
            case AllowedTools(names=names):
                return names
            case _:
                return ()
