"""Compare the levels of the kernel on processors that have no Python here: `levels.c` says how.

    python nightly/levels.py

compiles it for this machine, and for ARM if Debian's gcc-aarch64-linux-gnu and qemu-user are
installed. Exit status 1 if anything differs.
"""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
KERNEL = ROOT / "vqcodec" / "_kernel"
SOURCES = [path for path in KERNEL.glob("*.c") if not path.name.startswith("module")]
OPTIONS = ("-std=c11", "-O3", "-ffp-contract=off", "-static", f"-I{KERNEL}")
MACHINES: tuple[tuple[str, str, list[str]], ...] = (
    (platform.machine(), "gcc", []),
    ("aarch64", "aarch64-linux-gnu-gcc", ["qemu-aarch64"]),
)
"""Name, compiler, and what runs its programs."""


def main() -> int:
    """Run what can be run; 0 if nothing differs."""
    statuses = []
    with tempfile.TemporaryDirectory() as folder:
        for name, compiler, emulator in MACHINES:
            if not all(map(shutil.which, (compiler, *emulator))):
                print(f"{name}: skipped, no {' or '.join((compiler, *emulator))} here")
                continue
            program = Path(folder) / compiler
            sources = [ROOT / "nightly" / "levels.c", *SOURCES]
            subprocess.run([compiler, *OPTIONS, *sources, "-o", program], check=True)
            print(f"{name}: ", end="", flush=True)
            statuses.append(subprocess.run([*emulator, program]).returncode)
    return max(statuses, default=0)


if __name__ == "__main__":
    sys.exit(main())
