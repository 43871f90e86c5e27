"""`tools` and `tool_choice` in their flat form, and a path to whatever is wrong."""

import pytest

from handler.api.responses.tools import Choice, Tools, repeated_tool
from handler.api.tools import MAX_TOOLS
from handler.api.values import Json, JsonObject, Reader
from handler.chat.tools import AllowedTools, NamedTool, Tool
from handler.errors import InvalidRequest

SCHEMA: JsonObject = {"type": "object", "properties": {"x": {"type": "integer"}}}
PLAIN: JsonObject = {"type": "function", "name": "f"}
FULL: JsonObject = {
    "type": "function",
    "name": "get-weather_2",
    "description": "d",
    "parameters": SCHEMA,
    "strict": True,
    "output_schema": None,
    "defer_loading": False,
    "allowed_callers": ["direct"],
}


def allowed(*tools: Json, mode: str = "auto") -> Json:
    return {"type": "allowed_tools", "mode": mode, "tools": list(tools)}


@pytest.mark.parametrize(
    ("reader", "value", "read"),
    [
        (
            Tools(),
            [FULL, {**PLAIN, "strict": None, "description": None, "parameters": None}],
            (Tool(name="get-weather_2", description="d", parameters=SCHEMA, strict=True), Tool(name="f")),
        ),
        (Tools(), [], ()),
        (Choice(), "none", "none"),
        (Choice(), "auto", "auto"),
        (Choice(), "required", "required"),
        (Choice(), PLAIN, NamedTool(name="f")),
        (Choice(), allowed(PLAIN, {"type": "function", "name": "g"}), AllowedTools(mode="auto", names=("f", "g"))),
        (Choice(), allowed(PLAIN, mode="required"), AllowedTools(mode="required", names=("f",))),
    ],
)
def test_reads(reader: Reader[object], value: Json, read: object) -> None:
    assert reader(value, "p") == read


@pytest.mark.parametrize(
    ("reader", "value", "param", "code"),
    [
        (Tools(), {}, "p", "invalid_type"),
        (Tools(), [PLAIN, 1], "p[1]", "invalid_type"),
        (Tools(), [PLAIN] * (MAX_TOOLS + 1), "p", "array_above_max_length"),
        (Tools(), [{"name": "f"}], "p[0].type", "missing_required_parameter"),
        (Tools(), [{"type": "web_search"}], "p[0].type", "unsupported_value"),
        (Tools(), [{"type": "custom", "name": "f"}], "p[0].type", "unsupported_value"),
        (Tools(), [{"type": "function", "function": {"name": "f"}}], "p[0].name", "missing_required_parameter"),
        (Tools(), [{**PLAIN, "output_schema": SCHEMA}], "p[0].output_schema", "unsupported_parameter"),
        (Tools(), [{**PLAIN, "defer_loading": True}], "p[0].defer_loading", "unsupported_value"),
        (Tools(), [{**PLAIN, "allowed_callers": ["programmatic"]}], "p[0].allowed_callers", "unsupported_value"),
        (Choice(), "any", "p", "invalid_value"),
        (Choice(), 1, "p", "invalid_type"),
        (Choice(), {"type": "web_search"}, "p.type", "unsupported_value"),
        (Choice(), {"type": "function"}, "p.name", "missing_required_parameter"),
        (Choice(), allowed(), "p.tools", "empty_array"),
        (Choice(), allowed({"type": "mcp", "server_label": "x"}), "p.tools[0].type", "unsupported_value"),
        (Choice(), allowed(PLAIN, mode="none"), "p.mode", "invalid_value"),
    ],
)
def test_what_cannot_be_read_is_named(reader: Reader[object], value: Json, param: str, code: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        reader(value, "p")
    assert (caught.value.param, caught.value.code) == (param, code)


def test_a_response_repeats_a_tool_with_its_defaults() -> None:
    assert repeated_tool(PLAIN) == {**PLAIN, "description": None, "parameters": None, "strict": False}
