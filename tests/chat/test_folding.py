import pytest
from hypothesis import given
from hypothesis import strategies as st

from handler.chat.conversation import Message, Role, ToolCall
from handler.chat.folding import Abilities, fold, probe
from handler.chat.template import ChatTemplate
from tests.chat import templates

Turn = tuple[Role, str | None]
STRICT = ChatTemplate(templates.GEMMA, {"bos_token": ""})
NOTHING = Abilities(developer=False, system=False, late_system=False, repeated_roles=False)


def said(*turns: Turn) -> tuple[Message, ...]:
    return tuple(Message(role=role, content=content) for role, content in turns)


@pytest.mark.parametrize(
    ("source", "abilities"),
    [
        pytest.param(templates.CHATML, Abilities(developer=False), id="prints any role"),
        pytest.param(templates.GEMMA, NOTHING, id="refuses"),
        pytest.param(templates.SYSTEM_FIRST, Abilities(developer=False, late_system=False), id="system first"),
        pytest.param(templates.FORGETFUL, Abilities(developer=False, late_system=False), id="silently skips"),
        pytest.param(templates.MODERN, Abilities(), id="takes everything"),
    ],
)
def test_what_a_template_can_do_is_found_by_trying(source: str, abilities: Abilities) -> None:
    assert probe(ChatTemplate(source, {"bos_token": "<bos>"})) == abilities


def test_what_the_template_takes_is_left_alone() -> None:
    turns = said(
        ("developer", "d"), ("system", "s"), ("user", "u"), ("user", "v"), ("assistant", None), ("system", "t")
    )
    assert fold(turns, Abilities()) == turns


def test_developer_becomes_system() -> None:
    assert fold(said(("developer", "d"), ("user", "u")), Abilities(developer=False)) == said(
        ("system", "d"), ("user", "u")
    )


@pytest.mark.parametrize(
    ("turns", "expected"),
    [
        pytest.param(
            said(("system", "s"), ("user", "u")), said(("user", "s\n\nu")), id="before the user message that follows"
        ),
        pytest.param(
            said(("user", "u"), ("system", "s")), said(("user", "u\n\ns")), id="after the user message before it"
        ),
        pytest.param(
            said(("user", "u"), ("assistant", "a"), ("system", "s")),
            said(("user", "u"), ("assistant", "a"), ("user", "s")),
            id="alone where there is none",
        ),
        pytest.param(said(("system", "s")), said(("user", "s")), id="nothing else"),
        pytest.param(
            said(
                ("system", "s"), ("developer", "t"), ("user", "u"), ("assistant", "a"), ("system", "x"), ("user", "v")
            ),
            said(("user", "s\n\nt\n\nu"), ("assistant", "a"), ("user", "x\n\nv")),
            id="all over the place",
        ),
    ],
)
def test_a_system_message_that_is_refused_joins_the_users(
    turns: tuple[Message, ...], expected: tuple[Message, ...]
) -> None:
    assert fold(turns, NOTHING) == expected


def test_the_first_system_messages_stay_where_only_later_ones_are_refused() -> None:
    turns = said(("system", "a"), ("system", "b"), ("user", "u"), ("user", "v"), ("assistant", "x"), ("system", "c"))
    assert fold(turns, Abilities(late_system=False)) == said(
        ("system", "a\n\nb"), ("user", "u"), ("user", "v"), ("assistant", "x"), ("user", "c")
    )


def test_repeated_roles_join_where_roles_must_alternate() -> None:
    call, other = ToolCall(id="1", name="f", arguments="{}"), ToolCall(id="2", name="g", arguments="{}")
    turns = (
        Message(role="user", content="u", name="ann"),
        Message(role="user", content="v", name="ann"),
        Message(role="assistant", content=None, tool_calls=(call,)),
        Message(role="assistant", content="a", tool_calls=(other,), reasoning_content="hm"),
        Message(role="tool", content="1", tool_call_id="1"),
        Message(role="tool", content="2", tool_call_id="2"),
    )
    assert fold(turns, Abilities(repeated_roles=False)) == (
        Message(role="user", content="u\n\nv", name="ann"),
        Message(role="assistant", content="a", tool_calls=(call, other), reasoning_content="hm"),
        *turns[4:],
    )


roles = st.sampled_from(["system", "developer", "user", "assistant"])
yes_or_no = st.booleans()
any_abilities = st.builds(
    Abilities, developer=yes_or_no, system=yes_or_no, late_system=yes_or_no, repeated_roles=yes_or_no
)


@given(st.lists(roles, max_size=8), any_abilities)
def test_no_text_is_lost_and_none_changes_places(turn_roles: list[Role], abilities: Abilities) -> None:
    turns = said(*((role, f"text{position}") for position, role in enumerate(turn_roles)))
    folded = fold(turns, abilities)
    assert "\n\n".join(turn.content or "" for turn in folded) == "\n\n".join(turn.content or "" for turn in turns)


@given(st.lists(roles, min_size=1, max_size=8))
def test_the_strictest_template_renders_every_conversation_that_a_user_begins(turn_roles: list[Role]) -> None:
    folded = fold(said(("user", "q"), *((role, "text") for role in turn_roles)), NOTHING)
    messages = [{"role": turn.role, "content": turn.content} for turn in folded]
    prompt = STRICT.render(messages)
    assert prompt.count("text") == len(turn_roles)
