"""`python -m requirements.vulnerabilities PIP_AUDIT` asks pip-audit's database about every locked package.

What goes into the image must have no known vulnerability; of the exporter's and the tests' packages they are only told.

pip-audit also says "No known vulnerabilities found" where it could ask nobody: an index that has packages but no
vulnerabilities makes it skip them all. So a package with a known vulnerability is asked about first. Where even that
one seems fine, the database was not reached, and the audit says so instead of passing; where it is found, nothing may
be skipped any more.
"""

import json
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Protocol

HERE = Path(__file__).parent
ENFORCED = "runtime.txt"
TOLD = ("export.txt", "kernels.txt", "optimum.txt", "dev.txt", "tools.txt", "clients.txt")
IGNORED = HERE / "vulnerabilities.toml"
# CVE-2014-1402 and others: whoever knows vulnerabilities at all knows of these.
CONTROL = "jinja2==2.4.1"
NOT_AUDITED = "NOT AUDITED for vulnerabilities: pip-audit does not reach its database from here"
LIMIT = 300  # seconds for one lock file


class AuditBroken(Exception):
    """What stops the audit and is no matter of reaching the database."""


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Finding:
    """One vulnerability of one package, under all the names that it has."""

    package: str
    version: str
    ids: tuple[str, ...]
    fixed_in: tuple[str, ...] = ()

    def __str__(self) -> str:
        remedy = f"fixed in {', '.join(self.fixed_in)}" if self.fixed_in else "no fixed version"
        return f"{self.package} {self.version}: {', '.join(self.ids)} ({remedy})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What pip-audit said of one file. `skipped`: packages that it could not ask about."""

    findings: tuple[Finding, ...] = ()
    skipped: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ignored:
    """A vulnerability that does not concern us, why, and until when that is believed."""

    id: str
    reason: str
    until: date


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """How the audit ends: lines to print, and the exit status."""

    lines: tuple[str, ...]
    status: int


class Auditor(Protocol):
    """Asks about the packages of a requirements file."""

    def __call__(self, requirements: Path, /) -> Report | None:
        """None: no answer, the database is not to be had. Raises AuditBroken where it could not even ask."""
        ...


def read_report(text: str) -> Report:
    """pip-audit's JSON. Raises ValueError or KeyError for anything else."""
    findings, skipped = [], []
    for package in json.loads(text)["dependencies"]:
        if "skip_reason" in package:
            skipped.append(package["name"])
        for found in package.get("vulns", ()):
            ids = (found["id"], *found["aliases"])
            fixed_in = tuple(found["fix_versions"])
            findings.append(Finding(package=package["name"], version=package["version"], ids=ids, fixed_in=fixed_in))
    return Report(findings=tuple(findings), skipped=tuple(skipped))


def read_ignored(text: str) -> tuple[Ignored, ...]:
    """`[[ignored]]` tables with `id`, `reason` and `until`. Raises AuditBroken for one that lacks any of them."""
    found = []
    for row in tomllib.loads(text).get("ignored", ()):
        if set(row) != {"id", "reason", "until"} or not row["reason"] or not isinstance(row["until"], date):
            raise AuditBroken(
                f"{IGNORED.name}: an ignored vulnerability needs an id, a reason and a date (until): {row}"
            )
        found.append(Ignored(**row))
    return tuple(found)


def audit(
    ask: Auditor, *, control: Path, enforced: Path, told: Sequence[Path], ignored: Sequence[Ignored], today: date
) -> Verdict:
    """The whole audit. Its status is 0 where nothing was found, and where the database was not reached; else 1."""
    known, report = ask(control), ask(enforced)
    reached = known is not None and known.findings != ()
    findings = () if report is None else report.findings
    if not reached and not findings:
        return Verdict(lines=(f"{NOT_AUDITED} ({CONTROL} passes)",), status=0)
    valid = {row.id for row in ignored if row.until >= today}
    lines = [f"vulnerable: {finding}" for finding in findings if not valid.intersection(finding.ids)]
    if report is None or report.skipped:
        names = "any package" if report is None else ", ".join(report.skipped)
        lines.append(f"{enforced.name}: the database was reached and did not tell of {names}: try again")
    named = {name for finding in findings for name in finding.ids}
    lines += [
        f"{row.id} is ignored until {row.until}, and nothing has it: take it out"
        for row in ignored
        if row.id not in named
    ]
    status = 1 if lines else 0
    lines += [f"{path.name} (not in the image): {finding}" for path in told for finding in _told(ask(path))]
    if not status:
        lines.append(f"{enforced.name}: no known vulnerability")
    return Verdict(lines=tuple(lines), status=status)


def _told(report: Report | None) -> tuple[Finding, ...]:
    return () if report is None else report.findings


@dataclass(frozen=True, slots=True)
class PipAudit:
    """The real one: the command `pip-audit`, once for each file."""

    command: Path

    def __call__(self, requirements: Path, /) -> Report | None:
        # Without asking anybody: a command that is missing or a file that it cannot read is no matter of the network.
        dry = self._run(requirements, "--dry-run")
        if dry.returncode:
            raise AuditBroken(f"{self.command} cannot read {requirements}: {_last_line(dry.stderr)}")
        done = self._run(requirements)
        try:
            return read_report(done.stdout)
        except (ValueError, KeyError):
            return None

    def _run(self, requirements: Path, *options: str) -> subprocess.CompletedProcess[str]:
        arguments = ["--disable-pip", "--no-deps", "--progress-spinner", "off", "--format", "json", *options]
        try:
            return subprocess.run(
                [str(self.command), *arguments, "--requirement", str(requirements)],
                capture_output=True,
                text=True,
                timeout=LIMIT,
                check=False,
            )
        except FileNotFoundError:
            raise AuditBroken(f"{self.command} is not there: run `make tools`") from None
        except subprocess.TimeoutExpired:
            return subprocess.CompletedProcess(arguments, 0, "", "")


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["it says nothing"])[-1]


def main(arguments: Sequence[str]) -> int:
    """Exit status: 0 or 1, as `audit` says; 1 where it cannot be run at all."""
    try:
        with tempfile.TemporaryDirectory() as directory:
            control = Path(directory) / "control.txt"
            control.write_text(CONTROL + "\n")
            verdict = audit(
                PipAudit(Path(arguments[0])),
                control=control,
                enforced=HERE / ENFORCED,
                told=[HERE / name for name in TOLD],
                ignored=read_ignored(IGNORED.read_text(encoding="utf-8")),
                today=datetime.now(UTC).date(),
            )
    except AuditBroken as error:
        verdict = Verdict(lines=(str(error),), status=1)
    sys.stdout.write("".join(f"{line}\n" for line in verdict.lines))
    return verdict.status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
