"""`python -m requirements.licences` lists the licences of the image's packages and checks them against what is allowed.

    --write   write docs/licences.md anew
    (none)    say what is wrong: a licence that is not allowed, one that nobody states, a list that is out of date

A licence is read where a package states it, in this order: the SPDX expression, the free text, the classifiers.
"""

import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).parents[1]
LOCK = ROOT / "requirements" / "runtime.txt"
PAGE = ROOT / "docs" / "licences.md"

ALLOWED: Mapping[str, str] = {
    "0BSD": "no condition",
    "Apache-2.0": "the notice stays",
    "BSD-2-Clause": "the notice stays",
    "BSD-3-Clause": "the notice stays",
    "CC0-1.0": "no condition",
    "MIT": "the notice stays",
    "MPL-2.0": "changed files of the package itself stay open; none is changed here",
    "PSF-2.0": "the notice stays",
    "Zlib": "the notice stays",
}
"""SPDX ids that may go into an image that its owner hands on, and what they ask. Whatever is not here is refused."""

SPELLINGS: Mapping[str, str] = {
    "apache": "Apache-2.0",
    "apache 2.0": "Apache-2.0",
    "apache license 2.0": "Apache-2.0",
    "apache software license": "Apache-2.0",
    "3-clause bsd license": "BSD-3-Clause",
    "mit license": "MIT",
    "mozilla public license 2.0 (mpl 2.0)": "MPL-2.0",
}
"""What packages write instead of an SPDX id, in lower case."""

STATED: Mapping[str, str] = {"jinja2": "BSD-3-Clause", "python-dateutil": "Apache-2.0 OR BSD-3-Clause"}
"""Where a package's metadata leaves it open ("BSD License", "Dual License"), what its licence file says."""

_CLASSIFIER = "License :: OSI Approved :: "
_WORD = re.compile(r"[()]|[^\s()]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Licence:
    """One package's. `expression` is SPDX's, or empty where none is stated."""

    package: str
    version: str
    expression: str

    @property
    def fault(self) -> str | None:
        """Why it may not go into the image; None: it may."""
        if not self.expression:
            return f"{self.package} {self.version} states no licence: look at it, and say in STATED what it is"
        if not is_allowed(self.expression):
            return f"{self.package} {self.version} is under {self.expression}, which is not among {', '.join(ALLOWED)}"
        return None


def is_allowed(expression: str) -> bool:
    """Of an SPDX expression: each part of an AND has to be allowed, of an OR one. What cannot be read is not."""
    words = _WORD.findall(expression)
    try:
        allowed = _either(words)
    except IndexError:
        return False
    return allowed and not words


def _either(words: list[str]) -> bool:
    allowed = _both(words)
    while words[:1] == ["OR"]:
        words.pop(0)
        allowed = _both(words) or allowed
    return allowed


def _both(words: list[str]) -> bool:
    allowed = _one(words)
    while words[:1] == ["AND"]:
        words.pop(0)
        allowed = _one(words) and allowed
    return allowed


def _one(words: list[str]) -> bool:
    word = words.pop(0)
    if word != "(":
        return word in ALLOWED
    allowed = _either(words)
    return words.pop(0) == ")" and allowed


def expression_of(package: str, expression: str | None, text: str | None, classifiers: Sequence[str]) -> str:
    """The SPDX expression that a package's metadata comes to; empty where they state none."""
    if package in STATED:
        return STATED[package]
    if expression:
        return expression
    if text and "\n" not in text and len(text) < 80:
        return SPELLINGS.get(text.lower(), text)
    names = [name.removeprefix(_CLASSIFIER) for name in classifiers if name.startswith(_CLASSIFIER)]
    # Several classifiers leave open whether all or any of them hold: all is the stricter reading.
    return " AND ".join(SPELLINGS.get(name.lower(), name) for name in names)


def licences(lock: Path = LOCK) -> tuple[Licence, ...]:
    """Of every package that the lock file names; they have to be installed. Raises metadata.PackageNotFoundError."""
    return tuple(_installed(name) for name in locked(lock.read_text(encoding="utf-8")))


def locked(text: str) -> list[str]:
    """The packages of a lock file, in order."""
    return re.findall(r"^([A-Za-z0-9_.-]+)==", text, re.MULTILINE)


def _installed(package: str) -> Licence:
    facts = metadata.metadata(package).json
    expression = expression_of(
        package, facts.get("license_expression"), facts.get("license"), facts.get("classifier", [])
    )
    return Licence(package=package, version=facts["version"], expression=expression)


def page(found: Iterable[Licence]) -> str:
    """docs/licences.md."""
    rows = "".join(f"| {row.package} | {row.version} | {row.expression} |\n" for row in found)
    conditions = "".join(f"| {name} | {condition} |\n" for name, condition in ALLOWED.items())
    return f"""# Licences

Written by `python -m requirements.licences --write`; `make audit` fails where it is out of date, and for a package
under any other licence than those at the end. These are the Python packages of the image. The model has a licence of
its own, which its `manifest.json` names (the default model, SmolLM2-135M-Instruct: Apache-2.0), and so has the base
image's system.
numpy's wheel also carries OpenBLAS (BSD-3-Clause), libgfortran (GPL-3.0 with GCC's runtime exception) and libquadmath
(LGPL-2.1), as libraries of their own, with their licences beside them.

| package | version | licence |
| --- | --- | --- |
{rows}
| allowed | what it asks |
| --- | --- |
{conditions}"""


def faults(found: Sequence[Licence], committed: str) -> list[str]:
    """What is wrong; empty: nothing."""
    wrong = [fault for row in found if (fault := row.fault)]
    if committed != page(found):
        wrong.append(f"{PAGE.name} is not what is installed: run `make docs`, and look at what has changed")
    return wrong


def main(arguments: Sequence[str]) -> int:
    """Exit status: 1 where something is wrong."""
    found = licences()
    if "--write" in arguments:
        PAGE.write_text(page(found), encoding="utf-8")
    wrong = faults(found, PAGE.read_text(encoding="utf-8"))
    summary = [f"{len(found)} packages, every licence allowed: docs/{PAGE.name}"]
    sys.stdout.write("".join(f"{line}\n" for line in wrong or summary))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
