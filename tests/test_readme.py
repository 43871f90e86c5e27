"""The README's tables are what the code says."""

from docs.tables import README, TABLES, rendered


def test_the_generated_tables_are_up_to_date() -> None:
    text = README.read_text()
    assert all(f"<!-- {name} -->" in text for name in TABLES)
    assert rendered(text) == text, "run `make docs`"
