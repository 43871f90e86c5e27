"""The events that ship with the project: complete, recognised by Mangum, and without secrets."""

import base64
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from mangum import Mangum

from lambda_local.event import HttpRequest, Stamp, function_url_event

EVENTS = Path(__file__).resolve().parents[2] / "events"
FILES = sorted(EVENTS.glob("*.json"))
HANDLERS = {"function_url": "HTTPGateway", "http_api": "HTTPGateway", "rest_api": "APIGateway", "alb": "ALB"}
CASES = ("get_models", "get_health", "chat", "chat_stream", "chat_base64")


def read(path: Path) -> dict[str, Any]:
    event: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return event


def test_every_source_has_every_case() -> None:
    assert {path.stem for path in FILES} >= {f"{source}_{case}" for source in HANDLERS for case in CASES}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
async def test_mangum_recognises_it(path: Path) -> None:
    """Async because Mangum's constructor leaves an event loop behind where it finds none."""

    async def app(scope: Any, receive: Any, send: Any) -> None: ...

    handler = Mangum(app, lifespan="off").infer(read(path), SimpleNamespace())
    source = next(source for source in HANDLERS if path.stem.startswith(source))
    assert type(handler).__name__ == HANDLERS[source]
    if "chat" in path.stem:
        assert (handler.scope["method"], handler.scope["path"]) == ("POST", "/v1/chat/completions")
        request = json.loads(handler.body)
        assert request["messages"] == [{"role": "user", "content": "What is the capital of France?"}]
        assert (request["temperature"], request.get("stream", False)) == (0, "stream" in path.stem)
    else:
        assert handler.scope["method"] == "GET"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_it_holds_no_key(path: Path) -> None:
    assert "authorization" not in path.read_text(encoding="utf-8").lower()


@pytest.mark.parametrize("path", [path for path in FILES if path.stem.startswith("function_url")], ids=lambda p: p.stem)
def test_the_emulator_makes_the_same_shape(path: Path) -> None:
    event = read(path)
    body = event.get("body", "")
    made = function_url_event(
        HttpRequest(
            method=event["requestContext"]["http"]["method"],
            target=event["rawPath"],
            headers=list(event["headers"].items()),
            body=base64.b64decode(body) if event["isBase64Encoded"] else body.encode(),
            client="203.0.113.10",
        ),
        Stamp(request_id=event["requestContext"]["requestId"], time=event["requestContext"]["timeEpoch"] / 1000),
        region="us-east-1",
    )
    for where in (made, event):
        where["headers"] = sorted(where["headers"])
    assert made == event
