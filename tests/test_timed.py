"""Training for a given time, and the VQ-VAE of speech that is trained so (train/gpu/timed.py)."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import slim
import timed
import torch
from test_sound_vqvae_training import place as place
from test_sound_vqvae_training import recipe
from test_training import Silent
from torch import Tensor, nn

from vqcodec.errors import ModelCorruptError
from vqcodec.models.sound_vqvae import parse_model
from vqcodec.training import timed as clock
from vqcodec.training.config import ScheduleConfig
from vqcodec.training.loop import InterruptedRunError, Metrics
from vqcodec.training.sound_prior import SoundPriorStage
from vqcodec.training.timed import TimedTrainer


@dataclass
class Clocked:
    """A stage whose steps last as long as told; the last duration is that of all that follow."""

    durations: list[float]
    schedule: ScheduleConfig
    module: nn.Module = field(default_factory=lambda: nn.Linear(1, 1))
    name: str = "clocked"
    now: float = 100.0
    seen: list[tuple[float, int, int]] = field(default_factory=list)
    """The time before each step, the step, and how many the schedule says there are."""
    broken_from: int = sys.maxsize

    def monotonic(self) -> float:
        return self.now

    def batch(self, step: int) -> Tensor:
        return torch.full((1, 1), float(step))

    def loss(self, batch: Tensor, step: int) -> tuple[Tensor, Metrics]:
        assert float(batch) == step
        self.seen.append((self.now, step, self.schedule.steps))
        self.now += self.durations[min(step, len(self.durations) - 1)]
        factor = float("nan") if step >= self.broken_from else 1.0
        return self.module(batch * factor).square().mean(), {}

    def after(self, batch: Tensor, step: int) -> None:
        pass

    def validate(self) -> Metrics:
        return {"steps": float(len(self.seen))}


def clocked(monkeypatch: pytest.MonkeyPatch, *durations: float, **settings: int) -> Clocked:
    stage = Clocked(list(durations), ScheduleConfig(steps=7, **settings))
    monkeypatch.setattr(clock.time, "monotonic", stage.monotonic)
    return stage


def trainer(stage: Clocked, folder: Path, reporter: Silent | None = None) -> TimedTrainer:
    """Train it for a minute."""
    return TimedTrainer(stage, folder, reporter or Silent(), until=stage.now + 60.0)


@pytest.mark.parametrize(
    ("durations", "steps"),
    [([1.0], 60), ([0.25], 240), ([20.0, 1.0], 40), ([70.0], 1), ([59.5, 1.0], 1)],
)
def test_a_stage_lasts_as_long_as_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, durations: list[float], steps: int
) -> None:
    """Whatever the recipe's number of steps is; at least one step."""
    reporter, stage = Silent(), clocked(monkeypatch, *durations)
    trainer(stage, tmp_path, reporter).run(resume=False)
    assert [step for _, step, _ in stage.seen] == list(range(steps))
    assert reporter.figures[-1] == ("clocked", steps, {"steps": steps})
    rows = [json.loads(row) for row in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert rows[-1]["step"] == steps
    assert not stage.module.training


@pytest.mark.parametrize("durations", [[1.0], [0.1] * 300 + [0.5], [0.5] * 60 + [0.1]])
def test_parts_of_the_steps_become_parts_of_the_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, durations: list[float]
) -> None:
    """Also where steps become slower or faster."""
    stage = clocked(monkeypatch, *durations)
    trainer(stage, tmp_path).run(resume=False)
    for now, step, steps in stage.seen[1:]:
        assert step / steps == pytest.approx((now - 100.0) / 60.0, abs=0.02)


def test_training_that_diverges_leaves_the_checkpoint_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = clocked(monkeypatch, 1.0, checkpoint_every=3)
    stage.broken_from = 8
    with pytest.raises(FloatingPointError, match="step 9"):
        trainer(stage, tmp_path).run(resume=False)
    again = trainer(clocked(monkeypatch, 1.0), tmp_path)
    assert again._load() == 6
    assert all(bool(value.isfinite().all()) for value in again.stage.module.parameters())


def test_a_stop_writes_a_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = clocked(monkeypatch, 1.0)
    with pytest.raises(InterruptedRunError):
        trainer(stage, tmp_path, Silent(stop_at=("clocked", 5))).run(resume=False)
    again = trainer(clocked(monkeypatch, 1.0), tmp_path)
    assert again._load() == 5
    with pytest.raises(ValueError, match="cannot be resumed"):
        again.run(resume=True)


# --- train/gpu/timed.py ---


def train(monkeypatch: pytest.MonkeyPatch, *words: object) -> Path:
    out = Path("out/tiny.safetensors")
    options = ["--data", Path("data"), "--validation", Path("validation"), "--run", Path("run")]
    options += ["--out", out, "--device", "cpu", "--minutes", 0.02, 0.01, *words]
    monkeypatch.setattr(sys, "argv", ["script", "tiny.toml", *map(str, options)])
    timed.main()
    return out


def test_a_model_of_so_many_minutes(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = train(monkeypatch, "--batch", 4, 3, "--set", "name='other'")
    model = parse_model(out.read_bytes(), sha256="")
    assert (model.name, model.speakers) == ("other", ("anna", "bela"))
    rows = [json.loads(row) for row in Path("out/tiny.log.jsonl").read_text().splitlines()]
    assert {row["stage"] for row in rows} == {"autoencoder", "prior"}
    assert sorted(path.name for path in Path("out").iterdir()) == [
        "tiny.log.jsonl",
        "tiny.safetensors",
    ]


def test_rates_grow_with_the_root_of_the_batch(place: Path) -> None:
    given = recipe()
    found = timed.enlarged(given, [8, 2])
    assert found.train.autoencoder.batch == 8
    assert found.train.autoencoder.learning_rate == 2.0 * given.train.autoencoder.learning_rate
    assert found.train.prior == given.train.prior


def test_what_fails_leaves_what_was_trained(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: SoundPriorStage, batch: Tensor, step: int) -> None:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(SoundPriorStage, "loss", broken)
    with pytest.raises(RuntimeError, match="out of memory"):
        train(monkeypatch)
    manifest, weights = slim.load_slim(Path("out/autoencoder"))
    assert manifest.step > 0
    assert weights["codebook.vectors"].shape == (16, 8)
    assert Path("out/tiny.log.jsonl").exists()
    with pytest.raises(ModelCorruptError):
        slim.load_slim(Path("out/prior"))
