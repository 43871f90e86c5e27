"""Requests that are made to break something: each is answered without a 5xx, and the process lives on.

Each is a path and the bytes of a body. What they have in common: none of them is a client's honest mistake.
"""

import json
from collections.abc import Mapping
from typing import Any

from tests.faults.asking import PARIS

Json = dict[str, Any]
CHAT, COMPLETIONS, RESPONSES, TOKENIZE = "/v1/chat/completions", "/v1/completions", "/v1/responses", "/tokenize"
SHORT = PARIS | {"max_completion_tokens": 2}
FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466"


def chat(**fields: Any) -> tuple[str, bytes]:
    """A short chat with other fields."""
    return CHAT, json.dumps(SHORT | fields).encode()


def said(content: Any, role: str = "user") -> tuple[str, bytes]:
    return chat(messages=[{"role": role, "content": content}])


def spliced(name: str, text: str) -> tuple[str, bytes]:
    """A short chat with a field whose value no JSON writer would write."""
    return CHAT, json.dumps(SHORT)[:-1].encode() + f', "{name}": {text}}}'.encode("utf-8", "surrogatepass")


def schema(value: Any) -> tuple[str, bytes]:
    return chat(response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": value}})


def limited(**options: Any) -> tuple[str, bytes]:
    return chat(structured_outputs=options)


def tool(**function: Any) -> tuple[str, bytes]:
    return chat(tools=[{"type": "function", "function": {"name": "f", **function}}], tool_choice="required")


def nested(depth: int) -> Json:
    """A schema of objects in objects."""
    value: Json = {"type": "integer"}
    for _ in range(depth):
        value = {"type": "object", "properties": {"a": value}, "required": ["a"], "additionalProperties": False}
    return value


POISON: Mapping[str, tuple[str, bytes]] = {
    # Not JSON, or hardly.
    "nothing": (CHAT, b""),
    "a zero byte": (CHAT, b"\0"),
    "half an object": (CHAT, b'{"model": "'),
    "two objects": (CHAT, b"{}{}"),
    "not UTF-8": (CHAT, b'{"model": "\xff\xfe"}'),
    "UTF-16": (CHAT, json.dumps(SHORT).encode("utf-16")),
    "deep lists": (CHAT, b"[" * 200_000),
    "deep objects": (CHAT, b'{"a":' * 200_000 + b"1" + b"}" * 200_000),
    "deep in a field": spliced("metadata", "[" * 5000 + "]" * 5000),
    "a key twice": spliced("model", '"other"'),
    "NaN": spliced("temperature", "NaN"),
    "infinity": spliced("temperature", "-Infinity"),
    "a float that overflows": spliced("temperature", "1e999"),
    "an integer of 100,000 digits": spliced("seed", "9" * 100_000),
    "a lone surrogate, escaped": spliced("user", '"\\ud800"'),
    "a lone surrogate, raw": spliced("user", '"\ud800"'),
    "100,000 unknown keys": (CHAT, json.dumps(SHORT | {f"k{n}": n for n in range(100_000)}).encode()),
    "200,000 empty lists": spliced("stop", "[" + "[]," * 200_000 + "[]]"),
    # Texts.
    "no messages": chat(messages=[]),
    "empty everything": chat(messages=[{"role": "user", "content": ""}], stop="", user="", metadata={}),
    "ten thousand messages": chat(messages=[{"role": "user", "content": "x"}] * 10_000),
    "special tokens": said("<|im_end|><|im_start|>system\n<|endoftext|>" * 5),
    "a template": said("{{ 7*7 }}{% for x in range(10**9) %}{% endfor %}{{ ''.__class__.__mro__ }}"),
    "zero-width and direction marks": said("\u200b\u200c\u200d\u2060\ufeff\u202e\u2066" * 20),
    "a tower of accents": said("e" + "\u0301" * 200),
    "a ligature that grows": said("\ufdfa" * 30),
    "families": said(FAMILY * 20),
    "every plane": said("".join(chr(n) for n in range(1, 0x110000, 19_999) if not 0xD800 <= n < 0xE000)),
    "control characters": said("".join(map(chr, range(32))) * 3),
    "one word of a million letters": said("a" * 1_000_000),
    "a million spaces": said(" " * 1_000_000),
    "a million line breaks": said("\n" * 1_000_000),
    "digits": said("1" * 200_000),
    "a role of its own": said("x", role="<|im_start|>"),
    "parts without end": said([{"type": "text", "text": "x"}] * 20_000),
    "an image that is a file": said([{"type": "image_url", "image_url": {"url": "file:///etc/passwd"}}]),
    # Numbers.
    "all tokens": chat(max_completion_tokens=2**31 - 1, stop=["\n", "."]),
    "more tokens than integers": chat(max_completion_tokens=2**63),
    "minus one token": chat(max_completion_tokens=-1),
    "a smallest temperature": chat(temperature=5e-324),
    "a smallest top_p": chat(temperature=1, top_p=5e-324),
    "min_p of one": chat(temperature=2, min_p=1, top_k=1, top_p=0),
    "seeds": chat(temperature=2, seed=-(2**63), n=8),
    "all banned": chat(logit_bias={str(n): -100 for n in range(49_152)}),
    "all wanted": chat(temperature=2, logit_bias={str(n): 100 for n in range(1000)}),
    "a token that is not there": chat(logit_bias={"49152": 1, "-1": 1, "1e3": 1}),
    "penalties": chat(temperature=2, presence_penalty=2, frequency_penalty=2, repetition_penalty=10),
    "a smallest penalty": chat(temperature=2, repetition_penalty=0.01),
    "a boolean for a number": chat(temperature=True, n=True),
    "many choices": chat(n=129),
    "256 stops": chat(stop=["\u0301" * n for n in range(1, 257)]),
    # Grammars.
    "a schema in itself": schema({"$ref": "#"}),
    "a schema of itself": schema({"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]}),
    "two that refer to each other": schema(
        {"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"}
    ),
    "a schema on the web": schema({"$ref": "http://127.0.0.1:1/schema.json"}),
    "50,000 values": schema({"enum": [f"value {n}" for n in range(50_000)]}),
    "a value of a megabyte": schema({"const": "x" * 1_000_000}),
    "30 levels": schema(nested(30)),
    "100 levels": schema(nested(100)),
    "alternatives of alternatives": schema(
        {"anyOf": [{"anyOf": [{"type": "string", "maxLength": n}] * 30} for n in range(30)]}
    ),
    "a number of 10^9 digits": schema({"type": "string", "minLength": 10**9}),
    "10^9 items": schema({"type": "array", "items": {"type": "array", "minItems": 10**6}, "minItems": 10**9}),
    "impossible": schema({"type": "integer", "minimum": 5, "maximum": 4}),
    "never": schema(False),
    "a pattern that explodes": schema({"type": "string", "pattern": "^(a+)+(b|c|d)*(a|a?)+$"}),
    "a regex that repeats": limited(regex="((a{1,1000}){1,1000}){1,1000}"),
    "a regex that looks back": limited(regex=r"(a)\1(?<=b)(?=c)"),
    "a regex of brackets": limited(regex="(" * 10_000 + ")" * 10_000),
    "a regex of all letters": limited(regex=r"[\s\S]{0,100000}\p{L}{99}"),
    "a regex that is none": limited(regex="["),
    "no choice": limited(choice=[]),
    "an empty choice": limited(choice=[""]),
    "20,000 choices": limited(choice=["a" * (n % 97) + str(n) for n in range(20_000)]),
    "a grammar in itself": limited(grammar="start: start"),
    "a grammar of nothing": limited(grammar='start: ""'),
    "a grammar that is ambiguous": limited(grammar='start: a\na: a a | "x" | '),
    "a grammar that is none": limited(grammar="%import common.WS\n%%%"),
    "a thousand rules": limited(
        grammar="start: r0\n" + "\n".join(f'r{n}: r{n + 1} r{n + 1} | "x"' for n in range(1000)) + '\nr1000: "y"'
    ),
    # Tools.
    "a tool with a name of 10,000 letters": tool(name="f" * 10_000),
    "a tool with markers in its name": tool(name="<|im_end|>"),
    "a tool with markers in its text": tool(description="</tools><|im_end|>" * 5, parameters={"type": "object"}),
    "a tool of any arguments": tool(parameters={}),
    "a tool of no arguments": tool(parameters={"type": "object", "properties": {}, "additionalProperties": False}),
    "a tool that calls itself": tool(parameters={"$ref": "#"}),
    "129 tools": chat(tools=[{"type": "function", "function": {"name": f"f{n}"}} for n in range(129)]),
    "an answer to no call": chat(messages=[{"role": "tool", "tool_call_id": "x", "content": "y"}]),
    "calls that are not JSON": chat(
        messages=[
            {
                "role": "assistant",
                "tool_calls": [{"id": "a", "type": "function", "function": {"name": "f", "arguments": "{"}}],
            },
            {"role": "tool", "tool_call_id": "a", "content": "{"},
        ]
    ),
    # Elsewhere.
    "a prompt of nothing": (COMPLETIONS, b'{"model": "SmolLM2-135M-Instruct", "prompt": [], "max_tokens": 1}'),
    "prompts of nothing": (COMPLETIONS, b'{"model": "SmolLM2-135M-Instruct", "prompt": [[], []], "max_tokens": 1}'),
    "token ids that are not there": (COMPLETIONS, b'{"model": "SmolLM2-135M-Instruct", "prompt": [49152, -1, 1e3]}'),
    "an echo of nothing": (
        COMPLETIONS,
        b'{"model": "SmolLM2-135M-Instruct", "prompt": "", "echo": true, "logprobs": 5, "max_tokens": 0}',
    ),
    "2,049 prompts": (COMPLETIONS, json.dumps({"model": "SmolLM2-135M-Instruct", "prompt": ["x"] * 2049}).encode()),
    "items of nothing": (RESPONSES, b'{"model": "SmolLM2-135M-Instruct", "input": [{}, null, [], 1]}'),
    "a response to itself": (
        RESPONSES,
        b'{"model": "SmolLM2-135M-Instruct", "input": "x", "previous_response_id": "resp_1"}',
    ),
    "a text of five megabytes": (
        TOKENIZE,
        json.dumps({"model": "SmolLM2-135M-Instruct", "prompt": "\u00e9x" * 850_000}).encode(),
    ),
    "ids by the million": (
        "/detokenize",
        json.dumps({"model": "SmolLM2-135M-Instruct", "tokens": [1] * 1_000_000}).encode(),
    ),
}
