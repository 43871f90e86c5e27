"""Dollars a month of each way to answer the same requests, and where two ways cost the same. Pure."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from cost.prices import Prices, Server, TokenApi
from cost.speeds import Speeds
from handler.bill import Bill

DAYS = 365 / 12  # in a month
HOURS = 24 * DAYS
MINUTES_A_DAY = 24 * 60
SECONDS_A_DAY = 86_400
# Assumptions, which options change. Lambda does not promise how long an idle environment stays; a server that is busy
# more than half of the day on average makes callers wait at its busy hours.
IDLE_MINUTES = 10.0
UTILIZATION = 0.5
MOST_REQUESTS = 100_000_000  # a day: where nobody looks for a break-even any more


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """Requests a day, each with so many tokens."""

    requests: float
    prompt: int
    completion: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Lambda:
    """This product on Lambda. `idle_minutes`: how long an environment waits for its next request."""

    bill: Bill
    speeds: Speeds
    idle_minutes: float = IDLE_MINUTES

    def cold_share(self, requests: float) -> float:
        """The share of requests that find no environment, if they come at random times (a Poisson process)."""
        return math.exp(-requests * self.idle_minutes / MINUTES_A_DAY)

    def of_request(self, prompt: int, completion: int) -> float:
        """Of a request that found an environment."""
        return self.bill.of_request(1000 * self.speeds.seconds(prompt, completion))

    def of_cold_start(self) -> float:
        return self.bill.of_init(1000 * self.speeds.init)

    def monthly(self, work: Workload) -> float:
        cold = self.cold_share(work.requests) * self.of_cold_start()
        return DAYS * work.requests * (self.of_request(work.prompt, work.completion) + cold)


@dataclass(frozen=True, slots=True, kw_only=True)
class AlwaysOn:
    """Servers by the hour: as many as the requests need at the speed measured at two cores; one, where it is not known
    how fast they are."""

    server: Server
    speeds: Speeds
    utilization: float = UTILIZATION

    def capacity(self, work: Workload) -> float | None:
        """Requests a day that one of them answers; None: not known."""
        if self.server.cores is None:
            return None
        return self.utilization * SECONDS_A_DAY / self.speeds.seconds(work.prompt, work.completion)

    def count(self, work: Workload) -> int:
        capacity = self.capacity(work)
        return 1 if capacity is None else max(1, math.ceil(work.requests / capacity))

    def monthly(self, work: Workload) -> float:
        return self.count(work) * HOURS * self.server.usd_per_hour


@dataclass(frozen=True, slots=True, kw_only=True)
class PerToken:
    """An API by the token."""

    api: TokenApi

    def of_request(self, prompt: int, completion: int) -> float:
        return (prompt * self.api.usd_per_million_prompt + completion * self.api.usd_per_million_completion) / 1e6

    def monthly(self, work: Workload) -> float:
        return DAYS * work.requests * self.of_request(work.prompt, work.completion)


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """All ways. `ours` is this product on Lambda."""

    ours: Lambda
    servers: tuple[AlwaysOn, ...]
    apis: tuple[PerToken, ...]
    utilization: float = UTILIZATION

    def ways(self) -> tuple[tuple[str, Callable[[Workload], float]], ...]:
        """Each way's name and dollars a month, ours first."""
        return (
            ("this, on Lambda", self.ours.monthly),
            *((way.server.name, way.monthly) for way in self.servers),
            *((way.api.name, way.monthly) for way in self.apis),
        )

    def break_even(self, way: AlwaysOn, work: Workload) -> float | None:
        """Requests a day at which Lambda costs as much as one such server; None: never."""
        one = HOURS * way.server.usd_per_hour

        def dearer(requests: float) -> bool:
            again = Workload(requests=requests, prompt=work.prompt, completion=work.completion)
            return self.ours.monthly(again) > one

        low, high = 0.0, float(MOST_REQUESTS)
        if not dearer(high):
            return None
        while high - low > max(0.5, low * 1e-3):
            middle = (low + high) / 2
            low, high = (low, middle) if dearer(middle) else (middle, high)
        return high


def compare(ours: Lambda, server_speeds: Speeds, prices: Prices, *, utilization: float = UTILIZATION) -> Comparison:
    """`server_speeds`: those of two cores."""
    return Comparison(
        ours=ours,
        servers=tuple(
            AlwaysOn(server=server, speeds=server_speeds, utilization=utilization) for server in prices.servers
        ),
        apis=tuple(PerToken(api=api) for api in prices.apis),
        utilization=utilization,
    )
