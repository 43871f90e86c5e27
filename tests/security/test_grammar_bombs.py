"""Grammars, schemas and expressions that grow without end are answered soon, and others are answered meanwhile."""

import asyncio
import time

import httpx
import pytest

LIMIT = 60  # seconds, on a machine that does other things too; a bomb that goes off takes for ever
CHAT = {"model": "fake-model", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 8}


def schema(value: object) -> dict[str, object]:
    return {"response_format": {"type": "json_schema", "json_schema": {"name": "bomb", "schema": value}}}


def outputs(**value: object) -> dict[str, object]:
    return {"structured_outputs": value}


def chain(length: int) -> dict[str, object]:
    links: dict[str, object] = {f"d{i}": {"$ref": f"#/$defs/d{i + 1}"} for i in range(length)}
    return {"$defs": {**links, f"d{length}": {"type": "string"}}, "$ref": "#/$defs/d0"}


def doubling(depth: int) -> str:
    rules = "\n".join(f"r{i}: r{i + 1} r{i + 1}" for i in range(depth))
    return f'start: r0\n{rules}\nr{depth}: "a"'


BOMBS = {
    "repetition in repetition": outputs(regex="(a{1000}){1000}"),
    "optional and required": outputs(regex="(a?){9000}a{9000}"),
    "far look-back": outputs(regex=".*a.{2000}"),
    "groups in groups": outputs(regex="(" * 4000 + ")" * 4000),
    "backtracking": outputs(regex="(a+)+(a|aa)+(a|a?)+b"),
    "classes without an end": outputs(regex="[[:" * 3000),
    "an expression of 5 MB": outputs(regex="(" * 5_000_000),
    "expressions in Lark": outputs(grammar="start: /((a{1000}){1000}){1000}/"),
    "rules in rules": outputs(grammar=doubling(60)),
    "terminals in terminals": outputs(grammar=doubling(25).replace("r", "R").replace("staRt", "start")),
    "left recursion": outputs(grammar='start: start start start | "a" | "aa" | start "b" start'),
    "parentheses": outputs(grammar="start: " + "(" * 90_000 + '"a"' + ")" * 90_000),
    "strings that nothing closes": outputs(grammar='start: "a"\n' + '\\"' * 1_000_000),
    "expressions that nothing closes": outputs(grammar='start: "a"\n' + "\\/" * 1_000_000),
    "schemas that nothing closes": outputs(grammar='start: "a"\n' + "%json {" * 100_000),
    "a rule from a file": outputs(grammar="%import ../../../etc/passwd.X\nstart: X"),
    "a million options": outputs(choice=[str(i) for i in range(500_000)]),
    "a chain of references": schema(chain(50_000)),
    "references that double": schema(
        {
            "$defs": {
                **{
                    f"d{i}": {"type": "array", "prefixItems": [{"$ref": f"#/$defs/d{i + 1}"}] * 2, "minItems": 2}
                    for i in range(50)
                },
                "d50": {"type": "null"},
            },
            "$ref": "#/$defs/d0",
        }
    ),
    "a reference to itself": schema({"$ref": "#"}),
    "anchors": schema({"anyOf": [{"$anchor": f"a{i}", "$ref": f"#a{i + 1}"} for i in range(3000)]}),
    "choices times choices": schema(
        {"allOf": [{"anyOf": [{"required": [f"a{i}"]}, {"required": [f"b{i}"]}]} for i in range(24)]}
    ),
    "an enumeration of 3 MB": schema({"enum": [f"value {i}" for i in range(200_000)]}),
    "a million items": schema({"type": "array", "minItems": 1_000_000, "items": {"type": "array", "minItems": 10**6}}),
    "a pattern": schema({"type": "string", "pattern": "^(a{1000}){1000}$"}),
    "a multiple": schema({"type": "integer", "multipleOf": 999_999_937}),
    "properties": schema({"type": "object", "properties": {f"p{i}": {"type": "string"} for i in range(6000)}}),
    "stop strings": {"stop": ["a" * 10_000 + str(i) for i in range(256)]},
    "functions": {
        "tool_choice": "required",
        "tools": [
            {"type": "function", "function": {"name": f"f{i}", "strict": True, "parameters": chain(40)}}
            for i in range(128)
        ],
    },
}


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS)
async def test_a_bomb_is_answered_and_so_is_everybody_else(bomb: dict[str, object], client: httpx.AsyncClient) -> None:
    began = time.perf_counter()
    going_off = asyncio.create_task(client.post("/v1/chat/completions", json={**CHAT, **bomb}, timeout=None))
    await asyncio.sleep(0)
    assert (await client.get("/health")).status_code == 200
    answered = await going_off
    assert time.perf_counter() - began < LIMIT
    assert answered.status_code in (200, 400), answered.text
    if answered.status_code == 400:
        assert len(answered.json()["error"]["message"]) < 1000
    assert (await client.post("/v1/chat/completions", json=CHAT)).status_code == 200
