"""Our own Runtime API loop around a tiny ASGI application. Run as a program, behind the emulator.

The path says what the application does; `hold` waits for the test as in `runtime.py`.
"""

import asyncio
import contextlib
import os
from typing import Any

from handler.aws.loop import serve_streaming


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        while (await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    request = await receive()

    async def start(status: int, *headers: tuple[bytes, bytes]) -> None:
        await send({"type": "http.response.start", "status": status, "headers": list(headers)})

    async def body(data: bytes, more: bool = True) -> None:
        await send({"type": "http.response.body", "body": data, "more_body": more})

    match scope["path"].strip("/").split("/"):
        case ["echo"]:
            query = scope["query_string"]
            await start(200, (b"set-cookie", b"a=1"), (b"set-cookie", b"b=2"), (b"x-method", scope["method"].encode()))
            await body(query + b"|" + request["body"], more=False)
        case ["empty", status]:
            await start(int(status), (b"location", b"/"))
            await body(b"", more=False)
        case ["stream"]:
            await start(200, (b"content-type", b"text/event-stream"))
            for letter in (b"a", b"b"):
                await hold()
                await body(letter)
            await body(b"", more=False)
        case ["raise", "early"]:
            raise RuntimeError("before the first byte")
        case ["raise", "late"]:
            await start(200)
            await body(b"a")
            raise RuntimeError("after the first byte")
        case ["forever"]:
            await start(200)
            with contextlib.suppress(OSError):
                while True:
                    await body(b"x" * 100)
                    await asyncio.sleep(0.001)
            await hold()


async def hold() -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(os.environ["STAGE"]))
    await reader.read(1)
    writer.close()


if __name__ == "__main__":
    asyncio.run(
        serve_streaming(
            app,
            runtime_api=os.environ["AWS_LAMBDA_RUNTIME_API"],
            init_type=os.environ["AWS_LAMBDA_INITIALIZATION_TYPE"],
            max_concurrency=int(os.environ.get("AWS_LAMBDA_MAX_CONCURRENCY", "1")),
        )
    )
