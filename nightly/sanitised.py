"""Run the kernel under AddressSanitizer and UndefinedBehaviorSanitizer.

    python nightly/sanitised.py

builds the extension anew in a copy of the package, with checks of every access to memory and of
every operation that C leaves undefined, and runs the tests that feed it hostile streams and
random models. For GCC on Linux. Exit status 1 if a test fails or a sanitizer stops one.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NEEDED = ("setup.py", "pyproject.toml", "README.md", "LICENSE", "vqcodec", "bench/vqcodec_bench")
TESTS = (
    "test_kernel.py",
    "test_literal.py",
    "test_hostile_streams.py",
    "test_hostile.py",
    "test_streams.py",
    "test_vectors.py",
)
CHECKS = "-fsanitize=address,undefined -fno-sanitize-recover=undefined"
# Processes of their own would have to be told of the sanitizer's library too.
LEFT_OUT = "not spawned and not forked"


def build(work: Path) -> None:
    """Copy the package and build its extension there."""
    for name in NEEDED:
        source, target = ROOT / name, work / name
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("*.so", "__pycache__"))
        else:
            shutil.copy(source, target)
    flags = {"CFLAGS": f"{CHECKS} -g -fno-omit-frame-pointer", "LDFLAGS": CHECKS}
    command = [sys.executable, "setup.py", "-q", "build_ext", "--inplace"]
    subprocess.run(command, cwd=work, env=os.environ | flags, check=True)


def libraries() -> str:
    """Return the sanitizers' libraries, which have to be loaded before Python."""
    names = ("libasan.so", "libubsan.so")
    commands = (["gcc", f"-print-file-name={name}"] for name in names)
    return " ".join(subprocess.check_output(command, text=True).strip() for command in commands)


def main() -> int:
    """Build and test; the tests' exit status."""
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        build(work)
        settings = {
            "LD_PRELOAD": libraries(),
            # Python keeps memory until it ends, which is no leak.
            "ASAN_OPTIONS": "detect_leaks=0",
            "PYTHONPATH": os.pathsep.join([str(work), str(work / "bench")]),
        }
        check = "from vqcodec._kernel import native; print(native.__file__)"
        options = ["-q", "-k", LEFT_OUT, "-c", str(ROOT / "pyproject.toml")]
        tests = [str(ROOT / "tests" / name) for name in TESTS]
        for arguments in (["-c", check], ["-m", "pytest", *options, *tests]):
            ended = subprocess.run(
                [sys.executable, *arguments], cwd=work, env=os.environ | settings
            )
            if ended.returncode:
                return ended.returncode
    return 0


if __name__ == "__main__":
    sys.exit(main())
