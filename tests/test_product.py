"""Codebooks of `photo`: how they begin, how they train, and a whole run."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import LATENT_PRIOR, TRANSFORM, photo

import vqcodec
from vqcodec.models.config import LatentPriorConfig, TransformConfig
from vqcodec.models.file import read_tensors
from vqcodec.models.photo import Photo
from vqcodec.networks.latent_prior import precision_of
from vqcodec.networks.model_files import read_photo, write_photo
from vqcodec.networks.product import Block, Codebooks, export, reals
from vqcodec.prior.units import BIAS_MAX
from vqcodec.tables import from_table
from vqcodec.training.cells import (
    channel_bits,
    group,
    match_marginals,
    split,
    start_cells,
    start_codebooks,
)
from vqcodec.training.codebooks import cheapest, start_all
from vqcodec.training.config import FineCells, PhotoRecipe
from vqcodec.training.data import Pictures, find_pictures
from vqcodec.training.product import ProductStage
from vqcodec.training.run import train
from vqcodec.training.transform import TransformStage

CPU = torch.device("cpu")
RECIPE = {
    "architecture": "photo-1",
    "name": "tiny",
    "licence": "CC0-1.0",
    "transform": {
        "widths": [8, 12, 16],
        "depths": [1, 1, 1],
        "latents": 12,
        "details": 4,
        "qualities": 2,
    },
    "latent_prior": {"channels": 12, "layers": 1, "slices": [6, 6], "hidden": 8},
    "product": {"codebook_size": 16},
    "train": {
        "precision": "float32",
        "transform": {
            "steps": 30,
            "batch": 4,
            "crop": 64,
            "optimiser": "muon",
            "validate_every": 15,
        },
        "product": {
            "steps": 24,
            "batch": 4,
            "crop": 64,
            "optimiser": "muon",
            "average": 0.9,
            "validate_every": 12,
        },
    },
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for seed in range(5):
        photo(140, 120, seed=seed).save(pictures / f"{seed}.png")
    return pictures


def unheard(done: int) -> None: ...


class Silent:
    def start(self, stage: str, step: int, steps: int) -> None: ...
    def step(self, stage: str, step: int, metrics: dict[str, float]) -> None: ...
    def validation(self, stage: str, step: int, metrics: dict[str, float]) -> None: ...


def test_entropy_of_channels() -> None:
    latents = torch.tensor([[0.2, 0.0, -1.0], [0.1, 1.2, -1.0], [-0.3, 2.1, -1.0], [0.4, 3, -1.0]])
    assert channel_bits(latents).tolist() == [0.0, 2.0, 0.0]


def test_busy_channels_get_small_groups() -> None:
    entropies = torch.tensor([5.0, 0.5, 3.0, 2.5, 0.5, 0.0, 0.4, 0.6, 9.0])
    blocks = {block.shape[1]: block.tolist() for block in group(entropies, range(9), 6.0)}
    assert blocks == {1: [[8], [0]], 2: [[2, 3]], 4: [[7, 1, 4, 6]]}
    assert group(entropies, range(5, 6), 6.0) == []


def test_codewords_of_a_channel_begin_as_its_range_and_beyond() -> None:
    points = torch.tensor([[1.2], [0.9], [1.1], [2.8]])
    vectors, bits = start_cells(points, 255)
    assert vectors[:, 0].tolist() == [-4.0, -3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
    assert bits[[5, 7]].tolist() == pytest.approx([math.log2(4 / 3), 2.0])
    fewer, _ = start_cells(points, 5)
    assert fewer[:, 0].tolist() == [-1.0, 0.0, 1.0, 2.0, 3.0]
    narrow, sure = start_cells(torch.tensor([[0.0], [0.2], [0.3], [-0.1]]), 255)
    assert narrow[:, 0].tolist() == [-1.0, 0.0, 1.0]
    assert float(sure[1]) == 0.0


def test_blocks_have_groups_with_like_numbers_of_codewords() -> None:
    assert split([7, 255, 7, 9, 250]) == [[1, 4], [3, 0, 2]]
    assert split([100]) == [[0]]
    # A block of its own would take longer than what it saves.
    assert split([255, 200, 150]) == [[0, 1, 2]]


def test_groups_of_a_block_repeat_codewords_to_be_alike() -> None:
    torch.manual_seed(0)
    latents = torch.cat([2.0 * torch.randn(500, 1), 8.0 * torch.randn(500, 1)], dim=1)
    (block,) = start_codebooks(latents, (2,), 255, 1.0).blocks()
    assert block.channels.tolist() == [[1], [0]]
    wide, narrow = (len(set(v)) for v in block.vectors[:, :, 0].tolist())
    assert narrow < wide == block.vectors.shape[1]
    assert block.unigram[1, narrow:].min() > 24.0  # never chosen
    assert block.counts.tolist() == [wide, narrow]


def test_codewords_of_channels_together_begin_as_frequent_cells() -> None:
    points = torch.tensor([[0.2, 1.9], [0.4, 2.1], [-0.1, 1.8], [3.0, 4.0]])
    vectors, bits = start_cells(points, 16)
    assert vectors[:2].tolist() == [[0.0, 2.0], [3.0, 4.0]]
    assert bits[:2].tolist() == pytest.approx([math.log2(4 / 3), 2.0])
    alone = {tuple(row) for row in vectors[2:].tolist()}
    assert alone == {(1.0, 0.0), (-1.0, 0.0), (0.0, 1.0), (0.0, -1.0)}
    assert 2.0 < float(bits[2]) < 24.0


def padded(counts: list[int], size: int) -> Block:
    """Groups of one channel whose codewords after the given number only fill up."""
    torch.manual_seed(4)
    groups = len(counts)
    vectors = torch.randn(groups, size, 1)
    bias = -torch.rand(groups, size)
    channels = torch.arange(groups)[:, None]
    return Block(
        channels,
        vectors,
        bias,
        torch.asinh(vectors),
        torch.zeros(groups, size),
        torch.tensor(counts),
    )


def test_rates_know_nothing_of_what_fills_up() -> None:
    block = padded([3, 5, 8], 8)
    means, precisions = torch.randn(3, 6, 1), torch.rand(3, 6, 1)
    shares = torch.log_softmax(block.logits(means, precisions), dim=2)
    for g, count in enumerate([3, 5, 8]):
        alone = torch.log_softmax(block.logits(means, precisions)[g, :, :count], dim=1)
        assert torch.equal(shares[g, :, :count], alone)
        assert not shares[g, :, count:].exp().any()
    shares[:, :, 0].sum().backward()
    assert block.bias.grad is not None
    assert torch.equal(block.bias.grad == 0.0, block.padding)


@torch.no_grad()
def test_model_files_tell_what_fills_up() -> None:
    block = padded([3, 5, 8], 8)
    codebooks = Codebooks([[block]], torch.zeros(3))
    tensors = export(codebooks, (3,))
    for g, count in enumerate([3, 5, 8]):
        kept, filled = tensors["0.0.vectors"][g].split([count, 8 - count])
        assert bool((filled == kept[0]).all())
        assert int(tensors["0.0.bias"][g, :count].max()) == 0
        assert bool((tensors["0.0.bias"][g, count:] == -BIAS_MAX).all())
    again = next(reals(tensors, (3,)).blocks())
    assert again.counts.tolist() == [3, 5, 8]
    assert all(
        torch.equal(value, tensors[name])
        for name, value in export(Codebooks([[again]], torch.zeros(3)), (3,)).items()
    )


@torch.no_grad()
def test_biases_match_what_occurs() -> None:
    torch.manual_seed(0)
    block = Block(
        torch.tensor([[0]]),
        torch.tensor([[[-1.0], [0.0], [1.0]]]),
        torch.zeros(1, 3),
        torch.zeros(1, 3, 1),
        torch.zeros(1, 3),
    )
    indices = torch.tensor([[1] * 70 + [0] * 25 + [2] * 5])
    means, precisions = torch.zeros(1, 100, 1), torch.full((1, 100, 1), 0.3)
    match_marginals(block, indices, means, precisions)
    shares = torch.softmax(block.logits(means, precisions)[0, 0] * math.log(2.0), dim=0)
    assert shares.tolist() == pytest.approx([0.25, 0.7, 0.05], abs=0.01)


def test_precision_is_the_price_of_a_step() -> None:
    scales = torch.tensor([0.11, 0.3, 1.0, 2.99, 3.01, 40.0], dtype=torch.float64)
    normal = torch.distributions.Normal(0.0, scales)
    masses = [
        normal.cdf(torch.tensor(x + 0.5)) - normal.cdf(torch.tensor(x - 0.5)) for x in (0.0, -1.0)
    ]
    expected = torch.log2(masses[0] / masses[1])
    assert precision_of(scales[:5]).tolist() == pytest.approx(expected[:5].tolist(), rel=0.02)
    assert float(precision_of(scales[5:])) == pytest.approx(float(expected[5]), rel=0.02)


def test_quiet_channels_are_constant() -> None:
    torch.manual_seed(0)
    latents = torch.cat([torch.randn(500, 3), torch.full((500, 1), 2.25)], dim=1)
    codebooks = start_codebooks(latents, (2, 2), 16, 6.0)
    assert [c for b in codebooks.blocks() for c in b.channels.flatten().tolist()] == [0, 1, 2]
    assert codebooks.rest.tolist() == [0.0, 0.0, 0.0, 2.25]
    assert codebooks.groups == sum(block.groups for block in codebooks.blocks())


def test_training_lowers_rate_and_distortion(folder: Path, tmp_path: Path) -> None:
    recipe = from_table(PhotoRecipe, RECIPE)
    paths = find_pictures(folder)
    pictures = Pictures(paths, recipe.data)
    first = TransformStage(recipe, pictures, paths[:2], CPU)
    cache = tmp_path / "codebooks.safetensors"
    settings = recipe.train.product
    codebooks = start_all(recipe, settings, first.medium, None, cache, unheard)
    again = start_all(recipe, settings, first.medium, None, cache, unheard)
    for one, other in zip(codebooks, again, strict=True):
        assert one.state_dict().keys() == other.state_dict().keys()
    stage = ProductStage(recipe, settings, first.medium, codebooks, CPU)
    before = stage.validate()
    optimiser = torch.optim.Adam(stage.module.parameters(), lr=3e-4)
    for step in range(20):
        loss, metrics = stage.loss(stage.batch(step), step)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        assert math.isfinite(metrics["psnr"])
    for name, parameter in stage.module.networks.named_parameters():
        trains = not name.startswith(("analysis", "gains"))
        assert (parameter.grad is not None) == trains
    assert stage.validate()["loss"] < before["loss"]


@pytest.mark.parametrize("goes_on", [False, True])
def test_codebooks_may_begin_finer(folder: Path, tmp_path: Path, goes_on: bool) -> None:
    """Those of both kinds of beginning, at the second quality alone."""
    recipe = from_table(PhotoRecipe, RECIPE)
    paths = find_pictures(folder)
    medium = TransformStage(recipe, Pictures(paths, recipe.data), paths[:2], CPU).medium
    settings = recipe.train.product
    plain = start_all(recipe, settings, medium, None, tmp_path / "plain", unheard)
    fine = replace(settings, fine=FineCells(channels=3, spacing=0.5, lowest=2))
    given = plain if goes_on else None
    codebooks = start_all(recipe, fine, medium, given, tmp_path / "fine", unheard)
    before, after = ([_codewords(books) for books in all_] for all_ in (plain, codebooks))
    assert after[0] == before[0]
    assert len(after[1]) == len(before[1])
    assert sum(after[1]) > sum(before[1]) + 10
    # What codewords cost without context is known of them all.
    assert all((block.unigram.amax(1) > 0.0).all() for block in codebooks[1].blocks())


def _codewords(books: Codebooks) -> list[int]:
    return [count for block in books.blocks() for count in block.counts.tolist()]


def test_unigram_prices_steer_the_first_assignment() -> None:
    block = Block(
        torch.tensor([[0]]),
        torch.tensor([[[0.0], [1.0]]]),
        torch.zeros(1, 2),
        torch.zeros(1, 2, 1),
        torch.tensor([[0.0, 40.0]]),
    )
    assert cheapest(block, torch.tensor([[1.0]]), 8.0).tolist() == [[0]]


def test_a_whole_run_makes_a_model(folder: Path, tmp_path: Path) -> None:
    recipe = from_table(PhotoRecipe, RECIPE)
    out = tmp_path / "tiny.safetensors"
    arguments = {"data": folder, "out": out, "run": tmp_path / "run", "device": CPU}
    train(recipe, resume=False, reporter=Silent(), **arguments)  # type: ignore[arg-type]
    first = out.read_bytes()
    # Everything is there already: resuming writes the same model.
    train(recipe, resume=True, reporter=Silent(), **arguments)  # type: ignore[arg-type]
    assert out.read_bytes() == first
    model = vqcodec.load_model(out, device="cpu")
    assert isinstance(model, Photo)
    assert model.qualities == 2
    image = photo(140, 120, seed=9)
    data = vqcodec.compress(image, model=model, quality=2)
    assert vqcodec.decompress(data, model=model).size == image.size
    rows = [json.loads(row) for row in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert {row["stage"] for row in rows} == {"transform", "product"}
    last = rows[-1]
    assert last["integer1"] == pytest.approx(last["bpp1"], rel=0.2)


def test_training_goes_on_from_a_model(
    folder: Path, tmp_path: Path, photo_data: bytes, photo_like: Photo
) -> None:
    parts = read_photo(photo_data)
    again = write_photo(parts, name="random-photo", licence="CC0-1.0", description="random")
    assert read_tensors(again).keys() == read_tensors(photo_data).keys()
    for key, tensor in read_tensors(photo_data).items():
        assert np.allclose(read_tensors(again)[key], tensor, rtol=0.0, atol=1e-6), key

    start = tmp_path / "start.safetensors"
    start.write_bytes(photo_data)
    table = RECIPE | {
        "start": str(start),
        "transform": asdict(TRANSFORM) | {"widths": [8, 12, 16], "depths": [1, 1, 1]},
        "latent_prior": asdict(LATENT_PRIOR) | {"slices": [8, 8, 8]},
        "product": {"codebook_size": 32},
    }
    recipe = from_table(PhotoRecipe, table)
    out = tmp_path / "more.safetensors"
    arguments = {"data": folder, "out": out, "run": tmp_path / "run", "device": CPU}
    train(recipe, resume=False, reporter=Silent(), **arguments)  # type: ignore[arg-type]
    model = vqcodec.load_model(out, device="cpu")
    assert [model.groups(q) for q in (1, 2, 3)] == [photo_like.groups(q) for q in (1, 2, 3)]
    other = from_table(PhotoRecipe, RECIPE | {"start": str(start)})
    with pytest.raises(ValueError, match="another architecture"):
        train(other, resume=False, reporter=Silent(), **arguments)  # type: ignore[arg-type]


def test_recipes_say_what_is_wrong() -> None:
    for change, key in (
        ({"name": "Not so"}, "name"),
        ({"transform": {"latents": 13, "details": 4}}, "slices"),
        ({"product": {"codebook_size": 1}}, "codebook_size"),
        ({"train": {"transform": {"steps": 1, "crop": 60}, "product": {"steps": 1}}}, "crop"),
    ):
        with pytest.raises(ValueError, match=key):
            from_table(PhotoRecipe, RECIPE | change)


def test_configurations_have_bounds() -> None:
    with pytest.raises(ValueError, match="qualities"):
        TransformConfig(qualities=0)
    with pytest.raises(ValueError, match="slices"):
        LatentPriorConfig(slices=())
