"""Decode and encode the same files under everything that may differ: the exactness matrix.

    python nightly/exactness.py
    python nightly/exactness.py --python OTHER/bin/python --only threads

Each case is a process of its own, as much is read from the environment when torch is imported.
It takes the frozen files (tests/frozen) and the conformance vectors that decode, from file to
indices and from indices to file; indices and bytes must be the known ones, the tables of
frequencies those of the plain case. Exit status 1 if anything differs.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Case:
    """What is set in one process."""

    name: str
    environment: Mapping[str, str] = field(default_factory=dict)
    """In braces: what the plain case said."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Of `case.run`."""
    needs: tuple[str, ...] = ()
    """Of `case.machine`; without them there is nothing to try."""
    everywhere: bool = False
    """Whether other interpreters run it too."""


PLAIN = Case("plain", everywhere=True)
TORCH = {"VQCODEC_ENGINE": "torch"}
"""Networks are run by torch; on CPUs ONNX Runtime does it otherwise."""

CASES = (
    PLAIN,
    Case("2 threads", settings={"threads": 2}),
    Case("3 threads", settings={"threads": 3}, everywhere=True),
    Case("torch", TORCH, everywhere=True),
    Case("torch, 3 threads", TORCH | {"OMP_NUM_THREADS": "3"}, {"threads": 3}),
    Case("ATen without AVX", TORCH | {"ATEN_CPU_CAPABILITY": "default"}, everywhere=True),
    Case("ATen AVX2", TORCH | {"ATEN_CPU_CAPABILITY": "avx2"}, needs=("avx2",)),
    Case("ATen AVX-512", TORCH | {"ATEN_CPU_CAPABILITY": "avx512"}, needs=("avx512f", "avx512vl")),
    Case("oneDNN SSE4.1", TORCH | {"ONEDNN_MAX_CPU_ISA": "SSE41"}, needs=("oneDNN", "sse4_1")),
    Case("oneDNN AVX2", TORCH | {"ONEDNN_MAX_CPU_ISA": "AVX2"}, needs=("oneDNN", "avx2")),
    Case(
        "oneDNN AVX-512",
        TORCH | {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE"},
        needs=("oneDNN", "avx512bw"),
    ),
    Case(
        "oneDNN AMX",
        TORCH | {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE_AMX"},
        needs=("oneDNN", "amx_tile"),
    ),
    Case("oneDNN off", TORCH, {"onednn": False}, needs=("oneDNN",)),
    Case("MKL compatible", TORCH | {"MKL_CBWR": "COMPATIBLE"}, needs=("mkl",)),
    Case("MKL reproducible AVX2", TORCH | {"MKL_CBWR": "AVX2,STRICT"}, needs=("mkl", "avx2")),
    Case(
        "MKL reproducible AVX-512", TORCH | {"MKL_CBWR": "AVX512,STRICT"}, needs=("mkl", "avx512f")
    ),
    Case("MKL SSE4.2", TORCH | {"MKL_ENABLE_INSTRUCTIONS": "SSE4_2"}, needs=("mkl", "sse4_2")),
    Case("MKL AVX2", TORCH | {"MKL_ENABLE_INSTRUCTIONS": "AVX2"}, needs=("mkl", "avx2")),
    Case("MKL AVX-512", TORCH | {"MKL_ENABLE_INSTRUCTIONS": "AVX512"}, needs=("mkl", "avx512f")),
    Case("NumPy", {"VQCODEC_KERNEL": "numpy"}, everywhere=True),
    Case(
        "NumPy's least",
        {"NPY_DISABLE_CPU_FEATURES": "{numpy_dispatch}", "VQCODEC_KERNEL": "numpy"},
    ),
    Case(
        "kernel portable",
        {"VQCODEC_KERNEL": "portable"},
        needs=("kernel portable",),
        everywhere=True,
    ),
    Case("kernel SSE2", {"VQCODEC_KERNEL": "sse2"}, needs=("kernel sse2",)),
    Case("kernel AVX2", {"VQCODEC_KERNEL": "avx2"}, needs=("kernel avx2",)),
    Case("kernel AVX-VNNI", {"VQCODEC_KERNEL": "avxvnni"}, needs=("kernel avxvnni",)),
    Case("kernel AVX-512", {"VQCODEC_KERNEL": "avx512vnni"}, needs=("kernel avx512vnni",)),
    Case("kernel NEON", {"VQCODEC_KERNEL": "neondot"}, needs=("kernel neondot",)),
    Case("matmul highest", TORCH, {"matmul": "highest"}),
    Case("matmul high", TORCH, {"matmul": "high"}),
    Case("matmul medium", TORCH, {"matmul": "medium"}, everywhere=True),
    Case("fp32_precision tf32", TORCH, {"fp32_precision": "tf32"}, needs=("fp32_precision",)),
    Case("fp32_precision bf16", TORCH, {"fp32_precision": "bf16"}, needs=("fp32_precision",)),
    Case("autocast bfloat16", TORCH, {"autocast": "bfloat16"}),
    Case("autocast float16", TORCH, {"autocast": "float16"}),
    Case(
        "prior in float64",
        {"VQCODEC_KERNEL": "numpy"},
        {"arithmetic": "float64"},
        everywhere=True,
    ),
    Case("default float64", TORCH, {"default_dtype": "float64"}),
    Case("default bfloat16", TORCH, {"default_dtype": "bfloat16"}),
    Case("deterministic", TORCH, {"deterministic": True}),
    Case("denormals flushed", TORCH, {"flush_denormal": True}),
    Case("tiles one by one", settings={"batch": 1}),
    Case("tiles two by two", settings={"batch": 2 * 64 * 64}),
    Case("tiles all at once", settings={"batch": 1 << 20}),
    Case("small windows", settings={"window": 17}),
    Case(
        "all of it",
        {
            "VQCODEC_ENGINE": "torch",
            "OMP_NUM_THREADS": "2",
            "ATEN_CPU_CAPABILITY": "default",
            "ONEDNN_MAX_CPU_ISA": "SSE41",
            "MKL_CBWR": "COMPATIBLE",
            "VQCODEC_KERNEL": "numpy",
        },
        {
            "threads": 2,
            "matmul": "medium",
            "autocast": "bfloat16",
            "default_dtype": "float64",
            "batch": 1,
            "window": 17,
        },
        everywhere=True,
    ),
    Case("CUDA", settings={"device": "cuda"}, needs=("cuda",), everywhere=True),
    Case("CUDA TF32", settings={"device": "cuda", "tf32": True}, needs=("cuda",), everywhere=True),
    Case(
        "CUDA autocast bfloat16",
        settings={"device": "cuda", "autocast": "bfloat16", "matmul": "medium"},
        needs=("cuda",),
    ),
    Case("MPS", settings={"device": "mps"}, needs=("mps",), everywhere=True),
)

_SHOWN = 8
"""Differences of a case that are printed."""
_CONTROLLED = {name for case in CASES for name in case.environment}


def run(case: Case, python: str, files: str = "") -> dict[str, Any]:
    """Run a case with the files whose names contain `files` and return what `case.main` printed.

    A process that died is a difference.
    """
    environment = {name: value for name, value in os.environ.items() if name not in _CONTROLLED}
    paths = [str(ROOT), str(ROOT / "tests"), environment.get("PYTHONPATH", "")]
    environment |= {"PYTHONPATH": os.pathsep.join(filter(None, paths)), "OMP_NUM_THREADS": "1"}
    ended = subprocess.run(
        [python, str(ROOT / "nightly" / "case.py"), json.dumps(dict(case.settings)), files],
        env=environment | dict(case.environment),
        capture_output=True,
        text=True,
    )
    if ended.returncode:
        said = ended.stderr.strip().rpartition("\n")[2]
        return {"differs": [f"ended with status {ended.returncode}: {said}"], "tables": {}}
    found: dict[str, Any] = json.loads(ended.stdout.rstrip().rpartition("\n")[2])
    return found


def differences(found: Mapping[str, Any], plain: Mapping[str, Any]) -> list[str]:
    """Return what differs in a case from what is known, and from the plain case."""
    tables = found["tables"]
    others = [name for name in tables if tables[name] != plain["tables"].get(name)]
    return [*found["differs"], *(f"{name}: tables" for name in others)]


def matrix(pythons: Sequence[str], only: str, files: str) -> Counter[str]:
    """Run the cases whose names contain `only`, print a line of each and count how they ended."""
    counts: Counter[str] = Counter()
    first: dict[str, Any] = {}
    for number, python in enumerate(pythons):
        facts: dict[str, Any] = {}
        for case in CASES:
            if case is not PLAIN and (only not in case.name or (number and not case.everywhere)):
                continue
            lacking = [need for need in case.needs if need not in facts["machine"]]
            if lacking:
                counts["skipped"] += 1
                print(f"skipped  {case.name:26} no {', '.join(lacking)} here", flush=True)
                continue
            environment = {name: text.format(**facts) for name, text in case.environment.items()}
            began = time.monotonic()
            found = run(replace(case, environment=environment), python, files)
            seconds = time.monotonic() - began
            first = first or found
            differs = differences(found, first)
            how = "DIFFERS" if differs else "same"
            counts[how] += 1
            told = [f"{name}={value}" for name, value in {**environment, **case.settings}.items()]
            print(f"{how:8} {case.name:26} {_versions(found)}, {seconds:.0f} s", *told, flush=True)
            shown = [
                *differs[:_SHOWN],
                *([f"... {len(differs)} in all"] if differs[_SHOWN:] else []),
            ]
            print("".join(f"    {what}\n" for what in shown), end="", flush=True)
            if case is PLAIN:
                if "machine" not in found:  # with this interpreter nothing will run
                    break
                facts = found
    return counts


def _versions(found: Mapping[str, Any]) -> str:
    if "versions" not in found:
        return "-"
    versions = ", ".join(f"{name} {version}" for name, version in found["versions"].items())
    ran = f"{found['capability']}, threads {found['threads']}"
    return f"{len(found['tables'])} files, {versions}, {ran}"


def main() -> int:
    """Run the matrix; 0 if nothing differs."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--python",
        action="append",
        default=[],
        help="another interpreter that has the package's dependencies; can be given again",
    )
    parser.add_argument("--only", default="", help="cases whose names contain this, and `plain`")
    parser.add_argument("--files", default="", help="files whose names contain this")
    options = parser.parse_args()
    if not any(options.only in case.name for case in CASES):
        parser.error(f"no case's name contains {options.only!r}")
    counts = matrix([sys.executable, *options.python], options.only, options.files)
    print(", ".join(f"{counts[how]} {how}" for how in ("same", "DIFFERS", "skipped")))
    return 1 if counts["DIFFERS"] else 0


if __name__ == "__main__":
    sys.exit(main())
