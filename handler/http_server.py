"""The laptop's server: HTTP by uvicorn, on a socket that is bound before the model loads."""

import contextlib
import os
import signal
import socket
from typing import TYPE_CHECKING

from handler.errors import ConfigurationError

if TYPE_CHECKING:
    from fastapi import FastAPI

# How long answers go on after Ctrl-C or SIGTERM, in seconds. What is not over then is cut, which a client notices.
STOP_GRACE = 3


def listen(host: str, port: int) -> socket.socket:
    """A listening socket: who connects while the model loads waits for it instead of being refused.

    Raises ConfigurationError if the address is not to be had.
    """
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        raise ConfigurationError(
            f"cannot listen on {host}:{port} ({os.strerror(error.errno or 0)}): choose another LLM_PORT",
            param="LLM_PORT",
        ) from None


def serve_http(app: "FastAPI", listener: socket.socket) -> None:
    """Serves `app` until SIGINT or SIGTERM: takes no more connections, lets answers end within their grace, returns."""
    import uvicorn

    config = uvicorn.Config(
        app,
        # Named, so that uvicorn imports no other to see whether it is there, and behaves alike wherever it runs.
        loop="asyncio",
        http="h11",
        ws="none",
        interface="asgi3",
        lifespan="on",
        log_config=None,
        log_level="critical",  # faults are logged by the application, without the text that an exception may quote
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=STOP_GRACE,
    )
    # uvicorn stops in order, and then passes the signal on: by default SIGTERM would end the process as if it had not.
    signal.signal(signal.SIGTERM, lambda _signal, _frame: None)
    with contextlib.suppress(KeyboardInterrupt):
        uvicorn.Server(config).run(sockets=[listener])
