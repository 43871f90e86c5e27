"""The report: pictures and tables from measurements, the same bytes each time."""

from xml.etree import ElementTree as ET

import pytest

from tests.bench.canned import CANNED
from tests.bench.figures import PICTURES, quality
from tests.bench.names import ENGINE
from tests.bench.picture import Row, bars, number
from tests.bench.report import drawn, section
from tests.bench.results import Results


def test_bars_are_as_long_as_their_values_and_what_is_missing_says_so() -> None:
    picture = bars("A & B", "s", ("on", "off"), [Row("first", (10.0, 5.0), "a note"), Row("second", (None, 2.5))])
    root = ET.fromstring(picture)
    wide = [
        float(part.attrib["width"]) for part in root.iter("{http://www.w3.org/2000/svg}rect") if part.get("rx") == "2"
    ]
    texts = [part.text for part in root.iter("{http://www.w3.org/2000/svg}text")]
    assert [round(width / wide[0], 2) for width in wide] == [1.0, 0.5, 0.25]
    assert texts == ["A & B", "s", "on", "off", "first", "a note", "10.0", "5.00", "second", "missing", "2.50"]


@pytest.mark.parametrize("results", [CANNED, Results(())], ids=["some", "none"])
@pytest.mark.parametrize("name", PICTURES)
def test_every_picture_is_drawn_from_whatever_there_is(name: str, results: Results) -> None:
    _, draw = PICTURES[name]
    picture = draw(results)
    assert picture == draw(results)
    assert ET.fromstring(picture).tag.endswith("svg")
    assert len(picture) < 20_000


def test_of_what_was_not_measured_there_is_no_picture() -> None:
    assert drawn(Results(())) == {}
    assert "decode" in drawn(CANNED)
    assert "store" not in drawn(CANNED)


def test_quality_stands_beside_a_speed() -> None:
    assert quality(CANNED, ENGINE) == "perplexity × 1.010, mean KL 0.0100"
    assert quality(CANNED, "llama.cpp Q4_0") == "quality not measured"


@pytest.mark.parametrize(
    ("value", "text"), [(1234.5, "1,234"), (100.0, "100"), (56.78, "56.8"), (1.234, "1.23")], ids=str
)
def test_numbers_have_three_digits_that_count(value: float, text: str) -> None:
    assert number(value) == text


def test_the_section_says_on_what_it_was_measured_and_what_is_missing() -> None:
    text = section(CANNED, "docs/figures/")
    assert text.startswith("Measured with `make bench` on a processor (avx2); a-model, commit `abc`, 2026-11-22;")
    assert "engine 1.2." in text
    assert "| llama.cpp Q8_0 | 40.0 / – | – / – | – / – | 10.2 | 0.0200 | – |" in text
    assert "- OpenVINO GenAI int8: no wheel for this machine" in text
    assert "![Decode speed of each system](docs/figures/decode.svg)" in text


def test_nothing_measured_is_said() -> None:
    assert section(Results(()), "docs/figures/") == "Nothing has been measured yet: `make bench`."
