"""`python -m tests.emulated`: the same artefacts on this processor and on emulated ones (qemu, user mode), as a table.

Returns 1 where a processor is beyond the bounds. What cannot be installed is missing, and said so.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.emulated import arm64, artefacts
from tests.emulated.probe import CONTROL, Opinion

ROOT = Path(__file__).parents[2]
_ARM64 = ROOT / ".cache" / "emulated" / "arm64"
_MODULE = ["-m", "tests.emulated.probe"]

# Eight bits lose 0.002 of what is added up, four 0.013; a product that saturates loses a half.
_LARGEST_ERROR = {"fp32": 1e-5, "int8": 0.005, "int8-blocks": 0.005, "int4": 0.03}
_KL_OVER_NATIVE = 1.05
_KL_OF_FP32 = 1e-6  # nats: two processors that add in different orders


@dataclass(frozen=True, slots=True)
class Processor:
    name: str
    emulator: str | None = None
    cpu: str = ""
    part: str | None = None  # Arm's number of the core; None on x86-64


PROCESSORS = (
    Processor("this machine"),
    Processor("Haswell (AVX2)", "qemu-x86_64", "Haswell"),
    Processor("Neoverse N1 (Graviton2: dot products)", "qemu-aarch64", "neoverse-n1", "0xd0c"),
    Processor("arm64, all that qemu has (as Graviton3: i8mm, SVE)", "qemu-aarch64", "max,pauth-impdef=on", "0xd40"),
)


def main() -> int:
    native: Opinion | None = None
    beyond = []
    with tempfile.TemporaryDirectory(prefix="emulated-") as scratch:
        artefacts.write(Path(scratch))
        print(
            "| processor | int8: largest error | unprotected | mean KL: int8, blocks, int4 | steps of 4n: int8, blocks "
            "| other steps: int8, blocks |\n|---|---|---|---|---|---|"
        )
        for processor in PROCESSORS:
            found = _ask(processor, Path(scratch))
            if isinstance(found, str):
                print(f"| {processor.name} | missing: {found} |", flush=True)
                continue
            native = native or found
            print(_row(processor, found), flush=True)
            beyond += [f"{processor.name}: {what}" for what in _beyond(found, native)]
    for line in beyond:
        print(line, file=sys.stderr)
    return 1 if beyond else 0


def _ask(processor: Processor, directory: Path) -> Opinion | str:
    """The processor's opinion, or why there is none."""
    command, environment = [sys.executable], dict(os.environ)
    if processor.emulator is not None:
        if shutil.which(processor.emulator) is None:
            return f"{processor.emulator} (apt-get install qemu-user)"
        command = [processor.emulator, "-cpu", processor.cpu, *command]
    if processor.part is not None:
        try:
            arm64.install(_ARM64)
        except (OSError, subprocess.CalledProcessError) as error:
            return " ".join([str(error), *str(getattr(error, "stderr", "")).splitlines()[-1:]])
        arm64.describe(_ARM64, processor.part)
        environment["PYTHONPATH"] = str(_ARM64 / arm64.SITE)
        command = [*command[:-1], "-L", str(_ARM64), str(_ARM64 / arm64.PYTHON)]
    answer = subprocess.run(
        [*command, *_MODULE, str(directory)], cwd=ROOT, env=environment, check=False, capture_output=True, text=True
    )
    if answer.returncode:
        return " ".join([f"exit code {answer.returncode}:", *answer.stderr.splitlines()[-1:]])
    return Opinion(**json.loads(answer.stdout))


def _row(processor: Processor, found: Opinion) -> str:
    protected = max(error for linear, error in found.products.items() if linear.endswith("-int8") and linear != CONTROL)
    kl = ", ".join(f"{found.mean_kl[recipe]:.4f}" for recipe in ("int8", "int8-blocks", "int4"))
    widths = [
        ", ".join(f"{differences[recipe]:.2g}" for recipe in ("int8", "int8-blocks"))
        for differences in (found.in_fours, found.by_width)
    ]
    cells = (processor.name, f"{protected:.4f}", f"{found.products[CONTROL]:.4f}", kl, *widths)
    return f"| {' | '.join(cells)} |"


def _beyond(found: Opinion, native: Opinion) -> list[str]:
    """What is worse than it may be."""
    products = [
        f"{linear} is off by {error:.4f} of its sum"
        for linear, error in found.products.items()
        if linear != CONTROL and error > _LARGEST_ERROR[linear.partition("-")[2]]
    ]
    quality = [
        f"{recipe} has a mean KL of {kl:.5f}, natively {native.mean_kl[recipe]:.5f}"
        for recipe, kl in found.mean_kl.items()
        if kl > native.mean_kl[recipe] * _KL_OVER_NATIVE + _KL_OF_FP32
    ]
    widths = [
        f"{recipe}'s logits depend by {difference:.2g} on the split into steps of multiples of four"
        for recipe, difference in found.in_fours.items()
        if difference
    ]
    return products + quality + widths


if __name__ == "__main__":
    sys.exit(main())
