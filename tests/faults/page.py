"""Writes docs/faults.md's table from the rows that the tests run: `python -m tests.faults.page` (`make docs`)."""

from collections.abc import Mapping
from pathlib import Path

from docs.tables import between_markers, table
from tests.faults.row import Row
from tests.faults.table import TABLE

PAGE = Path(__file__).parents[2] / "docs" / "faults.md"
FATES = {"the same": "same process", "a new one": "new process", "exits 0": "exits with 0"}


def faults() -> str:
    """One line for each row; rows whose answer ends alike everywhere name their places together."""
    return table(
        ("fault", "how it is brought about", "how the answer ends", "what the log has", "after it"),
        ((row.fault, row.injected, _endings(row), _log(row), FATES[row.process]) for row in TABLE),
    )


def _endings(row: Row) -> str:
    places: dict[str, list[str]] = {}
    for place, ending in row.endings.items():
        places.setdefault(str(ending), []).append(place)
    return "<br>".join(f"{', '.join(names)}: {ending}" for ending, names in places.items())


def _log(row: Row) -> str:
    return "<br>".join(_facts(wanted) if isinstance(wanted, Mapping) else f"“{wanted}”" for wanted in row.log)


def _facts(wanted: Mapping[str, object]) -> str:
    return ", ".join(f"`{name}` {value}" for name, value in wanted.items() if name != "path")


def rendered(text: str) -> str:
    """The page with its table made anew."""
    return between_markers(text, {"faults": faults})


if __name__ == "__main__":
    PAGE.write_text(rendered(PAGE.read_text()))
