"""`python -m lambda_local`: a function behind a streaming Function URL on this machine."""

import argparse
import asyncio
import signal
import sys

from lambda_local.cors import Cors, read_cors
from lambda_local.function import Function
from lambda_local.function_url import FunctionUrl
from lambda_local.sigv4 import Credentials


def variable(text: str) -> tuple[str, str]:
    """`K=V`, for argparse."""
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise argparse.ArgumentTypeError(f"{text!r}: expected K=V")
    return name, value


def credentials(text: str) -> Credentials:
    """`ID:SECRET` or `ID:SECRET:TOKEN`, for argparse. Its message does not repeat them."""
    access_key, _, rest = text.partition(":")
    secret_key, _, token = rest.partition(":")
    if not (access_key and secret_key):
        raise argparse.ArgumentTypeError("expected ID:SECRET or ID:SECRET:TOKEN")
    return Credentials(access_key=access_key, secret_key=secret_key, session_token=token or None)


def cors(text: str) -> Cors:
    """JSON or a file that holds it, for argparse."""
    try:
        return read_cors(text)
    except (ValueError, OSError) as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def parser() -> argparse.ArgumentParser:
    """The command line."""
    cli = argparse.ArgumentParser(prog="python -m lambda_local", description=__doc__)
    cli.add_argument("--port", type=int, default=9000)
    cli.add_argument("--timeout", type=float, default=60.0, metavar="SECONDS", help="of one invocation (60)")
    cli.add_argument("--init-timeout", type=float, default=10.0, metavar="SECONDS", help="of Init (10, as Lambda's)")
    cli.add_argument("--memory", type=int, default=1769, metavar="MB", help="announced, not enforced (1769)")
    cli.add_argument(
        "--auth", choices=["NONE", "AWS_IAM"], default="NONE", help="AWS_IAM checks that a signature is there"
    )
    cli.add_argument(
        "--credentials",
        action="append",
        default=[],
        type=credentials,
        metavar="ID:SECRET[:TOKEN]",
        help="with AWS_IAM: who may call; then signatures have to be right; repeatable",
    )
    cli.add_argument("--cors", type=cors, metavar="FILE|JSON", help="as AWS::Lambda::Url writes it")
    cli.add_argument("--concurrency", type=int, default=1, metavar="N", help="runtime processes at most (1)")
    cli.add_argument(
        "--at-once", type=int, default=1, metavar="N", help="invocations in one process, as on Managed Instances (1)"
    )
    cli.add_argument("--queue", type=float, metavar="SECONDS", help="wait for a free one before 429 (the time-out)")
    cli.add_argument(
        "--on-leave",
        choices=["break", "drain"],
        default="break",
        help="when a client leaves: break the runtime's write, or let it write on",
    )
    cli.add_argument("--snapstart", action="store_true", help="ask the runtime to restore after init")
    cli.add_argument(
        "--env", action="append", default=[], type=variable, metavar="K=V", help="for the function; repeatable"
    )
    cli.add_argument("command", nargs="*", metavar="COMMAND", help="after --: the runtime (python -m handler)")
    return cli


def function_from(options: argparse.Namespace) -> Function:
    """The function that the command line describes."""
    return Function(
        command=options.command or [sys.executable, "-m", "handler"],
        timeout=options.timeout,
        init_timeout=options.init_timeout,
        memory_mb=options.memory,
        env=dict(options.env),
        snapstart=options.snapstart,
        at_once=options.at_once,
        on_leave=options.on_leave,
    )


async def serve(options: argparse.Namespace) -> None:
    """Until interrupted. Raises OSError where the port is taken."""
    url = FunctionUrl(
        function_from(options),
        port=options.port,
        auth=options.auth,
        credentials=options.credentials,
        cors=options.cors,
        concurrency=options.concurrency,
        queue_seconds=options.queue,
    )
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with url:
        print(f"Function URL: {url.base_url}/  (OpenAI base_url: {url.base_url}/v1)", flush=True)
        await stop.wait()


def main() -> int:
    """Exit status: 0 when interrupted, 1 where it cannot listen."""
    cli = parser()
    options = cli.parse_args()
    if options.credentials and options.auth == "NONE":
        cli.error("--credentials are of those who sign: add --auth AWS_IAM")
    try:
        asyncio.run(serve(options))
    except OSError as error:
        print(f"cannot listen on port {options.port}: {error.strerror}; choose another with --port", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
