"""Two processes on one machine, started once as torchrun would; the tests look at what they did."""

from __future__ import annotations

import contextlib
import json
import os
import random
import socket
import time
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
import torch
from conftest import SMALL_PHOTO, photo
from safetensors.torch import load_file, save_file
from test_training import RECIPE, Silent
from torch import Tensor, nn

import vqcodec
from vqcodec.tables import from_table
from vqcodec.training.architectures import load_recipe
from vqcodec.training.autoencoder import AutoencoderStage
from vqcodec.training.config import PhotoRecipe, ScheduleConfig
from vqcodec.training.data import Pictures, draws, find_pictures
from vqcodec.training.distributed import agree, any_of, gathered, joined, means, rank, share, size
from vqcodec.training.loop import InterruptedRunError, Trainer
from vqcodec.training.run import train
from vqcodec.training.transform import TransformStage, spread_qualities

PROCESSES = 2
LIMIT = 120.0
CPU = torch.device("cpu")


class HeadsStage:
    """A regression; each half of a batch has its own head, and a third is never used."""

    name = "heads"
    schedule = ScheduleConfig(steps=12, batch=8, learning_rate=0.01, warmup=2, average=0.5)

    def __init__(self) -> None:
        torch.manual_seed(rank())  # processes need not begin alike
        self.module = nn.ModuleList([nn.Linear(5, 6), *(nn.Linear(6, 1) for _ in range(3))])

    def batch(self, step: int) -> Tensor:
        whole = torch.randn(8, 5, generator=torch.Generator().manual_seed(step))
        part = share(8, "batch")
        return whole[rank() * part : (rank() + 1) * part]

    def loss(self, batch: Tensor, step: int) -> tuple[Tensor, dict[str, float]]:
        part, body = share(8, "batch"), self.module[0]
        errors = []
        for number, row in enumerate(batch, rank() * part):
            head = self.module[1 + number * 2 // 8]
            errors.append((head(torch.tanh(body(row))) - row.sum()).square())
        return torch.cat(errors).mean(), {"number": float(rank())}

    def after(self, batch: Tensor, step: int) -> None:
        pass

    def validate(self) -> dict[str, float]:
        assert rank() == 0
        return {"weight": float(self.module[0].weight.detach().sum())}


def work(number: int, ports: list[int], folder: Path) -> None:
    """What each process does; what the tests ask about goes to files."""
    torch.set_num_threads(1)
    places = {"RANK": number, "LOCAL_RANK": number, "WORLD_SIZE": PROCESSES}
    os.environ |= {name: str(value) for name, value in places.items()}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(ports[0])}
    own = folder / str(number)
    own.mkdir()
    with joined(CPU) as device:
        facts = exchanged()
        save_file(heads(own).state_dict(), own / "heads.safetensors")
        for update in ("ema", "loss"):
            save_file(autoencoder(folder, update), own / f"{update}.safetensors")
        facts |= transform(folder, own)
        facts["stopped"] = whole_runs(folder, device)
    os.environ["MASTER_PORT"] = str(ports[1])
    facts["printed"] = command(folder)
    (own / "facts.json").write_text(json.dumps(facts))


def exchanged() -> dict[str, Any]:
    agree(3, "three")
    with pytest.raises(ValueError, match="the number is not the same"):
        agree(rank(), "the number")
    with pytest.raises(ValueError, match=r"train\.prior\.batch must be a multiple of 2"):
        share(3, "train.prior.batch")
    return {
        "size": size(),
        "any": [any_of(rank() == 1), any_of(False)],
        "means": means({"a": float(rank()), "b": 2.0}),
        "gathered": gathered(torch.full((1, 2), rank())).tolist(),
        "draw": int(draws(0, 1).integers(1 << 30)),
        "qualities": spread_qualities(4, 8, torch.Generator().manual_seed(0)).tolist(),
    }


def heads(own: Path) -> nn.Module:
    stage = HeadsStage()
    Trainer(stage, own, Silent()).run(resume=False)
    return stage.module


def autoencoder(folder: Path, update: str) -> dict[str, Tensor]:
    settings = {"codebook_update": f"'{update}'", "revive_below": "1e6"}  # revives all
    recipe = load_recipe(
        folder / "tiny.toml", {f"train.autoencoder.{key}": value for key, value in settings.items()}
    )
    paths = find_pictures(folder / "data")
    stage = AutoencoderStage(recipe, Pictures(paths, recipe.data), paths[:1], CPU)
    run = folder / update
    run.mkdir(exist_ok=True)
    Trainer(stage, run, Silent()).run(resume=False)
    return {name: value.contiguous() for name, value in stage.module.state_dict().items()}


def transform(folder: Path, own: Path) -> dict[str, Any]:
    recipe = from_table(
        PhotoRecipe,
        SMALL_PHOTO
        | {
            "train": {
                "precision": "float32",
                "transform": {
                    "steps": 4,
                    "batch": 4,
                    "crop": 64,
                    "optimiser": "muon",
                    "average": 0.9,
                },
                "product": {"steps": 1},
            }
        },
    )
    paths = find_pictures(folder / "data")
    stage = TransformStage(recipe, Pictures(paths, recipe.data), paths[:1], CPU)
    batch = stage.batch(0)
    # With the same pixels and qualities, only the noise tells the processes apart.
    with mock.patch("vqcodec.training.transform.spread_qualities", one_quality):
        spread = stage.loss(torch.zeros_like(batch), 0)[1]["bpp"]
    Trainer(stage, folder, Silent()).run(resume=False)
    tensors = {name: value.contiguous() for name, value in stage.module.state_dict().items()}
    save_file(tensors, own / "transform.safetensors")
    return {"pictures": len(batch), "pixels": int(batch.sum()), "bpp": spread}


def one_quality(batch: int, *_: object) -> Tensor:
    return torch.ones(batch, dtype=torch.int64)


def whole_runs(folder: Path, device: torch.device) -> int:
    """Train in one go, and again with interruptions; return how many those were."""

    def run(out: str, reporter: Silent, *, resume: bool = False) -> None:
        train(
            load_recipe(folder / "tiny.toml"),
            data=folder / "data",
            out=folder / f"{out}.safetensors",
            run=folder / f"{out}.run",
            resume=resume,
            device=device,
            reporter=reporter,
        )

    run("whole", Silent())
    stopped = 0
    for stop_at in (("autoencoder", 5), ("prior", 3)):
        try:
            run("parts", Silent(stop_at), resume=stopped > 0)  # a signal in process 0 alone
        except InterruptedRunError:
            stopped += not (folder / "parts.safetensors").exists()
    run("parts", Silent(), resume=True)
    return stopped


def command(folder: Path) -> str:
    from vqcodec.cli.train import command

    out = folder / "command.safetensors"
    arguments = [str(folder / "tiny.toml"), "--data", str(folder / "data"), "--out", str(out)]
    printed = folder / f"printed{os.environ['RANK']}"
    with printed.open("w") as file, contextlib.redirect_stdout(file):
        code = command.main([*arguments, "--device", "cpu"], standalone_mode=False)
    assert code == 0
    return printed.read_text()


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens to, below those that systems give to outgoing connections.

    One of those could be gone before the processes listen to it.
    """
    found: list[int] = []
    for port in random.Random().sample(range(20000, 32000), 200):
        with socket.socket() as candidate, contextlib.suppress(OSError):
            candidate.bind(("127.0.0.1", port))
            found.append(port)
        if len(found) == count:
            return found
    raise OSError("no free port")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("together")
    (folder / "data").mkdir()
    for k in range(5):
        photo(70, 66, seed=k).save(folder / "data" / f"{'ab'[k % 2]}-{k}.png")
    (folder / "tiny.toml").write_text(RECIPE)
    ports = free_ports(2)
    processes = torch.multiprocessing.spawn(
        work, (ports, folder), nprocs=PROCESSES, join=False, daemon=True
    )
    end = time.monotonic() + LIMIT
    while not processes.join(timeout=1.0):  # raises what a process raised
        if time.monotonic() > end:
            for process in processes.processes:
                process.kill()
            pytest.fail("the processes wait for each other")
    return folder


@pytest.fixture(scope="module")
def facts(folder: Path) -> list[dict[str, Any]]:
    return [json.loads((folder / f"{n}/facts.json").read_text()) for n in range(PROCESSES)]


def test_processes_exchange_numbers(facts: list[dict[str, Any]]) -> None:
    for fact in facts:
        assert fact["size"] == PROCESSES
        assert fact["any"] == [True, False]
        assert fact["means"] == {"a": 0.5, "b": 2.0}
        assert fact["gathered"] == [[0, 0], [1, 1]]


def test_processes_draw_shares_of_their_own(facts: list[dict[str, Any]]) -> None:
    assert facts[0]["draw"] == int(np.random.default_rng([0, 1]).integers(1 << 30))
    assert facts[0]["draw"] != facts[1]["draw"]
    assert [fact["pictures"] for fact in facts] == [2, 2]
    assert facts[0]["pixels"] != facts[1]["pixels"]
    assert facts[0]["bpp"] != facts[1]["bpp"]
    assert sorted(facts[0]["qualities"] + facts[1]["qualities"]) == [1, 2, 3, 4, 5, 6, 7, 8]


@pytest.mark.parametrize("name", ["heads", "ema", "loss", "transform"])
def test_processes_end_with_equal_weights(folder: Path, name: str) -> None:
    first, second = (load_file(folder / f"{n}/{name}.safetensors") for n in range(PROCESSES))
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_two_processes_learn_what_one_learns_from_the_whole_batch(
    folder: Path, tmp_path: Path
) -> None:
    alone = heads(tmp_path).state_dict()
    together = load_file(folder / "0/heads.safetensors")
    torch.manual_seed(0)
    start = HeadsStage().module.state_dict()
    for name, value in alone.items():
        torch.testing.assert_close(together[name], value, rtol=1e-4, atol=1e-5)
        assert torch.equal(value, start[name]) == name.startswith("3.")


def test_first_process_alone_writes(folder: Path, facts: list[dict[str, Any]]) -> None:
    assert (folder / "0/heads.safetensors").exists()
    assert (folder / "0/log.jsonl").exists()
    assert not (folder / "1/log.jsonl").exists()
    assert "use it with --model" in facts[0]["printed"]
    assert facts[1]["printed"] == ""


def test_resumed_run_equals_the_uninterrupted_one(
    folder: Path, facts: list[dict[str, Any]]
) -> None:
    assert [fact["stopped"] for fact in facts] == [2, 2]
    expected, found = (load_file(folder / f"{name}.safetensors") for name in ("whole", "parts"))
    assert all(torch.equal(expected[name], found[name]) for name in expected)
    logs = [(folder / f"{name}.run/log.jsonl").read_text() for name in ("whole", "parts")]
    assert logs[0] == logs[1]
    rows = [json.loads(row) for row in logs[0].splitlines()]
    assert [row["step"] for row in rows] == [4, 8, 3, 6]


def test_model_of_the_command_compresses(folder: Path) -> None:
    model = vqcodec.load_model(folder / "command.safetensors", device="cpu")
    data = vqcodec.compress(photo(), model=model)
    assert vqcodec.decompress(data, model=model).size == photo().size


def test_one_process_needs_no_group(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with joined(CPU) as device:
        assert (device, rank(), size(), share(3, "batch")) == (CPU, 0, 1, 3)
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ValueError, match="'mps'"), joined(torch.device("mps")):
        pass
