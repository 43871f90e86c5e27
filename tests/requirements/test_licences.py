"""What goes into the image may be handed on, and docs/licences.md says under which licences."""

from dataclasses import replace

import pytest

from requirements.licences import LOCK, PAGE, Licence, expression_of, faults, is_allowed, licences, locked, page

OURS = licences()


def test_every_package_of_the_image_has_an_allowed_licence_and_the_page_lists_it() -> None:
    assert faults(OURS, PAGE.read_text()) == []
    assert [row.package for row in OURS] == locked(LOCK.read_text())


@pytest.mark.parametrize(
    ("expression", "allowed"),
    [
        ("MIT", True),
        ("GPL-3.0-only", False),
        ("MIT OR GPL-2.0-only", True),
        ("MPL-2.0 AND MIT", True),
        ("MIT AND GPL-2.0-only", False),
        ("MIT OR Apache-2.0 AND GPL-2.0-only", True),
        ("(MIT OR Apache-2.0) AND GPL-2.0-only", False),
        ("(MIT", False),
        ("MIT)", False),
        ("MIT AND", False),
        ("MIT Apache-2.0", False),
        ("GPL-3.0-only WITH GCC-exception-3.1", False),
        ("Proprietary", False),
        ("", False),
    ],
)
def test_and_asks_for_all_and_or_for_one(expression: str, allowed: bool) -> None:
    assert is_allowed(expression) is allowed


@pytest.mark.parametrize(
    ("package", "spdx", "text", "classifiers", "expected"),
    [
        ("a", "MIT", "something else", [], "MIT"),
        ("a", None, "Apache License 2.0", [], "Apache-2.0"),
        ("a", None, "Permission is hereby granted\n…", ["License :: OSI Approved :: MIT License"], "MIT"),
        (
            "a",
            None,
            None,
            ["License :: OSI Approved :: MIT License", "License :: OSI Approved :: Apache Software License"],
            "MIT AND Apache-2.0",
        ),
        ("python-dateutil", None, "Dual License", [], "Apache-2.0 OR BSD-3-Clause"),
        ("a", None, "Dual License", [], "Dual License"),
        ("a", None, None, ["Programming Language :: Python"], ""),
    ],
)
def test_a_licence_is_read_where_it_is_stated(
    package: str, spdx: str | None, text: str | None, classifiers: list[str], expected: str
) -> None:
    assert expression_of(package, spdx, text, classifiers) == expected


def test_a_forbidden_licence_and_one_that_nobody_states_are_faults() -> None:
    found = [
        Licence(package="free", version="1", expression="AGPL-3.0-only"),
        Licence(package="mute", version="2", expression=""),
    ]
    forbidden, unstated = faults(found, page(found))
    assert forbidden.startswith("free 1 is under AGPL-3.0-only, which is not among 0BSD, ")
    assert unstated == "mute 2 states no licence: look at it, and say in STATED what it is"


def test_a_page_of_yesterday_is_a_fault() -> None:
    assert faults([replace(OURS[0], version="0"), *OURS[1:]], PAGE.read_text()) == [
        "licences.md is not what is installed: run `make docs`, and look at what has changed"
    ]
