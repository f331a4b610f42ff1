"""The scripts of the paper's experiments run from end to end."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch  # noqa: F401  (what the scripts train with)

SCRIPTS = Path(__file__).parent.parent / "train/paper"


@pytest.mark.parametrize(
    ("name", "made"),
    [
        ("comparisons", "comparisons.png"),
        ("comparisons --minutes 0.001", "comparisons.png"),
        ("likelihood", "reconstructions.png"),
        ("likelihood --minutes 0.001", "reconstructions.png"),
        ("two_stages/two_stages", "reconstructions.png"),
        ("two_stages/two_stages", "samples.png"),
        ("clips/clips", "clips.png"),
        ("clips/clips", "figures.json"),
    ],
)
def test_smoke(name: str, made: str, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    script, *options = name.split()
    result = subprocess.run(
        [sys.executable, SCRIPTS / f"{script}.py", "--smoke", "--out", tmp_path, *options],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert result.returncode == 0, result.stderr
    assert (tmp_path / made).stat().st_size > 1000
