"""The audit fails for what is found, and says so where it could not look."""

from datetime import date
from pathlib import Path

import pytest

from requirements.vulnerabilities import (
    IGNORED,
    AuditBroken,
    Finding,
    Ignored,
    PipAudit,
    Report,
    Verdict,
    audit,
    read_ignored,
    read_report,
)

TODAY = date(2026, 11, 22)
CONTROL, ENFORCED, TOLD = Path("control.txt"), Path("runtime.txt"), Path("dev.txt")
OLD_JINJA = Report(findings=(Finding(package="jinja2", version="2.4.1", ids=("PYSEC-2014-8",)),))
FLAW = Finding(package="h11", version="0.14", ids=("GHSA-vqfr", "CVE-2025-43859"), fixed_in=("0.16.0",))
NOTHING = Report()
NOT_AUDITED = "NOT AUDITED for vulnerabilities: pip-audit does not reach its database from here (jinja2==2.4.1 passes)"


def verdict(
    *, control: Report | None, enforced: Report | None, told: Report | None = NOTHING, ignored: tuple[Ignored, ...] = ()
) -> Verdict:
    answers = {CONTROL: control, ENFORCED: enforced, TOLD: told}
    return audit(
        lambda path: answers[path], control=CONTROL, enforced=ENFORCED, told=[TOLD], ignored=ignored, today=TODAY
    )


def test_nothing_found_passes() -> None:
    assert verdict(control=OLD_JINJA, enforced=NOTHING) == Verdict(
        lines=("runtime.txt: no known vulnerability",), status=0
    )


def test_a_finding_fails() -> None:
    assert verdict(control=OLD_JINJA, enforced=Report(findings=(FLAW,))) == Verdict(
        lines=("vulnerable: h11 0.14: GHSA-vqfr, CVE-2025-43859 (fixed in 0.16.0)",), status=1
    )


@pytest.mark.parametrize("silence", [None, NOTHING, Report(skipped=("jinja2",))], ids=["no answer", "empty", "skipped"])
@pytest.mark.parametrize("enforced", [None, NOTHING, Report(skipped=("h11",))], ids=["no answer", "empty", "skipped"])
def test_a_database_that_knows_nothing_is_not_reached_and_the_audit_says_so(
    silence: Report | None, enforced: Report | None
) -> None:
    """pip-audit itself passes then: it says "No known vulnerabilities found" of a package that has seven."""
    assert verdict(control=silence, enforced=enforced) == Verdict(lines=(NOT_AUDITED,), status=0)


def test_a_finding_fails_even_where_the_control_was_not_known() -> None:
    assert verdict(control=None, enforced=Report(findings=(FLAW,))).status == 1


@pytest.mark.parametrize("enforced", [None, Report(skipped=("h11", "idna"))], ids=["no answer", "two skipped"])
def test_nothing_may_be_left_out_where_the_database_was_reached(enforced: Report | None) -> None:
    found = verdict(control=OLD_JINJA, enforced=enforced)
    assert found.status == 1
    assert found.lines[0].startswith("runtime.txt: the database was reached and did not tell of ")


def test_what_is_not_in_the_image_is_told_and_does_not_fail() -> None:
    assert verdict(control=OLD_JINJA, enforced=NOTHING, told=Report(findings=(FLAW,))) == Verdict(
        lines=(
            "dev.txt (not in the image): h11 0.14: GHSA-vqfr, CVE-2025-43859 (fixed in 0.16.0)",
            "runtime.txt: no known vulnerability",
        ),
        status=0,
    )


@pytest.mark.parametrize("name", FLAW.ids)
def test_an_ignored_finding_passes_under_any_of_its_names_until_its_date(name: str) -> None:
    def ignoring(until: date) -> int:
        row = Ignored(id=name, reason="not reached", until=until)
        return verdict(control=OLD_JINJA, enforced=Report(findings=(FLAW,)), ignored=(row,)).status

    assert (ignoring(TODAY), ignoring(date(2026, 11, 21))) == (0, 1)


def test_what_is_ignored_and_gone_has_to_be_taken_out() -> None:
    row = Ignored(id="CVE-1", reason="not reached", until=TODAY)
    assert verdict(control=OLD_JINJA, enforced=NOTHING, ignored=(row,)) == Verdict(
        lines=("CVE-1 is ignored until 2026-11-22, and nothing has it: take it out",), status=1
    )


@pytest.mark.parametrize(
    "row",
    ['id = "CVE-1"', 'id = "CVE-1"\nreason = ""\nuntil = 2026-12-01', 'id = "CVE-1"\nreason = "so"\nuntil = "soon"'],
)
def test_nothing_is_ignored_without_a_reason_and_a_date(row: str) -> None:
    with pytest.raises(AuditBroken, match="needs an id, a reason and a date"):
        read_ignored("[[ignored]]\n" + row)


def test_the_list_that_ships_is_readable() -> None:
    assert all(row.reason for row in read_ignored(IGNORED.read_text()))


def test_pip_audits_json_is_read() -> None:
    text = """{"dependencies": [
      {"name": "idna", "version": "3.20", "vulns": []},
      {"name": "odd", "skip_reason": "not found"},
      {"name": "h11", "version": "0.14", "vulns": [
        {"id": "GHSA-vqfr", "aliases": ["CVE-2025-43859"], "fix_versions": ["0.16.0"], "description": "…"}]}
    ], "fixes": []}"""
    assert read_report(text) == Report(findings=(FLAW,), skipped=("odd",))


def fake_command(directory: Path, script: str) -> PipAudit:
    command = directory / "pip-audit"
    command.write_text(f"#!/bin/sh\n{script}\n")
    command.chmod(0o700)
    return PipAudit(command)


def test_a_command_that_finds_something_exits_1_and_is_read_all_the_same(tmp_path: Path) -> None:
    vulnerability = '{"id": "X", "aliases": [], "fix_versions": []}'
    body = '{"dependencies": [{"name": "h11", "version": "0.14", "vulns": [' + vulnerability + "]}]}"
    ask = fake_command(tmp_path, f"case \"$*\" in *--dry-run*) exit 0;; esac\necho '{body}'\nexit 1")
    assert ask(ENFORCED) == Report(findings=(Finding(package="h11", version="0.14", ids=("X",)),))


def test_a_command_that_breaks_over_the_network_has_no_answer(tmp_path: Path) -> None:
    ask = fake_command(tmp_path, 'case "$*" in *--dry-run*) exit 0;; esac\necho "ConnectionError" >&2\nexit 1')
    assert ask(ENFORCED) is None


def test_a_command_that_cannot_even_read_the_file_is_broken(tmp_path: Path) -> None:
    with pytest.raises(AuditBroken, match=r"cannot read runtime\.txt: invalid requirement"):
        fake_command(tmp_path, 'echo "invalid requirement" >&2; exit 1')(ENFORCED)


def test_a_command_that_is_missing_is_broken(tmp_path: Path) -> None:
    with pytest.raises(AuditBroken, match="run `make tools`"):
        PipAudit(tmp_path / "pip-audit")(ENFORCED)
