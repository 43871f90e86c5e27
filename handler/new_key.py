"""`python -m handler.new_key NAME` makes a key, shown once, and its entry for the list of keys, with only its hash."""

import argparse
import json
import secrets
import sys

from handler.errors import ConfigurationError
from handler.key_list import read_key_list
from handler.keys import digest_of

KEY_BYTES = 32  # random ones: 43 characters behind the prefix, which scanners for leaked keys know
PREFIX = "sk-"


def parser() -> argparse.ArgumentParser:
    """The command line."""
    cli = argparse.ArgumentParser(prog="python -m handler.new_key", description="Makes a key for a client.")
    cli.add_argument("name", help="whose key it is, for logs and counters")
    cli.add_argument("--requests-per-minute", type=int, metavar="N", help="at most so many (no limit)")
    cli.add_argument("--tokens-per-day", type=int, metavar="N", help="of prompts and answers (no limit)")
    return cli


def main(arguments: list[str] | None = None) -> int:
    """Exit status: 1 for a name or a limit that no list of keys may hold."""
    options = parser().parse_args(arguments)
    key = PREFIX + secrets.token_urlsafe(KEY_BYTES)
    limits = {"requests_per_minute": options.requests_per_minute, "tokens_per_day": options.tokens_per_day}
    entry = {"name": options.name, "sha256": digest_of(key.encode()).hex()}
    entry |= {name: limit for name, limit in limits.items() if limit is not None}
    try:
        read_key_list(json.dumps(entry), where="the list of keys")
    except ConfigurationError as error:
        sys.stderr.write(f"new_key: {error}\n")
        return 1
    sys.stdout.write(
        f"The key of {options.name}, shown this once:\n{key}\nIts entry in the list of keys:\n{json.dumps(entry)}\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
