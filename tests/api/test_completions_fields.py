"""The field table of completions covers the specification; every row does what it says."""

import dataclasses

import pytest

from handler.api.completion_fields import COMPLETION_FIELDS
from handler.api.completion_prompt import MAX_PROMPTS
from handler.api.completion_request import CompletionRequest, read_completion_request
from handler.api.formats import AnswerFormat
from handler.api.values import Json
from handler.engine.grammar import ChoiceGrammar
from handler.engine.params import GenerationParams
from handler.errors import InvalidRequest
from tests.contract.specification import properties

VLLM = {
    "top_k",
    "min_p",
    "repetition_penalty",
    "min_tokens",
    "ignore_eos",
    "stop_token_ids",
    "add_special_tokens",
    "structured_outputs",
}
PLAIN = CompletionRequest(model="m", prompts=("hi",), params=GenerationParams(max_tokens=16))


def read(**more: Json) -> CompletionRequest:
    return read_completion_request({"model": "m", "prompt": "hi", **more})


def params(**changes: object) -> CompletionRequest:
    return dataclasses.replace(PLAIN, params=dataclasses.replace(PLAIN.params, **changes))


# One line per effective field: what is sent, and all that it changes.
EFFECTIVE: dict[str, tuple[dict[str, Json], CompletionRequest]] = {
    "model": ({"model": "other"}, dataclasses.replace(PLAIN, model="other")),
    "prompt": ({"prompt": "ho"}, dataclasses.replace(PLAIN, prompts=("ho",))),
    "max_tokens": ({"max_tokens": 0}, params(max_tokens=0)),
    "echo": ({"echo": True}, dataclasses.replace(PLAIN, echo=True)),
    "logprobs": ({"logprobs": 0}, params(top_logprobs=0)),
    "temperature": ({"temperature": 0}, params(temperature=0.0)),
    "top_p": ({"top_p": 0.5}, params(top_p=0.5)),
    "top_k": ({"top_k": 40}, params(top_k=40)),
    "min_p": ({"min_p": 0.1}, params(min_p=0.1)),
    "seed": ({"seed": -1}, params(seed=2**64 - 1)),
    "n": ({"n": 3}, params(n=3)),
    "presence_penalty": ({"presence_penalty": -2}, params(presence_penalty=-2.0)),
    "frequency_penalty": ({"frequency_penalty": 1.5}, params(frequency_penalty=1.5)),
    "repetition_penalty": ({"repetition_penalty": 1.1}, params(repetition_penalty=1.1)),
    "logit_bias": ({"logit_bias": {"5": -100}}, params(logit_bias={5: -100.0})),
    "stop": ({"stop": ["a", "b"]}, params(stop=("a", "b"))),
    "stop_token_ids": ({"stop_token_ids": [7]}, params(stop_token_ids=(7,))),
    "ignore_eos": ({"ignore_eos": True}, params(ignore_eos=True)),
    "min_tokens": ({"min_tokens": 3}, params(min_tokens=3)),
    "stream": ({"stream": True}, dataclasses.replace(PLAIN, stream=True)),
    "stream_options": (
        {"stream": True, "stream_options": {"include_usage": True}},
        dataclasses.replace(PLAIN, stream=True, include_usage=True),
    ),
    "structured_outputs": (
        {"structured_outputs": {"choice": ["a", "b"]}},
        dataclasses.replace(
            PLAIN, answer_format=AnswerFormat(grammar=ChoiceGrammar(("a", "b")), path="structured_outputs.choice")
        ),
    ),
    "add_special_tokens": ({"add_special_tokens": False}, dataclasses.replace(PLAIN, add_start=False)),
}


def test_every_property_of_the_specification_has_a_row() -> None:
    assert {row.name for row in COMPLETION_FIELDS if row.origin == "openai"} == properties("CreateCompletionRequest")


def test_every_extension_is_named_as_vllm_names_it() -> None:
    assert {row.name for row in COMPLETION_FIELDS if row.origin == "vllm"} == VLLM


def test_no_field_has_two_rows_and_each_is_documented() -> None:
    assert len({row.name for row in COMPLETION_FIELDS}) == len(COMPLETION_FIELDS)
    assert [row.name for row in COMPLETION_FIELDS if not (row.doc.endswith(".") and row.reader.summary)] == []


@pytest.mark.parametrize("name", [row.name for row in COMPLETION_FIELDS if row.standing == "effective"])
def test_an_effective_field_arrives(name: str) -> None:
    sent, expected = EFFECTIVE[name]
    assert read(**sent) == expected
    assert expected != PLAIN


@pytest.mark.parametrize("name", [row.name for row in COMPLETION_FIELDS if row.name not in ("model", "prompt")])
def test_null_means_absent(name: str) -> None:
    assert read(**{name: None}) == PLAIN


@pytest.mark.parametrize("body", [{"model": "m"}, {"model": "m", "prompt": None}], ids=["absent", "null"])
def test_no_prompt_is_an_empty_one(body: dict[str, Json]) -> None:
    assert read_completion_request(body).prompts == ("",)


@pytest.mark.parametrize(
    "sent",
    [{"user": "u"}, {"n": 1}, {"best_of": 1}, {"max_tokens": 16}, {"echo": False}, {"stop": []}, {"logit_bias": {}}],
    ids=str,
)
def test_defaults_and_labels_change_nothing(sent: dict[str, Json]) -> None:
    assert read(**sent) == PLAIN


def test_best_of_may_repeat_n() -> None:
    assert read(n=3, best_of=3) == read(n=3)


@pytest.mark.parametrize(
    ("prompt", "prompts"),
    [
        ("", ("",)),
        ("a", ("a",)),
        (["a", ""], ("a", "")),
        ([1, 2], ((1, 2),)),
        ([[1], [2, 3]], ((1,), (2, 3))),
    ],
    ids=str,
)
def test_four_kinds_of_prompt(prompt: Json, prompts: tuple[object, ...]) -> None:
    assert read(prompt=prompt).prompts == prompts


@pytest.mark.parametrize(
    ("sent", "param", "code"),
    [
        ({"prompt": 1}, "prompt", "invalid_type"),
        ({"prompt": {}}, "prompt", "invalid_type"),
        ({"prompt": []}, "prompt", "empty_array"),
        ({"prompt": [[]]}, "prompt[0]", "empty_array"),
        ({"prompt": ["a", 1]}, "prompt[1]", "invalid_type"),
        ({"prompt": [1, "a"]}, "prompt[1]", "invalid_type"),
        ({"prompt": [True]}, "prompt[0]", "invalid_type"),
        ({"prompt": [1, True]}, "prompt[1]", "invalid_type"),
        ({"prompt": [None]}, "prompt[0]", "invalid_type"),
        ({"prompt": [[1], [-1]]}, "prompt[1][0]", "integer_below_min_value"),
        ({"prompt": [[1], "a"]}, "prompt[1]", "invalid_type"),
        ({"prompt": ["a"] * (MAX_PROMPTS + 1)}, "prompt", "array_above_max_length"),
        ({"max_tokens": -1}, "max_tokens", "integer_below_min_value"),
        ({"max_tokens": 2, "min_tokens": 3}, "min_tokens", "invalid_value"),
        ({"logprobs": 6}, "logprobs", "integer_above_max_value"),
        ({"logprobs": True}, "logprobs", "invalid_type"),
        ({"echo": 1}, "echo", "invalid_type"),
        ({"n": 9}, "n", "integer_above_max_value"),
        ({"n": 0}, "n", "integer_below_min_value"),
        ({"best_of": 2}, "best_of", "unsupported_value"),
        ({"best_of": 1.0}, "best_of", "invalid_type"),
        ({"best_of": 2, "n": 3}, "best_of", "unsupported_value"),
        ({"suffix": ""}, "suffix", "unsupported_parameter"),
        ({"structured_outputs": {}}, "structured_outputs", "invalid_value"),
        ({"structured_outputs": {"regex": "a", "choice": ["b"]}}, "structured_outputs", "invalid_value"),
        ({"structured_outputs": {"foo": 1}}, "structured_outputs.foo", "unknown_parameter"),
        ({"user": 1}, "user", "invalid_type"),
        ({"stream_options": {}}, "stream_options", "invalid_value"),
        ({"stream": True, "stream_options": {"foo": 1}}, "stream_options.foo", "unknown_parameter"),
        ({"messages": []}, "messages", "unknown_parameter"),
        ({"max_completion_tokens": 1}, "max_completion_tokens", "unknown_parameter"),
        ({"metadata": {}}, "metadata", "unknown_parameter"),
    ],
    ids=str,
)
def test_what_cannot_be_honoured_is_refused_by_name(sent: dict[str, Json], param: str, code: str) -> None:
    with pytest.raises(InvalidRequest) as error:
        read(**sent)
    assert (error.value.param, error.value.code) == (param, code)


def test_a_chat_request_is_shown_its_endpoint() -> None:
    with pytest.raises(InvalidRequest, match="/v1/chat/completions") as error:
        read_completion_request({"model": "m", "messages": []})
    assert error.value.param == "messages"


def test_unknown_keys_may_be_dropped() -> None:
    body: dict[str, Json] = {"model": "m", "prompt": "hi", "foo": 1}
    assert read_completion_request(body, unknown_fields="drop") == dataclasses.replace(PLAIN, dropped=("foo",))


def test_the_operators_caps() -> None:
    body: dict[str, Json] = {"model": "m", "prompt": "hi", "n": 2}
    assert read_completion_request(body, max_output_tokens=5).params == GenerationParams(max_tokens=5, n=2)
    with pytest.raises(InvalidRequest, match="at most 1 choices"):
        read_completion_request(body, max_choices=1)
