"""How pip reaches its packages on this machine: told to the build while it runs, and left out of the image.

An index, a certificate, a directory of wheels: where a machine needs one, so does the build on it. It has a home of its
own for the time, with pip's configuration and what that names: a place that every base has, as a mount anywhere else
would leave an empty file or directory behind.
"""

import ast
import shutil
from collections.abc import Mapping
from pathlib import Path

HOME = "/root"  # of the build
_SHARED = f"{HOME}/shared"
_FILE = "file://"
# pip's options that say where packages come from; others (a target, a user) are this machine's own business.
OPTIONS = (
    "index-url",
    "extra-index-url",
    "find-links",
    "no-index",
    "cert",
    "client-cert",
    "trusted-host",
    "proxy",
    "timeout",
    "default-timeout",
    "retries",
)


def chosen(listing: str) -> dict[str, str]:
    """The options of `pip config list`. What the environment says wins over the files."""
    found: dict[str, str] = {}
    for wanted in ("global", ":env:"):
        for line in listing.splitlines():
            name, _, value = line.partition("=")
            section, _, option = name.rpartition(".")
            if section == wanted and option in OPTIONS:
                found[option] = str(ast.literal_eval(value))
    return found


def local_paths(options: Mapping[str, str]) -> list[Path]:
    """The files and directories of this machine that the options name, each once."""
    paths = [Path(word.removeprefix(_FILE)) for value in options.values() for word in value.split()]
    there = [path for path in paths if path.is_absolute() and path.exists()]
    # The page of a local index names files beside it.
    return sorted({path.parent if path.name == "simple" else path for path in there})


def pip_conf(options: Mapping[str, str]) -> str:
    """The build's pip.conf: local paths are where the build finds them."""
    lines = [f"{name} = {' '.join(map(_moved, value.split()))}" for name, value in options.items()]
    return "\n".join(["[global]", *lines, ""])


def furnish(home: Path, options: Mapping[str, str]) -> dict[Path, str]:
    """Puts pip's configuration into `home`. Returns what is to be mounted, and where: `home`, and directories in it."""
    conf = home / ".config" / "pip" / "pip.conf"
    conf.parent.mkdir(parents=True)
    conf.write_text(pip_conf(options))
    mounts = {home: HOME}
    for path in local_paths(options):
        place = home / _SHARED.removeprefix(f"{HOME}/") / path.relative_to("/")
        if path.is_dir():
            place.mkdir(parents=True)
            mounts[path] = f"{_SHARED}{path}"
        else:
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, place)
    return mounts


def _moved(word: str) -> str:
    path = word.removeprefix(_FILE)
    if not Path(path).is_absolute() or not Path(path).exists():
        return word
    return f"{_FILE if word.startswith(_FILE) else ''}{_SHARED}{path}"
