"""A stand-in Lambda runtime that does what the request's `x-script` header says, step by step. Run as a program.

It speaks the Runtime API with the standard library only, so that it shares no code with the emulator or with our own
runtime. A script is a JSON list; see `step`. The variable INIT makes initialisation misbehave.
"""

import base64
import http.client
import json
import os
import socket
import sys
import time
from pathlib import Path
from typing import Any

ROOT = "/2018-06-01/runtime"
HTTP_INTEGRATION = "application/vnd.awslambda.http-integration-response"


def connect() -> http.client.HTTPConnection:
    return http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])


def post(path: str, body: Any, headers: dict[str, str] | None = None) -> int:
    connection = connect()
    connection.request("POST", ROOT + path, json.dumps(body), headers or {})
    return connection.getresponse().status


def hold() -> None:
    """Tell the test that we are here, and wait until it says to go on."""
    with socket.create_connection(("127.0.0.1", int(os.environ["STAGE"]))) as stage:
        stage.recv(1)


class Stream:
    def __init__(self, request_id: str, content_type: str) -> None:
        self.connection = connect()
        self.connection.putrequest("POST", f"{ROOT}/invocation/{request_id}/response")
        for name, value in [
            ("Lambda-Runtime-Function-Response-Mode", "streaming"),
            ("Transfer-Encoding", "chunked"),
            ("Content-Type", content_type),
            ("Trailer", "Lambda-Runtime-Function-Error-Type"),
            ("Trailer", "Lambda-Runtime-Function-Error-Body"),
        ]:
            self.connection.putheader(name, value)
        self.connection.endheaders()

    def write(self, data: bytes) -> None:
        self.connection.send(b"%x\r\n%b\r\n" % (len(data), data))

    def end(self) -> int:
        self.connection.send(b"0\r\n\r\n")
        return self.connection.getresponse().status

    def fail(self, error_type: str) -> None:
        body = base64.b64encode(json.dumps({"errorType": error_type, "errorMessage": "as told"}).encode())
        self.connection.send(
            b"0\r\nLambda-Runtime-Function-Error-Type: %b\r\nLambda-Runtime-Function-Error-Body: %b\r\n\r\n"
            % (error_type.encode(), body)
        )
        self.connection.close()


def step(order: str, value: Any, state: dict[str, Any]) -> None:
    request_id, event = state["id"], state["event"]
    match order:
        case "echo":
            answer = {"event": event, "headers": state["headers"], "pid": os.getpid(), "env": dict(os.environ)}
            post(f"/invocation/{request_id}/response", {"statusCode": 200, "body": json.dumps(answer)})
        case "answer":
            state["status"] = post(f"/invocation/{request_id}/response", value)
        case "error":
            post(f"/invocation/{request_id}/error", {"errorType": value, "errorMessage": "as told"})
        case "stream":
            state["stream"] = Stream(request_id, value or HTTP_INTEGRATION)
        case "prelude":
            state["stream"] = Stream(request_id, HTTP_INTEGRATION)
            state["stream"].write(json.dumps(value).encode() + b"\0" * 8)
        case "write":
            state["stream"].write(value.encode("latin-1"))
        case "write until broken":
            try:
                while True:
                    state["stream"].write(b"x" * 1000)
                    time.sleep(0.001)
            except OSError:
                hold()
        case "end":
            state["stream"].end()
        case "fail":
            state["stream"].fail(value)
        case "drop":
            state["stream"].connection.close()
        case "poll":
            state["poller"] = connect()
            state["poller"].request("GET", f"{ROOT}/invocation/next")
        case "hold":
            hold()
        case "exit":
            os._exit(value)
        case _:
            raise ValueError(order)


def initialise(behaviour: str) -> None:
    """INIT=error | exit | hang: always; INIT=<one of them>:PATH: only the first time, PATH remembers."""
    kind, _, once = behaviour.partition(":")
    if once:
        if Path(once).exists():
            return
        Path(once).touch()
    match kind:
        case "error":
            post("/init/error", {"errorType": "Runtime.ImportError", "errorMessage": "no such model"})
            sys.exit(1)
        case "exit":
            sys.exit(3)
        case "hang":
            time.sleep(3600)


def main() -> None:
    initialise(os.environ.get("INIT", ""))
    restored = None
    if os.environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") == "snap-start":
        connection = connect()
        connection.request("GET", f"{ROOT}/restore/next")
        restored = connection.getresponse().status
        if os.environ.get("RESTORE") == "error":
            post("/restore/error", {"errorType": "Runtime.RestoreError", "errorMessage": "stale secret"})
            sys.exit(1)
    while True:
        connection = connect()
        connection.request("GET", f"{ROOT}/invocation/next")
        response = connection.getresponse()
        headers = {name.lower(): value for name, value in response.getheaders()}
        event = json.loads(response.read())
        state = {"id": headers["lambda-runtime-aws-request-id"], "event": event, "headers": headers}
        state["headers"]["restored"] = restored
        for order, value in json.loads(event["headers"].get("x-script", '[["echo", null]]')):
            step(order, value, state)


if __name__ == "__main__":
    main()
