"""What an answer is limited to is checked before it begins, all of it."""

import pytest

from handler.chat.conversation import Conversation, Message
from handler.chat.tools import ChatTools, NamedTool, Tool, ToolChoice
from handler.engine.grammar import GrammarSpec, JsonSchemaGrammar, RegexGrammar
from handler.engine.params import GenerationParams
from handler.errors import InvalidRequest
from tests.chat.speaking import MODELS, RandomDecoder, service_of

HI = Conversation(messages=(Message(role="user", content="Hi"),))
EMAIL = {"type": "object", "properties": {"to": {"type": "string", "pattern": r"^(?!\.).+@x$"}}}


def prepare(tool: Tool, choice: ToolChoice, response_format: GrammarSpec | None = None) -> None:
    service = service_of("qwen", RandomDecoder(MODELS["qwen"][1], 0))
    service.prepare(
        HI, GenerationParams(), tools=ChatTools(tools=(tool,), choice=choice), response_format=response_format
    )


def test_a_tool_that_promises_nothing_is_not_refused_for_what_cannot_be_enforced() -> None:
    prepare(Tool(name="f", parameters=EMAIL), "auto")


@pytest.mark.parametrize(
    ("tool", "choice"),
    [
        (Tool(name="f", parameters=EMAIL, strict=True), "auto"),
        (Tool(name="f", parameters=EMAIL), "required"),
        (Tool(name="f", parameters=EMAIL), NamedTool(name="f")),
    ],
)
def test_a_promised_schema_is_enforced_or_refused_by_keyword_and_place(tool: Tool, choice: ToolChoice) -> None:
    with pytest.raises(InvalidRequest, match="at #/properties/to, pattern: look-around") as error:
        prepare(tool, choice)
    assert error.value.param == "tools[0].function.parameters"


@pytest.mark.parametrize("choice", ["auto", "required", NamedTool(name="f")])
@pytest.mark.parametrize("response_format", [JsonSchemaGrammar({"uniqueItems": True}), RegexGrammar("(")], ids=str)
def test_a_format_beside_calls_is_checked_all_the_same(choice: ToolChoice, response_format: GrammarSpec) -> None:
    with pytest.raises(InvalidRequest) as error:
        prepare(Tool(name="f"), choice, response_format)
    assert error.value.param == "response_format"
