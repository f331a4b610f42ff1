from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from vqcodec.training import index_cache
from vqcodec.training.index_cache import Indices, cached_indices, origin_of


class Maker:
    """Makes indices, and counts how often."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> dict[str, Indices]:
        self.count += 1
        return {"a": np.full((2, 3), self.count, np.uint16), "b": np.arange(4, dtype=np.uint16)}


def test_indices_are_made_once_for_an_origin(tmp_path: Path) -> None:
    cache, make = tmp_path / "indices.safetensors", Maker()
    made, known = cached_indices(cache, "one", make, "pictures")
    assert (known, make.count) == (False, 1)
    kept, known = cached_indices(cache, "one", make, "pictures")
    assert (known, make.count) == (True, 1)
    assert {name: grid.tolist() for name, grid in kept.items()} == {
        name: grid.tolist() for name, grid in made.items()
    }
    other, known = cached_indices(cache, "two", make, "pictures")
    assert (known, make.count) == (False, 2)
    assert other["a"].tolist() == [[2, 2, 2], [2, 2, 2]]


def test_a_process_does_not_take_indices_of_another_origin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache, make = tmp_path / "indices.safetensors", Maker()
    cached_indices(cache, "one", make, "recordings")
    monkeypatch.setattr(index_cache, "rank", lambda: 1)
    with pytest.raises(ValueError, match="the same recordings"):
        cached_indices(cache, "two", make, "recordings")
    assert make.count == 1


def test_an_origin_is_of_names_weights_and_the_way() -> None:
    torch.manual_seed(0)
    network, other = nn.Linear(2, 2), nn.Linear(2, 2)
    paths = [Path("x/a.png"), Path("x/b.png")]
    origin = origin_of(paths, [network])
    assert origin == origin_of([Path("y/a.png"), Path("y/b.png")], [network])
    different = (
        origin_of(paths[:1], [network]),
        origin_of(paths[::-1], [network]),
        origin_of(paths, [other]),
        origin_of(paths, [network], how="2"),
    )
    assert len({origin, *different}) == 5
