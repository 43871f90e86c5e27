"""The smallest application that shows something in each mode. `python -m tests.aws.tiny_app stream|buffered`."""

import asyncio
import json
import logging
import os
import sys

from handler.aws.asgi import Receive, Scope, Send
from handler.aws.loop import serve_streaming
from handler.aws.ric import serve_buffered


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        await lifespan(scope, receive, send)
        return
    body = (await receive())["body"]
    match scope["path"]:
        case "/echo":
            echo = [scope["method"], scope["query_string"].decode(), body.decode(), scope["state"]["started"]]
            await answer(send, b"application/json", json.dumps(echo).encode())
        case "/binary":
            await answer(send, b"image/png", b"\x89PNG\xff")
        case "/sse":
            await answer(send, b"text/event-stream", b"data: \xc3\xa9\n\n", b"data: [DONE]\n\n")
        case "/large":
            await answer(send, b"text/plain", b"\xc3\xa9" * (2 * 1024 * 1024))
        case "/empty":
            await send({"type": "http.response.start", "status": 204, "headers": []})
            await send({"type": "http.response.body", "body": b""})
        case "/slow":
            print("busy", flush=True)
            await asyncio.sleep(0.3)
            await answer(send, b"text/plain", b"done")
        case "/forever":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            print("busy", flush=True)
            await asyncio.Event().wait()
        case "/half":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"half", "more_body": True})
            raise LookupError("quotes a prompt")
        case _:
            raise LookupError("quotes a prompt")


async def answer(send: Send, content_type: bytes, *pieces: bytes) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", content_type)]})
    for piece in pieces:
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def lifespan(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    if os.environ.get("TINY_APP_FAILS"):
        await send({"type": "lifespan.startup.failed", "message": "no model"})
        raise LookupError("no model")
    scope["state"]["started"] = 1
    await send({"type": "lifespan.startup.complete"})
    await receive()
    print("shut down", flush=True)
    await send({"type": "lifespan.shutdown.complete"})


def restored() -> None:
    print("restored", flush=True)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    runtime_api = os.environ["AWS_LAMBDA_RUNTIME_API"]
    if sys.argv[1] == "stream":
        init_type = os.environ.get("AWS_LAMBDA_INITIALIZATION_TYPE")
        asyncio.run(serve_streaming(app, runtime_api=runtime_api, init_type=init_type, on_restore=(restored,)))
    else:
        serve_buffered(app, runtime_api=runtime_api, on_restore=(restored,))
