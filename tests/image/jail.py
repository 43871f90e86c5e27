"""An image's tree, run as Lambda runs it: any user, a read-only root file system, /tmp, hardly a device, no network."""

import fcntl
import socket
import struct
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from image_build.image import Image

# $1: the root file system; $2: user and group; $3: what /tmp is; then the command.
_JAIL = """
set -e
root=$1 user=$2 tmp=$3
shift 3
mount --make-rprivate /
mount --bind "$root" "$root"
mount -o remount,bind,ro "$root"
mount --bind "$tmp" "$root/tmp"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
for device in null zero full random urandom; do
  : > "$root/dev/$device"
  mount --bind "/dev/$device" "$root/dev/$device"
done
mount -t proc proc "$root/proc"
exec setpriv --no-new-privs chroot --userspec="$user:$user" --groups="$user" "$root" "$@"
"""
_SIOCSIFFLAGS = 0x8914
_IFF_UP = 1


def permitted() -> str:
    """Why nothing can be run like that on this machine; empty: it can."""
    done = subprocess.run(
        ["unshare", "--mount", "--net", "sh", "-c", "mount -t tmpfs tmpfs /tmp"],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stderr.strip()


def jailed(
    image: Image, *, user: int, tmp: Path, settings: Mapping[str, str], command: Sequence[str] = ()
) -> list[str]:
    """The command that runs `command`, or else the image's own, in the image. `tmp`: what it may write to."""
    tmp.chmod(0o1777)
    environment = {**image.environment, **settings}
    return [
        *("unshare", "--mount", "--fork", "--pid", "--kill-child", "sh", "-c", _JAIL, "jail"),
        *(str(image.root), str(user), str(tmp)),
        *("env", f"--chdir={image.directory}", *(f"{name}={value}" for name, value in environment.items())),
        *(command or image.command),
    ]


def alone(command: Sequence[str]) -> list[str]:
    """The command that runs `command` in a network of its own, in which there is nobody else."""
    return ["unshare", "--net", sys.executable, "-m", "tests.image.jail", *command]


def main() -> int:
    """Brings up the loopback device of a new network, and runs a command there."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as anything:
        fcntl.ioctl(anything, _SIOCSIFFLAGS, struct.pack("16sh22x", b"lo", _IFF_UP))
    return subprocess.run(sys.argv[1:], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
