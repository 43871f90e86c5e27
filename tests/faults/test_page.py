"""The page says what the tests run."""

from tests.faults.page import PAGE, rendered


def test_the_fault_table_in_the_docs_is_the_one_that_is_tested() -> None:
    text = PAGE.read_text()
    assert "<!-- faults -->" in text
    assert rendered(text) == text, "run `make docs`"
