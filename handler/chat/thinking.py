"""Think markers: which a model uses, and what it thinks told apart from what it answers. Pure.

A model thinks at the beginning of its answer or not at all: a marker that it writes later is text. Its template may
have opened the thought in the prompt already.
"""

from typing import Final, Literal

from handler.chat.segments import Markup, Said, Segment, Thought, held
from handler.engine.ports import Tokenizer
from handler.frozen import dataclass


@dataclass(frozen=True, slots=True)
class ThinkMarks:
    """What stands before and after a thought."""

    open: str
    close: str

    def are_left_open(self, prompt: str) -> bool:
        """Whether the prompt ends at the beginning of a thought."""
        return prompt.rstrip().endswith(self.open)


_MARKS: Final = (
    ThinkMarks("<think>", "</think>"),
    ThinkMarks("[THINK]", "[/THINK]"),
    ThinkMarks("<seed:think>", "</seed:think>"),
    ThinkMarks("<|START_THINKING|>", "<|END_THINKING|>"),
)


def find_marks(template_source: str, tokenizer: Tokenizer) -> ThinkMarks | None:
    """The markers that the template writes, or that are single tokens of the vocabulary; None: it does not think."""
    for marks in _MARKS:
        if marks.close in template_source or len(tokenizer.encode(marks.close, special=True)) == 1:
            return marks
    return None


class ThoughtParser:
    """Reads one answer, text in, segments out; what is `Said` may hold calls still. `opened`: it begins in a thought.

    White space around a thought belongs to its markers. How the text is split changes nothing.
    """

    def __init__(self, marks: ThinkMarks, *, opened: bool) -> None:
        self._marks = marks
        self._state: Literal["before", "opening", "thinking", "between", "answering"] = "before"
        self._buffer = ""
        self.thought = opened
        """Whether the model has thought."""

    @property
    def answering(self) -> bool:
        """Whether the thought, if there was one, is over."""
        return self._state in ("between", "answering")

    def decode(self, text: str) -> list[Segment]:
        """What has become certain by `text`."""
        self._buffer += text
        segments: list[Segment] = []
        if self._state == "before":
            self._begin(segments)
        if self._state == "opening":
            self._skip_blank(segments, "thinking")
        if self._state == "thinking":
            self._think(segments)
        if self._state == "between":
            self._skip_blank(segments, "answering")
        if self._state == "answering":
            self._give(segments, Said, len(self._buffer))
        return segments

    def flush(self) -> list[Segment]:
        """The answer is over: what was held."""
        segments: list[Segment] = []
        self._give(segments, Thought if self.thought and not self.answering else Said, len(self._buffer))
        return segments

    def _begin(self, segments: list[Segment]) -> None:
        text = self._buffer.lstrip()
        if text.startswith(self._marks.open):
            self._give(segments, Markup, len(self._buffer) - len(text) + len(self._marks.open))
            self._state, self.thought = "opening", True
        elif not self._marks.open.startswith(text):
            self._state = "opening" if self.thought else "answering"

    def _skip_blank(self, segments: list[Segment], following: Literal["thinking", "answering"]) -> None:
        self._give(segments, Markup, len(self._buffer) - len(self._buffer.lstrip()))
        if self._buffer:
            self._state = following

    def _think(self, segments: list[Segment]) -> None:
        end = self._buffer.find(self._marks.close)
        if end < 0:
            self._give(segments, Thought, len(self._buffer) - held(self._buffer, (self._marks.close,)))
            return
        thought = len(self._buffer[:end].rstrip())
        self._give(segments, Thought, thought)
        self._give(segments, Markup, end - thought + len(self._marks.close))
        self._state = "between"

    def _give(self, segments: list[Segment], kind: type[Said | Thought | Markup], size: int) -> None:
        if size:
            segments.append(kind(self._buffer[:size]))
            self._buffer = self._buffer[size:]
