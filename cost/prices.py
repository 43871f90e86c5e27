"""Published prices of the other ways to answer: dated data, which options replace and add to."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from cost.errors import CannotEstimate

PUBLISHED = Path(__file__).with_name("prices.json")
YOURS = "the command line"


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A machine that is paid by the hour. `cores` None: it is not known how fast it would answer."""

    name: str
    usd_per_hour: float
    cores: int | None = None
    as_of: str = ""
    source: str = YOURS


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenApi:
    """An API that is paid by the token."""

    name: str
    usd_per_million_prompt: float
    usd_per_million_completion: float
    as_of: str = ""
    source: str = YOURS


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    servers: tuple[Server, ...]
    apis: tuple[TokenApi, ...]


Priced = TypeVar("Priced", bound=Server | TokenApi)


def read_prices(path: Path = PUBLISHED) -> Prices:
    """The prices in a file of the form of `prices.json`. Raises CannotEstimate."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        return Prices(
            servers=tuple(Server(**row) for row in data["hourly"]),
            apis=tuple(TokenApi(**row) for row in data["per_token"]),
        )
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise CannotEstimate(f"{path} does not read as prices ({type(error).__name__}): see {PUBLISHED}") from error


def with_changes(prices: Prices, *, hourly: Sequence[str], per_token: Sequence[str]) -> Prices:
    """`hourly` are `NAME=USD`, `per_token` `NAME=PROMPT,COMPLETION` in USD a million. A name that is there already gets
    the price; any other is added. Raises CannotEstimate."""
    servers, apis = prices.servers, prices.apis
    for text in hourly:
        name, (usd,) = _parsed(text, 1, "NAME=USD_PER_HOUR")
        cores = next((server.cores for server in servers if server.name == name), None)
        servers = _put(servers, Server(name=name, usd_per_hour=usd, cores=cores))
    for text in per_token:
        name, (prompt, completion) = _parsed(text, 2, "NAME=USD_PER_MILLION_PROMPT,USD_PER_MILLION_COMPLETION")
        apis = _put(apis, TokenApi(name=name, usd_per_million_prompt=prompt, usd_per_million_completion=completion))
    return Prices(servers=servers, apis=apis)


def _parsed(text: str, count: int, form: str) -> tuple[str, list[float]]:
    name, _, numbers = text.rpartition("=")
    try:
        values = [float(number) for number in numbers.split(",")]
    except ValueError:
        values = []
    if not name or len(values) != count or not all(0 <= value < float("inf") for value in values):
        raise CannotEstimate(f"{text!r} is not of the form {form}")
    return name, values


def _put(rows: tuple[Priced, ...], row: Priced) -> tuple[Priced, ...]:
    names = [old.name for old in rows]
    at = names.index(row.name) if row.name in names else len(names)
    return (*rows[:at], row, *rows[at + 1 :])
