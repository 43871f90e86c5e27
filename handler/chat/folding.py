"""Fits a conversation to what a template can render, so that no text is lost on the way to the model. Pure.

Templates differ in what they take: some know no `developer`, some refuse or silently skip a system message (anywhere,
or after the first turn), some demand that user and assistant alternate. What a template can do is found by rendering
three short conversations once, not by reading its source: a text that does not come out again was dropped.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import groupby, takewhile

from handler.chat.conversation import Message
from handler.chat.template import ChatTemplate, TemplateRefusal
from handler.frozen import dataclass

SEPARATOR = "\n\n"  # between the texts of messages that become one


@dataclass(frozen=True, slots=True, kw_only=True)
class Abilities:
    """What a template renders as it is."""

    developer: bool = True
    system: bool = True  # as the first message
    late_system: bool = True  # anywhere, any number
    repeated_roles: bool = True


def probe(template: ChatTemplate) -> Abilities:
    """Finds a template's abilities. Raises ArtifactError if it is not Jinja."""

    def renders(*roles: str) -> bool:
        messages = [{"role": role, "content": f"probe{position}text"} for position, role in enumerate(roles)]
        try:
            prompt = template.render(messages, add_generation_prompt=True)
        except TemplateRefusal:
            return False
        return all(str(message["content"]) in prompt for message in messages)

    return Abilities(
        # Most templates print any role's name; only one that names this role was made for it.
        developer="developer" in template.source and renders("developer", "user"),
        system=renders("system", "user"),
        late_system=renders("system", "system", "user", "assistant", "system", "user"),
        repeated_roles=renders("user", "user", "assistant", "assistant", "user"),
    )


def fold(messages: Sequence[Message], abilities: Abilities) -> tuple[Message, ...]:
    """The same texts in the same order, in messages that the template renders.

    System messages that the template cannot take join the user messages beside them, in order; where there is none,
    they become a user message of their own.
    """
    turns = list(messages)
    if not abilities.developer:
        turns = [replace(turn, role="system") if turn.role == "developer" else turn for turn in turns]
    if not abilities.late_system:
        turns = _fold_system(turns, keep_first=abilities.system)
    if not abilities.repeated_roles:
        turns = _join_repeated(turns)
    return tuple(turns)


def _fold_system(turns: list[Message], *, keep_first: bool) -> list[Message]:
    leading = list(takewhile(lambda turn: turn.role == "system", turns)) if keep_first else []
    folded: list[Message] = []
    for is_user_side, run in groupby(turns[len(leading) :], lambda turn: turn.role in ("system", "user")):
        side = list(run)
        if is_user_side and any(turn.role == "system" for turn in side):
            side = [_join([replace(turn, role="user") for turn in side])]
        folded += side
    return ([_join(leading)] if leading else []) + folded


def _join_repeated(turns: list[Message]) -> list[Message]:
    joined: list[Message] = []
    for role, run in groupby(turns, lambda turn: turn.role):
        same = list(run)
        joined += [_join(same)] if role in ("user", "assistant") else same
    return joined


def _join(turns: Sequence[Message]) -> Message:
    """One message with all the texts and calls; a name stays only if all bear it."""
    if len(turns) == 1:
        return turns[0]
    names = {turn.name for turn in turns}
    return Message(
        role=turns[0].role,
        content=_texts(turn.content for turn in turns),
        name=names.pop() if len(names) == 1 else None,
        tool_calls=tuple(call for turn in turns for call in turn.tool_calls),
        reasoning_content=_texts(turn.reasoning_content for turn in turns),
        refusal=_texts(turn.refusal for turn in turns),
    )


def _texts(texts: Iterable[str | None]) -> str | None:
    return SEPARATOR.join(text for text in texts if text) or None
