"""Both modes under AWS's own Runtime Interface Emulator: it accepts what we send.

(It buffers streams, keeps the prelude in the body, and drops error trailers: it proves no more than acceptance.)
"""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lambda_local.rie import invoke, running_rie
from tests.aws.fake_runtime_api import function_url

ROOT = Path(__file__).parents[2]
NULS = b"\0" * 8


@contextmanager
def emulator(mode: str) -> Iterator[Callable[[dict[str, Any]], bytes]]:
    command = (sys.executable, "-m", "tests.aws.tiny_app", mode)
    with running_rie(command, timeout=30, env={"PYTHONPATH": str(ROOT)}) as port:
        yield lambda event: invoke(port, json.dumps(event).encode(), timeout=30)


def test_the_streaming_loop_is_accepted() -> None:
    with emulator("stream") as answer:
        assert answer(function_url("/sse")) == (
            b'{"statusCode": 200, "headers": {"content-type": "text/event-stream"}, "cookies": []}'
            + NULS
            + "data: é\n\ndata: [DONE]\n\n".encode()
        )
        assert answer(function_url("/empty")) == b'{"statusCode": 204, "headers": {}, "cookies": []}' + NULS
        assert (answer(function_url("/half"))).endswith(NULS + b"half")
        assert json.loads(answer(function_url("/unknown")))["errorType"] == "LookupError"
        assert json.loads(answer({}))["errorType"] == "UnsupportedEvent"
        assert (answer(function_url("/echo", "POST", "x"))).endswith(b'["POST", "", "x", 1]')


def test_the_buffered_mode_is_accepted() -> None:
    with emulator("buffered") as answer:
        assert json.loads(answer(function_url("/sse"))) == {
            "statusCode": 200,
            "headers": {"content-type": "text/event-stream"},
            "body": "data: é\n\ndata: [DONE]\n\n",
            "isBase64Encoded": False,
        }
        assert json.loads(answer(function_url("/unknown")))["statusCode"] == 500
        assert json.loads(answer(function_url("/large")))["statusCode"] == 500
        assert json.loads(answer({}))["errorType"] == "UnsupportedEvent"
        assert json.loads(answer(function_url("/binary")))["body"] == "iVBOR/8="
