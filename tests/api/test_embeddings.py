"""POST /v1/embeddings over HTTP and through the official client, on a model whose vectors can be computed by hand."""

import asyncio
import base64
import struct
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import numpy as np
import openai
import pytest
from numpy.typing import NDArray

from handler.api.app import ApiConfig, create_app
from handler.api.embedding_fields import EMBEDDING_FIELDS
from tests.api.conftest import listening
from tests.contract.specification import document
from tests.contract.wire import Checked
from tests.embedding_fakes import END, NAME, START, WINDOW, FakeEncoder, embedding_service
from tests.fakes import ScriptedDecoder, chat_service

AB = [(START + 97 + 98 + END) / 4, 1.0, -(START + 97 + 98 + END) / 4, 0.0]


def app(encoder: FakeEncoder | None = None, decoder: ScriptedDecoder | None = None, **config: Any) -> Checked:
    service = embedding_service(encoder)
    embeddings = {NAME: service, "text-embedding-3-small": service}
    return Checked(create_app({"fake-model": chat_service(decoder)}, ApiConfig(**config), embeddings=embeddings))


async def post(body: dict[str, Any], checked: Checked | None = None) -> httpx.Response:
    checked = checked or app()
    async with httpx.AsyncClient(transport=httpx.ASGITransport(checked), base_url="http://test", timeout=60) as client:
        answer = await client.post("/v1/embeddings", json={"model": NAME} | body)
    checked.check()
    return answer


def test_the_field_table_is_the_specification() -> None:
    schema = document()["schemas"]["CreateEmbeddingRequest"]
    assert {row.name for row in EMBEDDING_FIELDS} == set(schema["properties"])
    assert {row.name for row in EMBEDDING_FIELDS if row.required} == set(schema["required"])


async def test_one_text_is_one_vector_and_an_exact_usage() -> None:
    answer = await post({"input": "ab", "user": "u", "dimensions": None})
    assert answer.json() == {
        "object": "list",
        "data": [{"object": "embedding", "index": 0, "embedding": AB}],
        "model": NAME,
        "usage": {"prompt_tokens": 4, "total_tokens": 4},
    }


@pytest.mark.parametrize(
    "given",
    ["ab", ["ab"], [97, 98], [[97, 98]], [[START, 97, 98, END]]],
    ids=["text", "texts", "ids", "arrays", "framed"],
)
async def test_a_text_and_its_tokens_have_one_vector(given: Any) -> None:
    assert (await post({"input": given})).json()["data"][0]["embedding"] == AB


async def test_vectors_come_in_the_order_of_the_texts() -> None:
    texts = ["abcabc", "a", "abc", "ab"]
    data = (await post({"input": texts})).json()["data"]
    assert [item["index"] for item in data] == [0, 1, 2, 3]
    alone = [(await post({"input": text})).json()["data"][0]["embedding"] for text in texts]
    assert [item["embedding"] for item in data] == alone


async def test_base64_is_little_endian_float32() -> None:
    text = (await post({"input": "ab", "encoding_format": "base64"})).json()["data"][0]["embedding"]
    assert list(struct.unpack("<4f", base64.b64decode(text, validate=True))) == AB


async def test_numbers_are_the_very_32_bit_floats() -> None:
    class Thirds(FakeEncoder):
        def encode(self, token_ids: NDArray[np.int64], mask: NDArray[np.int64]) -> NDArray[np.float32]:
            return (super().encode(token_ids, mask) / np.float32(3e9)).astype(np.float32)

    numbers = (await post({"input": "ab"}, app(Thirds()))).json()["data"][0]["embedding"]
    text = (await post({"input": "ab", "encoding_format": "base64"}, app(Thirds()))).json()["data"][0]["embedding"]
    assert np.array(numbers, np.float32).tobytes() == base64.b64decode(text)


async def test_fewer_dimensions_are_scaled_to_length_1() -> None:
    vector = (await post({"input": "ab", "dimensions": 2})).json()["data"][0]["embedding"]
    assert vector == pytest.approx([AB[0] / np.hypot(AB[0], 1), 1 / np.hypot(AB[0], 1)])


@pytest.mark.parametrize(
    ("body", "param", "code"),
    [
        ({}, "input", "missing_required_parameter"),
        ({"input": None}, "input", "missing_required_parameter"),
        ({"input": ""}, "input", "empty_string"),
        ({"input": []}, "input", "empty_array"),
        ({"input": ["a", ""]}, "input[1]", "empty_string"),
        ({"input": [[]]}, "input[0]", "empty_array"),
        ({"input": 5}, "input", "invalid_type"),
        ({"input": {"text": "a"}}, "input", "invalid_type"),
        ({"input": ["a", [1]]}, "input[1]", "invalid_type"),
        ({"input": [1, "a"]}, "input[1]", "invalid_type"),
        ({"input": [1.5]}, "input[0]", "invalid_type"),
        ({"input": [-1]}, "input[0]", "integer_below_min_value"),
        ({"input": [258]}, "input", "invalid_value"),
        ({"input": ["a"] * 2049}, "input", "array_above_max_length"),
        ({"input": "x" * WINDOW}, "input", "context_length_exceeded"),
        ({"input": ["a", "x" * WINDOW]}, "input[1]", "context_length_exceeded"),
        ({"input": "a", "dimensions": 0}, "dimensions", "integer_below_min_value"),
        ({"input": "a", "dimensions": 5}, "dimensions", "invalid_value"),
        ({"input": "a", "dimensions": 2.0}, "dimensions", "invalid_type"),
        ({"input": "a", "encoding_format": "int8"}, "encoding_format", "unsupported_value"),
        ({"input": "a", "user": 1}, "user", "invalid_type"),
        ({"input": "a", "truncate": True}, "truncate", "unknown_parameter"),
        ({"input": "a", "model": None}, "model", "missing_required_parameter"),
    ],
)
async def test_what_cannot_be_honoured_is_refused_by_name(body: dict[str, Any], param: str, code: str) -> None:
    answer = await post(body)
    error = answer.json()["error"]
    assert (answer.status_code, error["type"], error["param"], error["code"]) == (
        400,
        "invalid_request_error",
        param,
        code,
    )


async def test_a_text_too_long_is_refused_with_both_counts() -> None:
    message = (await post({"input": "x" * WINDOW})).json()["error"]["message"]
    assert message.startswith(
        f"This model's maximum context length is {WINDOW} tokens. However, your input resulted in {WINDOW + 2} tokens."
    )


async def test_unknown_keys_are_dropped_where_the_setting_says_so() -> None:
    answer = await post({"input": "ab", "truncate": True}, app(unknown_fields="drop"))
    assert (answer.status_code, answer.headers["x-dropped-fields"]) == (200, "truncate")


@pytest.mark.parametrize("model", ["fake-model", "nobody"])
async def test_only_an_embedding_model_embeds(model: str) -> None:
    answer = await post({"input": "a", "model": model})
    error = answer.json()["error"]
    assert (answer.status_code, error["param"], error["code"]) == (404, "model", "model_not_found")
    assert NAME in error["message"]


async def test_without_an_embedding_model_there_is_none_to_find() -> None:
    answer = await post({"input": "a"}, Checked(create_app({"fake-model": chat_service()})))
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "model_not_found")


async def test_models_are_listed_with_their_windows_and_an_embedding_model_does_not_chat() -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app()), base_url="http://test") as client:
        listed = (await client.get("/v1/models")).json()["data"]
        one = (await client.get(f"/v1/models/{NAME}")).json()
        said = {"model": NAME, "messages": [{"role": "user", "content": "Hi"}]}
        chat = await client.post("/v1/chat/completions", json=said)
    assert [item["id"] for item in listed] == ["fake-model", NAME, "text-embedding-3-small"]
    assert one == listed[1]
    assert one["max_model_len"] == WINDOW
    assert (chat.status_code, chat.json()["error"]["code"]) == (404, "model_not_found")


class GatedEncoder(FakeEncoder):
    """Computes a batch only once it is allowed to."""

    def __init__(self) -> None:
        super().__init__(context_window=200)
        self.allowed = threading.Semaphore(0)

    def encode(self, token_ids: NDArray[np.int64], mask: NDArray[np.int64]) -> NDArray[np.float32]:
        assert self.allowed.acquire(timeout=30)
        return super().encode(token_ids, mask)


async def test_a_chat_goes_on_between_two_batches() -> None:
    encoder = GatedEncoder()
    with listening(app(encoder, ScriptedDecoder("Hi."))) as url:
        async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="k", max_retries=0) as client:
            texts = ["x" * 150] * 1000
            embedding = asyncio.create_task(client.embeddings.create(model=NAME, input=texts))
            chat = asyncio.create_task(
                client.chat.completions.create(
                    model="fake-model", messages=[{"role": "user", "content": "?"}], temperature=0
                )
            )
            while not chat.done():
                encoder.allowed.release()
                await asyncio.sleep(0.005)
            assert (await chat).choices[0].message.content == "Hi."
            assert not embedding.done()
            encoder.allowed.release(len(texts))
            assert len((await embedding).data) == len(texts)


@pytest.fixture
def url() -> Iterator[str]:
    checked = app()
    with listening(checked) as url:
        yield url
    checked.check()


@pytest.fixture
async def client(url: str) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="k", max_retries=0) as client:
        yield client


async def test_the_official_client_reads_both_encodings_alike(client: openai.AsyncOpenAI) -> None:
    default = await client.embeddings.create(model=NAME, input=["ab", "b"])
    numbers = await client.embeddings.create(model=NAME, input=["ab", "b"], encoding_format="float")
    read = [np.array([item.embedding for item in answer.data], np.float32) for answer in (default, numbers)]
    assert np.array_equal(*read)
    assert default.data[0].embedding == AB
    assert (default.usage.prompt_tokens, default.usage.total_tokens) == (7, 7)


async def test_the_official_client_raises_what_was_meant(client: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        await client.embeddings.create(model=NAME, input="x" * WINDOW)
    assert (caught.value.code, caught.value.param) == ("context_length_exceeded", "input")
    with pytest.raises(openai.NotFoundError):
        await client.embeddings.create(model="fake-model", input="a")
