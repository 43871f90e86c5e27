"""From items back to turns. Pure.

What the model made in one turn is separate items in the Responses API. Thoughts, a message and calls that follow one
another were one turn, and become one again: chat templates know it so.
"""

from dataclasses import replace

from handler.chat.conversation import Message, ToolCall


class Turns:
    """Turns in the making: the last one may still grow, while it is the assistant's."""

    def __init__(self) -> None:
        self._turns: list[Message] = []
        self._open: Message | None = None
        self._calls: set[str] = set()

    def add(self, turn: Message) -> None:
        """A turn that is whole: somebody else's."""
        self._close()
        self._turns.append(turn)

    def think(self, text: str) -> None:
        """What the model thought, before it said or called anything."""
        turn = self._assistant(fresh=self._has_spoken)
        self._open = replace(turn, reasoning_content="\n".join(filter(None, (turn.reasoning_content, text))))

    def say(self, text: str) -> None:
        """What the model said; it says one thing in a turn."""
        turn = self._assistant(fresh=self._has_spoken)
        self._open = replace(turn, content=text)

    def call(self, call: ToolCall) -> None:
        """A function that the model called."""
        turn = self._assistant(fresh=False)
        self._open = replace(turn, tool_calls=(*turn.tool_calls, call))
        self._calls.add(call.id)

    def knows(self, call_id: str) -> bool:
        """Whether there was a call of this id."""
        return call_id in self._calls

    def finish(self) -> tuple[Message, ...]:
        """All the turns, in order."""
        self._close()
        return tuple(self._turns)

    @property
    def _has_spoken(self) -> bool:
        return self._open is not None and (self._open.content is not None or bool(self._open.tool_calls))

    def _assistant(self, *, fresh: bool) -> Message:
        if fresh:
            self._close()
        return self._open or Message(role="assistant")

    def _close(self) -> None:
        if self._open is not None:
            self._turns.append(self._open)
            self._open = None
