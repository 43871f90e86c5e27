"""Other programs: what they print, and the line where they fail."""

import sys

import pytest

from image_build.commands import ask, installed, show
from image_build.recipe import BuildError


def test_what_a_program_prints_is_returned_or_shown(capfd: pytest.CaptureFixture[str]) -> None:
    command = [sys.executable, "-c", "print('said')"]
    assert (ask(command), show(command)) == ("said", "")
    assert capfd.readouterr().out == "said\n"


def test_a_failure_is_one_line_with_its_reason() -> None:
    command = [sys.executable, "-c", "import sys; sys.exit('the reason')"]
    with pytest.raises(BuildError, match=r"failed \(1\): the reason$"):
        ask(command)
    with pytest.raises(BuildError, match=r"failed \(1\), and said why above$"):
        show(command)


def test_a_program_that_is_missing_is_named() -> None:
    assert (installed("no-such-program"), installed("sh")) == (False, True)
    with pytest.raises(BuildError, match="no-such-program is not installed: apt-get install no-such-program"):
        ask(["no-such-program"])
