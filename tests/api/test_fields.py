"""The field table covers OpenAI's specification, and says of each field what it does."""

import json
from pathlib import Path

from handler.api.fields import FIELDS, STREAM_OPTION_FIELDS, STRUCTURED_OUTPUT_FIELDS
from handler.api.messages import MESSAGE_KEYS, PART_KEYS

# Property names only, from OpenAI's OpenAPI specification 2.3.0 (MIT).
SPEC = json.loads((Path(__file__).parent / "openai_chat_fields.json").read_text())

VLLM = {
    "top_k",
    "min_p",
    "repetition_penalty",
    "min_tokens",
    "ignore_eos",
    "stop_token_ids",
    "chat_template_kwargs",
    "add_generation_prompt",
    "continue_final_message",
    "structured_outputs",
}
INERT = {
    "user",
    "metadata",
    "safety_identifier",
    "prompt_cache_key",
    "prompt_cache_retention",
    "store",
    "service_tier",
}


def test_every_property_of_the_specification_has_a_row() -> None:
    assert {row.name for row in FIELDS if row.origin == "openai"} == set(SPEC["CreateChatCompletionRequest"])
    assert {row.name for row in STREAM_OPTION_FIELDS} == set(SPEC["stream_options"])


def test_every_extension_is_named_as_vllm_names_it() -> None:
    assert {row.name for row in FIELDS if row.origin == "vllm"} == VLLM


def test_inert_is_only_what_the_contract_lists() -> None:
    assert {row.name for row in FIELDS if row.standing == "inert"} == INERT


def test_no_field_has_two_rows() -> None:
    names = [row.path for row in (*FIELDS, *STREAM_OPTION_FIELDS, *STRUCTURED_OUTPUT_FIELDS)]
    assert len(names) == len(set(names))


def test_every_row_is_documented() -> None:
    assert [row.name for row in FIELDS if not (row.doc.endswith(".") and row.reader.summary)] == []


def test_message_shapes_know_every_property_of_the_specification() -> None:
    for role, names in SPEC["messages"].items():
        assert set(names) <= MESSAGE_KEYS[role], role
    for part, names in SPEC["parts"].items():
        assert set(names) <= PART_KEYS[part], part
