"""How a model writes its calls: the texts between names and arguments. Pure data.

Every dialect in use writes an answer's calls as

    begin NAME to_arguments {…} [ next NAME to_arguments {…} ]… end

with fixed texts between the names and the JSON of the arguments. So a dialect is these texts; the grammar that
enforces it, the parser that reads it and the text that shows earlier calls are made from them.
"""

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from handler.chat.conversation import ToolCall

_MARKER: Final = re.compile(r"<[^<>\s]+>|\[[A-Z_]+\]")


@dataclass(frozen=True, kw_only=True)
class CallFormat:
    """One dialect. `begin` lists the ways in which the first call may begin, the usual one first; `next` None means
    that an answer holds one call at most."""

    begin: tuple[str, ...]
    to_arguments: str
    next: str | None
    end: str

    @cached_property
    def triggers(self) -> tuple[str, ...]:
        """The beginnings by which a call is known: `<tool_call>`, or `{` where a call has no marker."""
        return tuple(dict.fromkeys(map(trigger_of, self.begin)))

    @cached_property
    def markers(self) -> tuple[str, ...]:
        """The tags in the fixed texts, which may be tokens of their own."""
        texts = (*self.begin, self.to_arguments, self.next or "", self.end)
        return tuple(dict.fromkeys(marker for text in texts for marker in _MARKER.findall(text)))

    @property
    def after_text(self) -> bool:
        """Whether text may stand before a call. Not where calls begin as any JSON does: there, one or the other."""
        return not any(trigger in ("{", "[") for trigger in self.triggers)

    def write(self, calls: tuple[ToolCall, ...]) -> str:
        """Calls as the model would have written them."""
        if not calls:
            return ""
        written = [call.name + self.to_arguments + call.arguments for call in calls]
        between = self.next if self.next is not None else self.end + "\n" + self.begin[0]
        return self.begin[0] + between.join(written) + self.end


def trigger_of(begin: str) -> str:
    """The beginning by which this beginning of a call is known."""
    if begin[0] in "{[" and not _MARKER.match(begin):
        return begin[0]
    marker = _MARKER.match(begin)
    return marker[0] if marker else begin
