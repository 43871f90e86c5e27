"""POST /tokenize and /detokenize: vLLM's shapes, in both forms, as strict as every other endpoint."""

import dataclasses

import httpx
import pytest

from handler.api.app import ApiConfig, create_app
from handler.api.tokenize_fields import CHAT_FIELDS, DETOKENIZE_FIELDS, TEXT_FIELDS
from handler.api.tokenize_request import read_tokenize_request
from handler.api.values import Json
from handler.chat.service import ChatService
from handler.errors import InvalidRequest
from tests.api.conftest import MakeClient
from tests.fakes import END_OF_TEXT, IM_END, IM_START, ScriptedDecoder, accepting, chat_service

HI = [{"role": "user", "content": "hi"}]
HI_IDS = [IM_START, *b"user\nhi", IM_END, *b"\n"]
ASSISTANT = [IM_START, *b"assistant\n"]
WEATHER = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}


def with_start_token() -> httpx.AsyncClient:
    """Of a model whose tokenizer puts a token before a text."""
    model = dataclasses.replace(chat_service().model, start_token_ids=(END_OF_TEXT,))
    app = create_app({"fake-model": ChatService(model)})
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test")


async def test_text(make_client: MakeClient) -> None:
    response = await make_client().post("/tokenize", json={"model": "fake-model", "prompt": "hé<|im_end|>"})
    assert response.status_code == 200
    assert response.json() == {
        "count": 4,
        "max_model_len": 4096,
        "tokens": [104, 0xC3, 0xA9, IM_END],
        "token_strs": None,
    }


async def test_tokens_have_the_vocabularys_names(make_client: MakeClient) -> None:
    response = await make_client().post("/tokenize", json={"prompt": "h<|im_end|>", "return_token_strs": True})
    assert response.json()["token_strs"] == ["<0x68>", "<|im_end|>"]


async def test_the_model_may_be_left_out(make_client: MakeClient) -> None:
    client = make_client()
    assert (await client.post("/tokenize", json={"prompt": ""})).json()["tokens"] == []
    assert (await client.post("/detokenize", json={"tokens": []})).json() == {"prompt": ""}


@pytest.mark.parametrize(
    ("sent", "tokens"),
    [
        ({}, [*HI_IDS, *ASSISTANT]),
        ({"add_generation_prompt": False}, HI_IDS),
        ({"continue_final_message": True}, HI_IDS[:-2]),
        ({"add_special_tokens": True}, [END_OF_TEXT, *HI_IDS, *ASSISTANT]),
    ],
    ids=str,
)
async def test_a_chat_is_the_prompt_that_it_would_be(sent: dict[str, Json], tokens: list[int]) -> None:
    messages = HI
    if "continue_final_message" in sent:
        messages, tokens = [{"role": "assistant", "content": "hi"}], [IM_START, *b"assistant\nhi"]
    async with with_start_token() as client:
        answer = (await client.post("/tokenize", json={"messages": messages, **sent})).json()
    assert (answer["tokens"], answer["count"]) == (tokens, len(tokens))


async def test_a_chat_counts_what_the_chat_endpoint_counts(make_client: MakeClient) -> None:
    client = make_client(ScriptedDecoder("ok"))
    body = {"model": "fake-model", "messages": [*HI, {"role": "user", "content": "<|im_start|>"}], "tools": [WEATHER]}
    counted = (await client.post("/tokenize", json=body)).json()["count"]
    answer = (await client.post("/v1/chat/completions", json=body)).json()
    assert answer["usage"]["prompt_tokens"] == counted
    plain = (await client.post("/tokenize", json={**body, "tools": []})).json()["count"]
    assert plain < counted


async def test_a_start_token_is_added_to_text_unless_it_is_not_wanted() -> None:
    async with with_start_token() as client:
        assert (await client.post("/tokenize", json={"prompt": "a"})).json()["tokens"] == [END_OF_TEXT, 97]
        sent = {"prompt": "a", "add_special_tokens": False}
        assert (await client.post("/tokenize", json=sent)).json()["tokens"] == [97]


async def test_text_longer_than_the_window_is_counted(make_client: MakeClient) -> None:
    client = make_client(ScriptedDecoder(context_window=8))
    for body in ({"prompt": "x" * 100}, {"messages": [{"role": "user", "content": "x" * 100}]}):
        answer = (await client.post("/tokenize", json=body)).json()
        assert answer["count"] >= 100
        assert answer["max_model_len"] == 8


async def test_tokens_become_the_text_that_they_were(make_client: MakeClient) -> None:
    client = make_client()
    text = "<|im_start|>Größe 😀"
    tokens = (await client.post("/tokenize", json={"prompt": text})).json()["tokens"]
    assert (await client.post("/detokenize", json={"tokens": tokens})).json() == {"prompt": text}


@pytest.mark.parametrize(
    ("path", "sent", "status", "param", "code"),
    [
        ("/tokenize", {}, 400, "prompt", "missing_required_parameter"),
        ("/tokenize", {"prompt": None, "messages": None}, 400, "prompt", "missing_required_parameter"),
        ("/tokenize", {"prompt": "a", "messages": HI}, 400, "messages", "invalid_value"),
        ("/tokenize", {"prompt": ["a"]}, 400, "prompt", "invalid_type"),
        ("/tokenize", {"prompt": "a", "model": "gpt-4o"}, 404, "model", "model_not_found"),
        ("/tokenize", {"prompt": "a", "add_generation_prompt": True}, 400, "add_generation_prompt", None),
        ("/tokenize", {"prompt": "a", "foo": 1}, 400, "foo", "unknown_parameter"),
        ("/tokenize", {"messages": HI, "chat_template": "x"}, 400, "chat_template", "unsupported_parameter"),
        ("/tokenize", {"messages": HI, "mm_processor_kwargs": {}}, 400, "mm_processor_kwargs", None),
        ("/tokenize", {"messages": HI, "temperature": 1}, 400, "temperature", "unknown_parameter"),
        ("/tokenize", {"messages": [{"role": "user", "x": 1}]}, 400, "messages[0].x", "unknown_parameter"),
        ("/tokenize", {"messages": []}, 400, "messages", None),
        ("/tokenize", {"messages": HI, "tools": [WEATHER, WEATHER]}, 400, "tools", None),
        ("/detokenize", {}, 400, "tokens", "missing_required_parameter"),
        ("/detokenize", {"tokens": "a"}, 400, "tokens", "invalid_type"),
        ("/detokenize", {"tokens": [1.0]}, 400, "tokens[0]", "invalid_type"),
        ("/detokenize", {"tokens": [-1]}, 400, "tokens[0]", "integer_below_min_value"),
        ("/detokenize", {"tokens": [999]}, 400, "tokens", "invalid_value"),
        ("/detokenize", {"tokens": [1], "skip_special_tokens": True}, 400, "skip_special_tokens", "unknown_parameter"),
    ],
    ids=str,
)
async def test_refusals(
    make_client: MakeClient, path: str, sent: dict[str, Json], status: int, param: str, code: str | None
) -> None:
    response = await make_client().post(path, json=sent)
    error = response.json()["error"]
    assert (response.status_code, error["param"]) == (status, param)
    assert code is None or error["code"] == code


async def test_a_base_model_has_no_chat_to_tokenize() -> None:
    app = create_app({"fake-model": chat_service(template=None)})
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        assert (await client.post("/tokenize", json={"prompt": "a"})).json()["tokens"] == [97]
        assert (await client.post("/tokenize", json={"messages": HI})).json()["error"]["param"] == "messages"


async def test_keys_and_dropped_fields(make_client: MakeClient) -> None:
    client = make_client(config=ApiConfig(keys=accepting("k"), unknown_fields="drop"))
    for path, body in (("/tokenize", {"prompt": "a", "x": 1}), ("/detokenize", {"tokens": [1], "x": 1})):
        assert (await client.post(path, json=body)).status_code == 401
        response = await client.post(path, json=body, headers={"x-api-key": "k"})
        assert (response.status_code, response.headers["x-dropped-fields"]) == (200, "x")


def test_every_row_is_documented() -> None:
    rows = (*TEXT_FIELDS, *CHAT_FIELDS, *DETOKENIZE_FIELDS)
    assert [row.name for row in rows if not (row.doc.endswith(".") and row.reader.summary)] == []


@pytest.mark.parametrize("row", [row for row in CHAT_FIELDS if not row.required], ids=lambda row: row.name)
def test_null_means_absent(row: object) -> None:
    body: dict[str, Json] = {"messages": [{"role": "user", "content": "hi"}]}
    name = getattr(row, "name", "")
    assert read_tokenize_request({**body, name: None}) == read_tokenize_request(body)


def test_a_form_has_its_own_fields() -> None:
    assert read_tokenize_request({"prompt": "a", "tools": None}) == read_tokenize_request({"prompt": "a"})
    with pytest.raises(InvalidRequest):
        read_tokenize_request({"prompt": "a", "tools": []})
