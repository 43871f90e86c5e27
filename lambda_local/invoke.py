"""`python -m lambda_local.invoke EVENT.json`: one event through the real Runtime Interface Emulator.

As `sam local invoke` would, without a container. The emulator buffers: in stream mode it returns prelude and body in
one piece, so this proves that the protocol is accepted and not that tokens stream (`python -m lambda_local` does that).
Exit status: 0 for an HTTP status under 400, else 1.
"""

import argparse
import base64
import json
import sys
from dataclasses import replace
from pathlib import Path

from lambda_local.prelude import Prelude, PreludeError, PreludeParser, prelude_from
from lambda_local.rie import RieError, invoke, running_rie

# The runtime starts with the first invoke, and may take its 10 s twice; only then does the function's time begin.
START_ALLOWANCE = 60.0


def parser() -> argparse.ArgumentParser:
    """The command line."""
    cli = argparse.ArgumentParser(prog="python -m lambda_local.invoke", description=__doc__.splitlines()[0])
    cli.add_argument("event", type=Path, metavar="EVENT.json")
    cli.add_argument("--mode", choices=["stream", "buffered"], default="buffered", help="LLM_MODE of the runtime")
    cli.add_argument("--timeout", type=float, default=60.0, metavar="SECONDS", help="of the invocation (60)")
    cli.add_argument("command", nargs="*", metavar="COMMAND", help="after --: the runtime (python -m handler)")
    return cli


def render(answer: bytes) -> tuple[int, str]:
    """An HTTP status and a text for people, from what the emulator returned. Status 0: the function failed."""
    if not answer:
        return 0, "no answer: the runtime did not start or died, and its log above says why"
    try:
        fields = json.loads(answer)
    except ValueError:
        return _render_stream(answer)
    if not isinstance(fields, dict) or "statusCode" not in fields:
        return 0, json.dumps(fields, indent=2, ensure_ascii=False)
    try:
        prelude = prelude_from(fields)
    except PreludeError as error:
        return 0, f"not an HTTP answer: {error}\n{json.dumps(fields, indent=2, ensure_ascii=False)}"
    body = str(fields.get("body") or "")
    raw = base64.b64decode(body) if fields.get("isBase64Encoded") else body.encode()
    if not prelude.headers:  # A REST API's, or a load balancer's with multi-value headers.
        values = (fields.get("multiValueHeaders") or {}).items()
        prelude = replace(prelude, headers={name.lower(): ",".join(value) for name, value in values})
    return prelude.status, _http(prelude, raw)


def _render_stream(answer: bytes) -> tuple[int, str]:
    parser = PreludeParser()
    try:
        body = parser.decode(answer)
        prelude = parser.flush()
    except PreludeError:
        return 0, answer.decode(errors="replace")  # A time-out, which the emulator reports as text.
    return prelude.status, _http(prelude, body)


def _http(prelude: Prelude, body: bytes) -> str:
    head = [f"HTTP {prelude.status}", *(f"{name}: {value}" for name, value in prelude.headers.items())]
    head += [f"set-cookie: {cookie}" for cookie in prelude.cookies]
    return "\n".join([*head, "", _pretty(body)])


def _pretty(body: bytes) -> str:
    try:
        return json.dumps(json.loads(body), indent=2, ensure_ascii=False)
    except ValueError:
        return body.decode(errors="replace")


def main() -> int:
    """Exit status."""
    options = parser().parse_args()
    command = options.command or [sys.executable, "-m", "handler"]
    try:
        event = options.event.read_bytes()
        with running_rie(command, timeout=options.timeout, env={"LLM_MODE": options.mode}) as port:
            answer = invoke(port, event, timeout=options.timeout + START_ALLOWANCE)
    except (OSError, RieError) as error:
        print(f"invoke: {error}", file=sys.stderr)
        return 1
    status, text = render(answer)
    print(text, flush=True)
    return 0 if 0 < status < 400 else 1


if __name__ == "__main__":
    sys.exit(main())
