"""What a request costs: figures that anyone can check by hand against Lambda's price list."""

import pytest

from handler.bill import Bill, bill_for, decimal
from handler.errors import ConfigurationError

X86, ARM = 0.0000166667, 0.0000133334


def on_lambda(
    *,
    gb_second: float | None = None,
    request: float | None = None,
    memory_mb: int | None = 2048,
    machine: str = "x86_64",
    at_once: int = 1,
) -> Bill | None:
    return bill_for(gb_second=gb_second, request=request, memory_mb=memory_mb, machine=machine, at_once=at_once)


@pytest.mark.parametrize(
    ("ms", "memory_mb", "cost"),
    [
        (1000, 1024, 0.0000168667),  # a GB-second and a request
        (1000, 512, 0.00000853335),
        (0.2, 1024, 0.000000216667),  # a millisecond begun is a millisecond
        (1000.2, 1024, 0.000016883367),
    ],
)
def test_time_in_whole_milliseconds_times_memory_times_price_and_a_price_per_request(
    ms: float, memory_mb: int, cost: float
) -> None:
    assert Bill(gb_second=X86, request=0.0000002, memory_mb=memory_mb).of_request(ms) == pytest.approx(cost, abs=1e-12)


def test_an_initialisation_costs_its_time_and_is_no_request() -> None:
    assert Bill(gb_second=X86, request=0.0000002, memory_mb=1024).of_init(500) == pytest.approx(X86 / 2, abs=1e-12)


def test_a_million_short_requests_cost_what_the_price_list_says() -> None:
    """AWS's example, without the free tier: 3 million requests of 120 ms at 1,536 MB on x86 are 540,000 GB-seconds for
    9.00 USD, and 0.60 USD for the requests."""
    bill = on_lambda(memory_mb=1536)
    assert bill is not None
    assert 3_000_000 * bill.of_request(120) == pytest.approx(9.00 + 0.60, abs=0.005)


@pytest.mark.parametrize(("machine", "price"), [("x86_64", X86), ("aarch64", ARM), ("arm64", ARM)])
def test_lambdas_published_prices_hold_by_architecture(machine: str, price: float) -> None:
    assert on_lambda(machine=machine) == Bill(gb_second=price, request=0.0000002, memory_mb=2048)


def test_the_operators_prices_come_first_and_nothing_is_a_price_too() -> None:
    assert on_lambda(gb_second=0.00002, request=0.0) == Bill(gb_second=0.00002, request=0.0, memory_mb=2048)
    free = on_lambda(gb_second=0.0, request=0.0)
    assert free is not None
    assert free.of_request(1000) == 0.0


def test_a_laptop_has_no_cost_unless_the_settings_say() -> None:
    assert on_lambda(memory_mb=None) is None
    with pytest.raises(ConfigurationError, match="LLM_PRICE_GB_SECOND is set, but the memory"):
        on_lambda(memory_mb=None, gb_second=0.1)
    with pytest.raises(ConfigurationError, match="LLM_PRICE_REQUEST is set, but the memory"):
        on_lambda(memory_mb=None, request=0.1)


def test_an_unknown_processor_has_no_published_price() -> None:
    assert on_lambda(machine="riscv64") is None


def test_invocations_that_share_a_process_share_its_memory_at_the_operators_price_only() -> None:
    assert on_lambda(at_once=4) is None
    shared = on_lambda(at_once=4, gb_second=0.001, request=0.0)
    assert shared is not None
    assert (shared.of_request(1000), shared.of_init(1000)) == (0.0005, 0.002)


@pytest.mark.parametrize(
    ("cost", "digits"), [(0.0000002, "0.0000002"), (0.0, "0"), (1.5, "1.5"), (1e-12, "0.000000000001")]
)
def test_a_header_has_plain_digits(cost: float, digits: str) -> None:
    assert decimal(cost) == digits
    assert float(digits) == cost
