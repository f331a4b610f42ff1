"""Finer cells of the channels that vary most."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from vqcodec.networks.product import Codebooks
from vqcodec.training.cells import start_codebooks
from vqcodec.training.config import FineCells
from vqcodec.training.fine import finer, spacings

SETTINGS = FineCells(channels=2, spacing=0.75, lowest=2, least=0.25)


def codebooks() -> Codebooks:
    """Codebooks of six channels: one that varies much, four a little, one not at all."""
    generator = torch.Generator().manual_seed(0)
    deviations = torch.tensor([6.0, 0.3, 1.5, 0.3, 0.3, 0.0])
    latents = torch.randn(4000, 6, generator=generator) * deviations
    return start_codebooks(latents, (3, 3), 64, group_bits=3.0)


def test_the_channels_that_vary_most_are_finer() -> None:
    gains = torch.tensor([1.0, 2.0, 4.0])[:, None].repeat(1, 5)
    deviations = torch.tensor([1.0, 9.0, 2.0, 3.0, 0.1])
    found = spacings(SETTINGS, gains, deviations)
    assert found[0].tolist() == [1.0] * 5
    assert found[1:].tolist() == [[1.0, 0.75, 1.0, 0.75, 1.0]] * 2


def test_channels_are_finer_by_what_their_gains_lack() -> None:
    gains = torch.tensor([1.0, 2.0, 4.0])[:, None].repeat(1, 5)
    gains[2, 1] = 2.0  # has not grown, where others doubled
    gains[2, 3] = 0.1
    found = spacings(SETTINGS, gains, torch.tensor([9.0, 20.0, 0.0, 900.0, 0.0]))
    assert found[2].tolist() == [1.0, 0.375, 1.0, 0.25, 1.0]


def test_finer_codewords_cover_the_same_range() -> None:
    before = codebooks()
    spacing = torch.tensor([0.375, 1.0, 0.75, 0.5, 1.0, 1.0])
    after = finer(before, spacing)
    assert after.groups == before.groups
    for old, new in zip(_groups(before), _groups(after), strict=True):
        channels, vectors, bias, _ = new
        assert channels == old[0]
        if len(channels) > 1 or spacing[channels[0]] == 1.0:
            assert all(np.array_equal(a, b) for a, b in zip(old[1:], new[1:], strict=True))
            continue
        unit = float(spacing[channels[0]])
        assert np.allclose(np.diff(vectors[:, 0]), unit)
        assert old[1].min() <= vectors.min() < old[1].min() + unit
        assert old[1].max() >= vectors.max() > old[1].max() - unit
        # What lies on both grids is as it was.
        both = np.isin(vectors[:, 0], old[1][:, 0])
        assert both.any()
        order = np.argsort(old[1][:, 0])
        own = np.interp(vectors[both, 0], old[1][order, 0], old[2][order])
        assert np.allclose(bias[both], own)


def test_finer_codebooks_round_better() -> None:
    latents = 6.0 * torch.randn(500, 6, generator=torch.Generator().manual_seed(1))
    before = codebooks()
    after = finer(before, torch.full((6,), 0.25))
    errors = [
        float((_rounded(books, latents) - latents)[:, 0].square().mean())
        for books in (before, after)
    ]
    assert errors[1] == pytest.approx(errors[0] / 16.0, rel=0.2)


@pytest.mark.parametrize(
    "wrong", [{"channels": -1}, {"spacing": 1.5}, {"least": 0.9, "spacing": 0.5}, {"lowest": 0}]
)
def test_settings_have_bounds(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"train\.product\.fine"):
        FineCells(**wrong)  # type: ignore[arg-type]


def _groups(books: Codebooks) -> list[tuple[list[int], np.ndarray, np.ndarray, np.ndarray]]:
    """Every group's channels and tables, ordered by channels."""
    found = []
    for block in books.blocks():
        for number, count in enumerate(block.counts.tolist()):
            tables = (block.vectors, block.bias, block.embedding)
            own = [table[number, :count].detach().numpy() for table in tables]
            found.append((block.channels[number].tolist(), own[0], own[1], own[2]))
    return sorted(found, key=lambda group: group[0])


def _rounded(books: Codebooks, latents: torch.Tensor) -> torch.Tensor:
    parts = []
    for block in books.blocks():
        picked = block.distances(block.of(latents)).argmin(2)
        parts.append(torch.take_along_dim(block.vectors, picked[:, :, None], dim=1))
    return books.place(parts, books.rest.expand(len(latents), -1)).detach()
