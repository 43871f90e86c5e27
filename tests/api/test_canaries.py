"""Text that must not be in the log, wherever a caller can put text: whatever comes of it, each request is one line of
JSON, and none of it is there."""

import json
import logging
from collections.abc import Iterator, Mapping
from typing import Any

import httpx
import pytest

from handler.api.app import ApiConfig, create_app
from handler.api.completion_fields import COMPLETION_FIELDS
from handler.api.embedding_fields import EMBEDDING_FIELDS
from handler.api.fields import FIELDS
from handler.api.responses.fields import FIELDS as RESPONSES_FIELDS
from handler.api.tokenize_fields import DETOKENIZE_FIELDS, TEXT_FIELDS
from handler.metrics import EmbeddedMetrics
from handler.record import RequestLog
from tests.embedding_fakes import NAME, embedding_service
from tests.fakes import ScriptedDecoder, accepting, chat_service

CANARY = "tweet5150"
KEY = "sk-a-key-that-nobody-logs"
MESSAGES = [{"role": "user", "content": CANARY}]
BODIES: Mapping[str, dict[str, Any]] = {
    "/v1/chat/completions": {"model": "fake-model", "messages": MESSAGES, "max_tokens": 4},
    "/v1/completions": {"model": "fake-model", "prompt": CANARY, "max_tokens": 4},
    "/v1/responses": {"model": "fake-model", "input": CANARY},
    "/v1/embeddings": {"model": NAME, "input": CANARY},
    "/tokenize": {"model": "fake-model", "prompt": CANARY},
    "/detokenize": {"model": "fake-model", "tokens": list(CANARY.encode())},
}
FIELD_NAMES = {
    "/v1/chat/completions": FIELDS,
    "/v1/completions": COMPLETION_FIELDS,
    "/v1/responses": RESPONSES_FIELDS,
    "/v1/embeddings": EMBEDDING_FIELDS,
    "/tokenize": TEXT_FIELDS,
    "/detokenize": DETOKENIZE_FIELDS,
}
JSON = {"content-type": "application/json"}


def _requests() -> Iterator[tuple[str, str, bytes, dict[str, str]]]:
    """Method, path, body and headers."""
    for path, body in BODIES.items():
        yield "POST", path, json.dumps(body).encode(), JSON
        yield "POST", path, json.dumps(body | {"stream": True}).encode(), JSON
        yield "POST", path, json.dumps(body | {CANARY: CANARY}).encode(), JSON
        yield "POST", path, json.dumps([CANARY]).encode(), JSON
        yield "POST", path, json.dumps(body).encode()[:-2], JSON
        yield "POST", path, CANARY.encode() + b"\xff", JSON
        yield "POST", path, json.dumps(body).encode(), {"content-type": f"multipart/form-data; boundary={CANARY}"}
        yield "POST", f"{path}?{CANARY}={CANARY}", json.dumps(body).encode(), JSON
        yield CANARY, path, b"", {}
        for field in FIELD_NAMES[path]:
            for value in (CANARY, [CANARY], {CANARY: CANARY}, [{"role": "user", "type": CANARY, "content": CANARY}]):
                yield "POST", path, json.dumps(body | {field.name: value}).encode(), JSON
    for path in (f"/{CANARY}", f"/v1/models/{CANARY}", f"/v1/chat/completions/{CANARY}", f"/health;{CANARY}"):
        yield "GET", path, b"", {}
    chat = json.dumps(BODIES["/v1/chat/completions"]).encode()
    for name in ("traceparent", "tracestate", "x-amzn-trace-id", "x-request-id", "user-agent", "origin", "cookie"):
        yield "POST", "/v1/chat/completions", chat, {**JSON, name: f"Root={CANARY};00-{CANARY}-01"}
    for name in ("authorization", "x-api-key"):
        yield "POST", "/v1/chat/completions", chat, {**JSON, "authorization": "", name: f"Bearer {CANARY}"}


@pytest.mark.parametrize("fail_at", [None, 0, 2], ids=["answers", "fails at once", "fails in the middle"])
async def test_no_line_has_what_a_caller_sent_or_got(fail_at: int | None, caplog: pytest.LogCaptureFixture) -> None:
    decoder = ScriptedDecoder(f"{CANARY} {CANARY}", fail_at=fail_at)
    app = create_app(
        {"fake-model": chat_service(decoder)},
        ApiConfig(keys=accepting(KEY)),
        embeddings={NAME: embedding_service()},
        log=RequestLog(metrics=EmbeddedMetrics()),
    )
    asked, statuses = 0, set()
    with caplog.at_level(logging.DEBUG, "handler"):
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
            for method, path, body, headers in _requests():
                sent = {"authorization": f"Bearer {KEY}", **headers}
                answer = await client.request(method, path, content=body, headers=sent)
                statuses.add(answer.status_code)
                asked += 1
    lines = [record.getMessage() for record in caplog.records if record.name.startswith("handler")]
    assert [json.loads(line)["event"] for line in lines] == ["request"] * asked
    assert [line for line in lines if CANARY in line.lower() or KEY in line] == []
    assert statuses >= {200, 400, 401, 404, 405, 415}
