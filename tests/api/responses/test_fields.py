"""The field table covers OpenAI's specification of the Responses API, and says of each field what it does."""

import json
from pathlib import Path

from handler.api.responses.fields import FIELDS, NESTED_FIELDS
from handler.api.responses.include import LOGPROBS, UNSUPPORTED
from handler.api.responses.items import UNSUPPORTED_ITEMS
from handler.api.responses.keys import ITEM_KEYS, PART_KEYS
from handler.api.responses.tools import TOOL_KEYS

# Names only, from OpenAI's OpenAPI specification 2.3.0 (MIT).
SPEC = json.loads((Path(__file__).parent / "openai_responses_fields.json").read_text())
YOUNGER = {"access_programs", "background_options", "image"}  # OpenAI's client knows them, the specification does not
VLLM = {
    "top_k",
    "min_p",
    "seed",
    "presence_penalty",
    "frequency_penalty",
    "repetition_penalty",
    "logit_bias",
    "stop",
    "stop_token_ids",
    "ignore_eos",
    "min_tokens",
    "chat_template_kwargs",
}
INERT = {
    "metadata",
    "user",
    "safety_identifier",
    "prompt_cache_key",
    "prompt_cache_retention",
    "store",
    "service_tier",
}


def test_every_property_of_the_specification_has_a_row() -> None:
    assert {row.name for row in FIELDS if row.origin == "openai"} == set(SPEC["CreateResponse"]) | YOUNGER
    for parent, rows in NESTED_FIELDS.items():
        assert {row.name for row in rows} == set(SPEC[parent]), parent
        assert {row.parent for row in rows} == {parent}


def test_the_extensions_are_those_of_chat_completions() -> None:
    assert {row.name for row in FIELDS if row.origin == "vllm"} == VLLM


def test_inert_is_only_what_the_contract_lists() -> None:
    assert {row.name for row in FIELDS if row.standing == "inert"} == INERT


def test_no_field_has_two_rows_and_every_row_is_documented() -> None:
    rows = [*FIELDS, *(row for nested in NESTED_FIELDS.values() for row in nested)]
    assert len({row.path for row in rows}) == len(rows)
    assert [row.name for row in rows if not (row.doc.endswith(".") and row.reader.summary)] == []


def test_the_shapes_know_every_property_of_the_specification() -> None:
    assert {kind: set(keys) for kind, keys in ITEM_KEYS.items()} == {k: set(v) for k, v in SPEC["items"].items()}
    assert set(SPEC["tool"]) == TOOL_KEYS
    assert {kind: set(keys) for kind, keys in PART_KEYS.items()} == {k: set(v) for k, v in SPEC["parts"].items()}


def test_every_item_of_the_specification_is_read_or_refused_by_name() -> None:
    assert set(SPEC["item_types"]) - set(ITEM_KEYS) == UNSUPPORTED_ITEMS


def test_every_include_of_the_specification_is_honoured_or_refused_by_name() -> None:
    assert set(SPEC["include"]) - {LOGPROBS} == UNSUPPORTED
