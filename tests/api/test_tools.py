"""`tools`, `tool_choice` and their older forms: every shape that OpenAI takes, and a path to whatever is wrong."""

import pytest

from handler.api.tools import MAX_TOOLS, FunctionCallReader, Functions, ToolChoiceReader, Tools
from handler.api.values import Json, JsonObject, Reader
from handler.chat.tools import AllowedTools, NamedTool, Tool
from handler.errors import InvalidRequest

SCHEMA: JsonObject = {"type": "object", "properties": {"x": {"type": "integer"}}}
FULL: JsonObject = {"name": "get-weather_2", "description": "d", "parameters": SCHEMA, "strict": True}


def tool(function: Json) -> Json:
    return {"type": "function", "function": function}


NAMED = tool({"name": "f"})


def allowed(*tools: Json, mode: str = "auto") -> Json:
    return {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": list(tools)}}


@pytest.mark.parametrize(
    ("reader", "value", "read"),
    [
        (
            Tools(),
            [tool(FULL), tool({"name": "f", "strict": None, "description": None, "parameters": None})],
            (
                Tool(name="get-weather_2", description="d", parameters=SCHEMA, strict=True),
                Tool(name="f"),
            ),
        ),
        (Tools(), [], ()),
        (Tools(), [tool({"name": "f", "parameters": {}})], (Tool(name="f", parameters={}),)),
        (Functions(), [{"name": "f", "parameters": SCHEMA}], (Tool(name="f", parameters=SCHEMA),)),
        (ToolChoiceReader(), "none", "none"),
        (ToolChoiceReader(), "auto", "auto"),
        (ToolChoiceReader(), "required", "required"),
        (ToolChoiceReader(), NAMED, NamedTool(name="f")),
        (ToolChoiceReader(), allowed(NAMED, tool(FULL)), AllowedTools(mode="auto", names=("f", "get-weather_2"))),
        (ToolChoiceReader(), allowed(NAMED, mode="required"), AllowedTools(mode="required", names=("f",))),
        (FunctionCallReader(), "none", "none"),
        (FunctionCallReader(), "auto", "auto"),
        (FunctionCallReader(), {"name": "f"}, NamedTool(name="f")),
    ],
)
def test_reads(reader: Reader[object], value: Json, read: object) -> None:
    assert reader(value, "p") == read


@pytest.mark.parametrize(
    ("reader", "value", "param", "code"),
    [
        (Tools(), {}, "p", "invalid_type"),
        (Tools(), [NAMED, 1], "p[1]", "invalid_type"),
        (Tools(), [{"function": {"name": "f"}}], "p[0].type", "missing_required_parameter"),
        (Tools(), [{"type": "custom", "custom": {"name": "f"}}], "p[0].type", "unsupported_value"),
        (Tools(), [{"type": "web_search"}], "p[0].type", "unsupported_value"),
        (Tools(), [{"type": "function"}], "p[0].function", "missing_required_parameter"),
        (Tools(), [tool({})], "p[0].function.name", "missing_required_parameter"),
        (Tools(), [tool({"name": "a b"})], "p[0].function.name", "invalid_value"),
        (Tools(), [tool({"name": "a" * 65})], "p[0].function.name", "string_above_max_length"),
        (Tools(), [NAMED, tool({"name": "g", "parameters": []})], "p[1].function.parameters", "invalid_type"),
        (
            Tools(),
            [tool({"name": "g", "parameters": {"type": "string"}})],
            "p[0].function.parameters.type",
            "invalid_function_parameters",
        ),
        (Tools(), [tool({"name": "g", "strict": "yes"})], "p[0].function.strict", "invalid_type"),
        (Tools(), [tool({"name": "g", "description": 1})], "p[0].function.description", "invalid_type"),
        (Tools(), [NAMED] * (MAX_TOOLS + 1), "p", "array_above_max_length"),
        (Functions(), [{"name": ""}], "p[0].name", "invalid_value"),
        (ToolChoiceReader(), 1, "p", "invalid_type"),
        (ToolChoiceReader(), "any", "p", "invalid_value"),
        (ToolChoiceReader(), {}, "p.type", "missing_required_parameter"),
        (ToolChoiceReader(), {"type": "custom", "custom": {"name": "f"}}, "p.type", "unsupported_value"),
        (ToolChoiceReader(), {"type": "function", "function": {}}, "p.function.name", "missing_required_parameter"),
        (ToolChoiceReader(), {"type": "allowed_tools"}, "p.allowed_tools", "missing_required_parameter"),
        (ToolChoiceReader(), allowed(NAMED, mode="none"), "p.allowed_tools.mode", "invalid_value"),
        (ToolChoiceReader(), allowed(), "p.allowed_tools.tools", "empty_array"),
        (ToolChoiceReader(), allowed(NAMED, {"type": "custom"}), "p.allowed_tools.tools[1].type", "unsupported_value"),
        (FunctionCallReader(), "required", "p", "invalid_value"),
        (FunctionCallReader(), {}, "p.name", "missing_required_parameter"),
        (FunctionCallReader(), [], "p", "invalid_type"),
    ],
)
def test_the_path_to_what_is_wrong(reader: Reader[object], value: Json, param: str, code: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        reader(value, "p")
    assert (caught.value.param, caught.value.code) == (param, code)
