"""docs/security.md and the tests say the same: every path in it exists, and every attack is in it."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
ROWS = [
    [cell.strip() for cell in line.strip("|").split(" | ")]
    for line in PAGE.partition("## What is enforced")[2].partition("\n## ")[0].splitlines()
    if line.startswith("| ") and not line.startswith("| ---")
][1:]


def paths(cell: str) -> list[str]:
    return re.findall(r"`([\w./]+)`", cell)


def test_every_row_says_what_is_enforced_where_and_how_it_was_tested() -> None:
    assert len(ROWS) > 15
    for threat, enforced, where, tested in ROWS:
        assert threat
        assert enforced
        assert all((ROOT / path).exists() for path in paths(where)), where
        assert all((ROOT / path).is_file() and "/test_" in path for path in paths(tested)), tested
        assert paths(where)
        assert paths(tested)


def test_every_attack_is_in_the_table() -> None:
    attacks = {f"tests/security/{path.name}" for path in Path(__file__).parent.glob("test_*.py")}
    assert attacks - {path for row in ROWS for path in paths(row[3])} == {f"tests/security/{Path(__file__).name}"}


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", PAGE):
        assert (ROOT / "docs" / target).exists()
    assert (ROOT / "SECURITY.md").read_text(encoding="utf-8").count("docs/security.md") == 2
