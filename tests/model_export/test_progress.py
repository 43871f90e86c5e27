"""Facts about progress: phases are timed in their order, and shown as the place they are shown in allows."""

import io

import pytest

from model_export.progress import BYTES, Bars, Lines, Progress, Stopwatch, console_progress
from model_export.table import columns, size


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("progress", [Stopwatch(), Bars(io.StringIO()), Lines(io.StringIO())])
def test_phases_are_timed_in_the_order_in_which_they_began(progress: Progress) -> None:
    with progress.phase("read"):
        pass
    with progress.phase("build", total=2, unit="layer") as step:
        step(1)
        step(1)
    with progress.phase("read", total=10, unit=BYTES) as step:
        step(10)
    assert list(progress.seconds) == ["read", "build"]
    assert all(seconds >= 0 for seconds in progress.seconds.values())


def test_a_phase_that_fails_is_timed_and_passes_the_failure_on() -> None:
    progress = Lines(io.StringIO())
    with pytest.raises(ValueError, match="broken"), progress.phase("build"):
        raise ValueError("broken")
    assert list(progress.seconds) == ["build"]


def test_a_short_phase_is_not_shown_and_one_of_unknown_length_is_named() -> None:
    stream = io.StringIO()
    progress = Lines(stream)
    with progress.phase("hash", total=3, unit=BYTES) as step:
        step(3)
    with progress.phase("read"):
        pass
    assert stream.getvalue() == "read …\n"


def test_a_long_phase_says_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 4.9, 5.0, 9.9, 10.0, 12.34])
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    stream = io.StringIO()
    with Lines(stream).phase("build", total=4, unit="layer") as step:
        for _ in range(4):
            step(1)
    assert stream.getvalue() == "build: 2 of 4 layers\nbuild: 4 of 4 layers\nbuild: done in 12.3 s\n"


def test_bars_are_for_terminals() -> None:
    assert type(console_progress(Terminal())) is Bars
    assert type(console_progress(io.StringIO())) is Lines


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (999_949, "999.9 kB"),
        (999_950, "1.0 MB"),
        (141_224_192, "141.2 MB"),
        (2_500_000_000, "2.5 GB"),
    ],
)
def test_sizes_are_written_in_powers_of_ten(count: int, text: str) -> None:
    assert size(count) == text


def test_columns_are_as_wide_as_their_widest_cell() -> None:
    assert columns([("a", "bb"), ("ccc", "d")]) == "a    bb\nccc  d"
