"""The generated tables are what the code and the template say."""

from docs.tables import DEPLOY, DEPLOY_TABLES, README, TABLES, between_markers, rendered


def test_the_generated_tables_are_up_to_date() -> None:
    text = README.read_text()
    assert all(f"<!-- {name} -->" in text for name in TABLES)
    assert rendered(text) == text, "run `make docs`"


def test_the_page_on_deploying_is_up_to_date() -> None:
    text = DEPLOY.read_text()
    assert all(f"<!-- {name} -->" in text for name in DEPLOY_TABLES)
    assert between_markers(text, DEPLOY_TABLES) == text, "run `make docs`"
