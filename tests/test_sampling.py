"""Samples of priors: the same for a seed everywhere, and as likely as the tables say."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from conftest import Run, one_line_error, photo
from PIL import Image

import vqcodec
from vqcodec.codec.sampling import SEED_MAX, TEMPERATURES, sample_grids
from vqcodec.codec.transform import measure_pixels
from vqcodec.entropy.sampler import UNKNOWN, Sampler
from vqcodec.entropy.tables import TOTAL
from vqcodec.image.sampling import sheet
from vqcodec.models.photo import Photo
from vqcodec.models.vqvae import VqVae


def tables(frequencies: Sequence[Sequence[int]]) -> np.ndarray:
    return np.array(frequencies, dtype=np.float64) - 1.0


def test_symbols_are_drawn_as_often_as_tables_say() -> None:
    parts = [1, 3 << 20, TOTAL - (3 << 20) - (1 << 22) - 1, 1 << 22]
    drawn = Sampler(3).code(tables([parts] * 20000), np.full(20000, UNKNOWN, dtype=np.int32))
    counts = np.bincount(drawn, minlength=4)
    expected = 20000 * np.array(parts) / TOTAL
    assert counts[0] == 0  # once in 2^24
    assert np.all(np.abs(counts - expected) <= 4 * np.sqrt(expected))


def test_each_bound_of_a_table_belongs_to_one_symbol() -> None:
    class Bits:
        def __init__(self, *values: int) -> None:
            self._values = np.array(values, dtype=np.uint64) << np.uint64(40)

        def random_raw(self, count: int) -> np.ndarray:
            return self._values[:count]

    ends = [0, 4, 5, TOTAL]
    sampler = Sampler(0)
    sampler._bits = Bits(0, 3, 4, 5, TOTAL - 1)  # type: ignore[assignment]
    drawn = sampler.code(tables([np.diff(ends)] * 5), np.full(5, UNKNOWN, dtype=np.int32))
    assert drawn.tolist() == [0, 0, 1, 2, 2]


def test_known_symbols_are_kept_and_take_no_bits() -> None:
    even = tables([[TOTAL // 4] * 4] * 6)
    some = np.array([UNKNOWN, 3, 3, UNKNOWN, UNKNOWN, 0], dtype=np.int32)
    free = np.full(3, UNKNOWN, dtype=np.int32)
    drawn = Sampler(5).code(even, some)
    assert drawn[[1, 2, 5]].tolist() == [3, 3, 0]
    assert np.array_equal(drawn[[0, 3, 4]], Sampler(5).code(even[:3], free))


def digest(grids: Sequence[np.ndarray]) -> str:
    return hashlib.sha256(np.stack(grids).astype("<i4").tobytes()).hexdigest()[:8]


@pytest.mark.usefixtures("level")
def test_a_seed_draws_the_same_everywhere(model: VqVae, photo_like: Photo) -> None:
    drawn = [
        digest(sample_grids(prior, (5, 7), count=2, seed=7))
        for prior in (model.prior, photo_like.prior_of(2))
    ]
    assert drawn == ["33e9593f", "5db53ac0"]


def test_samples_do_not_depend_on_their_number(photo_like: Photo) -> None:
    prior = photo_like.prior_of(3)
    many = sample_grids(prior, (4, 6), count=5, seed=1)
    few = sample_grids(prior, (4, 6), count=2, seed=1)
    assert all(map(np.array_equal, few, many))
    assert len({grid.tobytes() for grid in many}) == 5
    other = sample_grids(prior, (4, 6), count=1, seed=2)[0]
    assert not np.array_equal(other, many[0])


def test_samples_of_a_cold_prior_are_alike(model: VqVae) -> None:
    least, most = TEMPERATURES
    cold = sample_grids(model.prior, (4, 6), count=4, seed=1, temperature=least)
    warm = sample_grids(model.prior, (4, 6), count=4, seed=1, temperature=most)
    assert len({grid.tobytes() for grid in warm}) == 4
    assert len({grid.tobytes() for grid in cold}) < 4  # logits that are equal stay equal
    assert len(np.unique(cold)) < len(np.unique(warm))


@pytest.mark.parametrize(
    "wrong",
    [{"count": 0}, {"seed": -1}, {"seed": SEED_MAX + 1}, {"temperature": 0.0}]
    + [{"temperature": number} for number in (-1.0, float("nan"), float("inf"))],
)
def test_wrong_numbers(model: VqVae, wrong: dict[str, float]) -> None:
    arguments = {"count": 1, "seed": 0, **wrong}
    with pytest.raises(ValueError, match=next(iter(wrong)) if "count" not in wrong else "samples"):
        sample_grids(model.prior, (2, 2), **arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [(128, 128), (1, 1), (37, 50)])
def test_pictures_have_the_size_asked_for(photo_like: Photo, size: tuple[int, int]) -> None:
    (drawn,) = vqcodec.sample(photo_like, size=size, seed=3)
    assert drawn.size == size
    assert drawn.mode == "RGB"
    assert len(np.unique(np.asarray(drawn))) > 1


def test_samples_go_on_where_a_picture_ends(photo_like: Photo) -> None:
    picture = photo(80, 100)
    pixels = np.asarray(picture)
    grid = photo_like.nearest(measure_pixels(photo_like, pixels), 2)
    known = grid.copy()
    known[3:] = UNKNOWN
    drawn = sample_grids(photo_like.prior_of(2), grid.shape[:2], count=2, seed=0, known=known)
    assert all(np.array_equal(one[:3], grid[:3]) for one in drawn)
    assert not np.array_equal(drawn[0][3:], drawn[1][3:])
    (half,) = vqcodec.sample(photo_like, like=picture, quality=2)
    assert half.size == picture.size
    (whole,) = vqcodec.sample(photo_like, like=picture, rows=len(grid), quality=2)
    (none,) = vqcodec.sample(photo_like, like=picture, rows=0, quality=2)
    (free,) = vqcodec.sample(photo_like, size=picture.size, quality=2)
    assert none.tobytes() == free.tobytes() != half.tobytes() != whole.tobytes()


def test_arguments_that_cannot_be(photo_like: Photo) -> None:
    picture = photo(32, 32)
    for match, wrong in [
        ("have the size", {"like": picture, "size": (32, 32)}),
        ("none is given", {"rows": 2}),
        ("rows is 3, not 0 to 2", {"like": picture, "rows": 3}),
        ("rows is -1", {"like": picture, "rows": -1}),
        ("0x5 pixels", {"size": (0, 5)}),
        ("the limit", {"size": (64, 64), "count": 3, "max_pixels": 8192}),
        ("quality", {"quality": 9.0}),
    ]:
        with pytest.raises(ValueError, match=match):
            vqcodec.sample(photo_like, **wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("count", "size"), [(1, (9, 7)), (2, (20, 7)), (4, (20, 16)), (5, (31, 16))]
)
def test_a_sheet_has_every_picture_once(count: int, size: tuple[int, int]) -> None:
    colours = [(40 * number, 0, 0) for number in range(count)]
    whole = sheet([Image.new("RGB", (9, 7), colour) for colour in colours])
    assert whole.size == size
    found = {colour: number for number, colour in whole.getcolors() or []}
    assert [found[colour] for colour in colours] == [9 * 7] * count


@pytest.mark.usefixtures("installed")
def test_command(run: Run) -> None:
    line = ["sample", "random", "-n", "3", "--size", "32x24", "--seed", "7", "-o"]
    assert run(*line, "a.png").code == 0
    assert Image.open("a.png").size == (66, 50)
    assert run(*line, "b.png", "--threads", "1").code == 0
    assert Path("b.png").read_bytes() == Path("a.png").read_bytes()
    before = Path("a.png").read_bytes()
    refused = run(*line, "a.png", "--temperature", "2")
    assert "a.png" in one_line_error(refused, 1)
    assert Path("a.png").read_bytes() == before
    assert run(*line, "a.png", "--temperature", "2", "-f").code == 0
    assert Path("a.png").read_bytes() != before


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    "line",
    [
        ("random", "--size", "32", "-o", "a.png"),
        ("random", "--size", "0x32", "-o", "a.png"),
        ("random", "-o", "a.xyz"),
        ("random", "--like", "none.png", "-o", "a.png"),
        ("random", "--rows", "1", "-o", "a.png"),
        ("random", "-q", "2", "-o", "a.png"),
        ("absent", "-o", "a.png"),
        ("random",),
    ],
)
def test_wrong_commands_are_one_line(run: Run, line: tuple[str, ...]) -> None:
    result = run("sample", *line)
    one_line_error(result, 1 if "absent" in line else 2)
    assert not Path("a.png").exists()
