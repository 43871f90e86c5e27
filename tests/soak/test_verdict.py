"""What counts as flat."""

import pytest

from tests.soak.verdict import MOST_GROWTH, Flatness, Sample, flatness

MB = 2**20


def samples(resident: list[int], descriptors: int = 20) -> list[Sample]:
    return [Sample(requests=n, resident=value, descriptors=descriptors) for n, value in enumerate(resident)]


def test_warming_up_and_wandering_are_no_leak() -> None:
    wandering = [100, 200, 290, 301, 300, 304, 299, 302, 300, 301, 303, 300]
    assert flatness(samples([value * MB for value in wandering])) == Flatness(resident=0, descriptors=0)


def test_a_leak_of_ten_kilobytes_a_request_is_seen_in_two_thousand() -> None:
    leaking = [300 * MB + 10 * 1024 * 20 * n for n in range(100)]
    seen = flatness(samples(leaking))
    assert (seen.resident, seen.is_flat) == (50 * 10 * 1024 * 20, False)


def test_one_large_answer_is_no_leak() -> None:
    assert flatness(samples([300 * MB] * 15 + [500 * MB])).is_flat


def test_descriptors_that_pile_up_are_a_leak() -> None:
    piling = [Sample(requests=n, resident=MOST_GROWTH, descriptors=n) for n in range(16)]
    assert flatness(piling) == Flatness(resident=0, descriptors=8)
    assert not flatness(piling).is_flat


def test_a_few_samples_tell_nothing() -> None:
    with pytest.raises(ValueError, match="too few"):
        flatness(samples([1] * 7))
