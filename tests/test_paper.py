"""The scripts of the paper's experiments run from end to end."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from conftest import photo

from vqcodec.training.architectures import load_recipe
from vqcodec.training.config import Recipe
from vqcodec.training.data import open_pictures

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
        ("classes/classes", "samples.png"),
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


def test_soft_mixtures_tell_latents_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However long latents grow: else the decoder sees one vector and draws one colour."""
    pytest.importorskip("matplotlib")
    monkeypatch.syspath_prepend(SCRIPTS)
    from comparisons import ARMS, RECIPE, SoftStage

    settings = ARMS["soft to hard"] | {"steps": "40", "batch": "8", "crop": "32"}
    own = {f"train.autoencoder.{key}": value for key, value in settings.items()}
    recipe = load_recipe(RECIPE, own | {"data.scale": "[1.0,1.0]"})
    assert isinstance(recipe, Recipe)
    for number in range(4):
        photo(64, 64, number).save(tmp_path / f"{number}.png")
    pictures, held_out = open_pictures([tmp_path], tmp_path, recipe.data)
    stage = SoftStage(recipe, pictures, held_out, torch.device("cpu"))
    optimiser = torch.optim.Adam(stage.module.parameters(), 8e-4)
    for step in range(40):
        loss, _ = stage.loss(stage.batch(step), step)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    mixtures = stage._mixture(stage.batch(40) / 255.0)
    codewords = stage.module.codebook.vectors
    assert mixtures.var(dim=(0, 2, 3)).sum() > 0.05 * codewords.var(dim=0).sum()
