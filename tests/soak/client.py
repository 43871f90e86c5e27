"""One request of a soak, and what is wrong with its answer."""

import contextlib
import json
from typing import Any

import httpx

from tests.soak.mix import RESPONSES, Asked

KEY = "sk-" + "soak" * 8


def complaint(client: httpx.Client, asked: Asked) -> str | None:
    """What is wrong with the answer, None where nothing is. A client that leaves has nothing to complain of."""
    content = asked.body if isinstance(asked.body, bytes | None) else json.dumps(asked.body).encode()
    headers = {"content-type": "application/json"} | ({"authorization": f"Bearer {KEY}"} if asked.key else {})
    method = "GET" if content is None else "POST"
    try:
        with client.stream(method, asked.path, content=content, headers=headers) as response:
            if response.status_code != asked.status:
                return f"{response.status_code}, not {asked.status}: {response.read()[:200]!r}"
            if asked.leaves:
                next(response.iter_raw())
                return None
            return told(asked, response.read())
    except httpx.HTTPError as error:
        return f"{type(error).__name__}: {error}"


def told(asked: Asked, body: bytes) -> str | None:
    """What is missing from an answer: a stream's end, its usage, the reason of any choice."""
    if asked.status != 200 or not asked.streams:
        with contextlib.suppress(ValueError):
            json.loads(body)
            return None
        return "not JSON"
    *events, last = [line.removeprefix("data: ") for line in body.decode().splitlines() if line.startswith("data: ")]
    if asked.path == RESPONSES:
        return None if json.loads(last)["type"].startswith("response.") and "usage" in last else "no end of a response"
    if last != "[DONE]":
        return "no [DONE]"
    values: list[dict[str, Any]] = [json.loads(event) for event in events]
    assert isinstance(asked.body, dict)
    ended = {c["index"] for value in values for c in value["choices"] if c["finish_reason"] is not None}
    if ended != set(range(asked.body.get("n", 1))):
        return f"only the choices {ended} ended"
    if "stream_options" in asked.body and not values[-1].get("usage"):
        return "no usage"
    return None
