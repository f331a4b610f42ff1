"""All that takes too long for every change: long tests, fuzzing, sanitizers, exactness.

python nightly --help
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PARTS = ("tests", "fuzz", "sanitised", "levels", "exactness")


def commands(options: argparse.Namespace) -> dict[str, list[str]]:
    """Return the command of each part, after the interpreter."""
    pythons = [word for python in options.python for word in ("--python", python)]
    return {
        "tests": ["-m", "pytest", "-q"],
        "fuzz": ["fuzz/run.py", "--executions", str(options.executions)],
        "sanitised": ["nightly/sanitised.py"],
        "levels": ["nightly/levels.py"],
        "exactness": ["nightly/exactness.py", *pythons],
    }


def run(command: list[str]) -> tuple[bool, str]:
    """Run a command, pass on what it prints, and return whether it held and its last line."""
    last = ""
    with subprocess.Popen(
        [sys.executable, *command],
        cwd=ROOT,
        env=os.environ | {"VQCODEC_LONG": "1"},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            last = line.strip() or last
    return process.returncode == 0, last


def main() -> int:
    """Run the parts; 0 if none failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--part", action="append", choices=PARTS, help="only this one, or these")
    parser.add_argument("--executions", type=int, default=5_000_000, help="of the fuzzer")
    parser.add_argument(
        "--python", action="append", default=[], help="see exactness.py; can be given again"
    )
    options = parser.parse_args()
    ended, summary = [], []
    for part, command in commands(options).items():
        if part not in (options.part or PARTS):
            continue
        print(f"== {part}: python {' '.join(command)}", flush=True)
        began = time.monotonic()
        held, last = run(command)
        seconds = time.monotonic() - began
        ended.append(held)
        summary.append(f"{part:10} {'ok' if held else 'FAILED'} in {seconds:.0f} s: {last}")
    print("== summary", *summary, sep="\n")
    return 0 if all(ended) else 1


if __name__ == "__main__":
    sys.exit(main())
