"""Fuzz every decoder entry and print executions and coverage: `python fuzz/run.py --help`."""

from __future__ import annotations

import argparse
import os
import re
import resource
import subprocess
import sys
from pathlib import Path

from targets import CORPUS, TARGETS

SHARES = {"container": 0.63, "inventory": 0.2, "decode": 0.1, "salvage": 0.05, "model": 0.02}
"""Of all executions: a decoded file takes a hundred times as long as one only parsed."""
_LARGEST = {
    "container": 768,
    "inventory": 2048,
    "decode": 1024,
    "salvage": 1024,
    "model": 20_000,
}
_SEEDS = {"decode": "container", "salvage": "container"}
"""Targets whose seeds are another's."""
_STATUS = re.compile(r"#(\d+)\s+\w+\s+cov: (\d+) ft: (\d+) corp: (\d+)")


def fuzz(name: str, runs: int, folder: Path, options: argparse.Namespace) -> tuple[int, bool]:
    """Fuzz one target, print its line and return its executions and whether it held."""
    found = folder / name
    found.mkdir(parents=True, exist_ok=True)
    command = [
        sys.executable,
        str(Path(__file__).with_name("harness.py")),
        name,
        f"-runs={runs}",
        f"-max_len={_LARGEST[name]}",
        f"-rss_limit_mb={options.megabytes}",
        f"-timeout={options.seconds}",
        f"-seed={options.seed}",
        f"-artifact_prefix={folder}/{name}-",
        "-print_final_stats=1",
        "-len_control=0",
        str(found),
        str(CORPUS / _SEEDS.get(name, name)),
    ]
    began = _processor_seconds()
    log = folder / f"{name}.log"
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    with log.open("w") as file:
        code = subprocess.run(command, stdout=file, stderr=file, env=environment).returncode
    text = log.read_text(errors="replace")
    seen = _STATUS.findall(text) or [("0", "0", "0", "0")]
    done = re.search(r"stat::number_of_executed_units:\s*(\d+)", text)
    executions = int(done[1]) if done else int(seen[-1][0])
    seconds = _processor_seconds() - began
    print(
        f"{name:10} {executions:9} executions, {seen[-1][1]:>5} edges, {seen[-1][2]:>5} features, "
        f"corpus {seen[-1][3]:>4}, {seconds:6.0f} s of processor, "
        f"{executions / seconds:6.0f} per s: " + ("ok" if code == 0 else f"FAULT, see {log}"),
        flush=True,
    )
    return executions, code == 0


def _processor_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> int:
    """Run; 0 if no fault was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--executions", type=int, default=100_000, help="of all targets together")
    parser.add_argument("--target", choices=list(TARGETS), help="only this one")
    parser.add_argument("--folder", type=Path, default=Path("build/fuzz"), help="corpus and logs")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=int, default=10, help="longest execution")
    parser.add_argument("--megabytes", type=int, default=1024, help="largest resident memory")
    options = parser.parse_args()
    shares = {options.target: 1.0} if options.target else SHARES
    ended = [
        fuzz(name, int(options.executions * share), options.folder, options)
        for name, share in shares.items()
    ]
    faults = sum(not held for _, held in ended)
    print(f"{sum(count for count, _ in ended)} executions, targets with faults: {faults}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
