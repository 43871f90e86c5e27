import pytest

from handler.chat.tools import AllowedTools, ChatTools, NamedTool, Tool, ToolChoice
from handler.errors import InvalidRequest

F, G = Tool(name="f"), Tool(name="g")


@pytest.mark.parametrize(
    ("choice", "names", "forced"),
    [
        ("auto", ["f", "g"], False),
        ("required", ["f", "g"], True),
        ("none", [], False),
        (NamedTool(name="g"), ["g"], True),
        (AllowedTools(mode="auto", names=("f",)), ["f"], False),
        (AllowedTools(mode="required", names=("g", "f")), ["f", "g"], True),
    ],
    ids=str,
)
def test_a_choice_says_what_may_be_called_and_whether_it_must(
    choice: ToolChoice, names: list[str], forced: bool
) -> None:
    tools = ChatTools(tools=(F, G), choice=choice)
    tools.check()
    assert [tool.name for tool in tools.callable] == names
    assert tools.forced is forced


@pytest.mark.parametrize(
    ("tools", "param"),
    [
        pytest.param(ChatTools(tools=(F, Tool(name="a b"))), "tools[1].function.name", id="a space"),
        pytest.param(ChatTools(tools=(Tool(name="é"),), legacy=True), "functions[0].name", id="another alphabet"),
        pytest.param(ChatTools(tools=(Tool(name="x" * 65),)), "tools[0].function.name", id="too long"),
        pytest.param(ChatTools(tools=(F, F)), "tools", id="twice"),
        pytest.param(ChatTools(tools=(F,), choice=NamedTool(name="g")), "tool_choice", id="not there"),
        pytest.param(
            ChatTools(tools=(F,), choice=NamedTool(name="g"), legacy=True), "function_call", id="not there, older"
        ),
        pytest.param(
            ChatTools(tools=(F,), choice=AllowedTools(mode="auto", names=("f", "g"))), "tool_choice", id="not allowed"
        ),
        pytest.param(ChatTools(tools=(), choice="required"), "tool_choice", id="required of nothing"),
    ],
)
def test_names_are_names_given_once_and_there_when_chosen(tools: ChatTools, param: str) -> None:
    with pytest.raises(InvalidRequest) as error:
        tools.check()
    assert error.value.param == param
