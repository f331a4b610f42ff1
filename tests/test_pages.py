"""Drawn pages, and the fonts they are written in."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from vqcodec.training.canvas import BLACK, Canvas, find_fonts
from vqcodec.training.pages import page

OWN = [""]
"""The font that Pillow brings, alone."""


def pages(count: int, side: int = 96) -> list[np.ndarray]:
    return [page(np.random.default_rng([5, number]), side, OWN) for number in range(count)]


@pytest.mark.parametrize("side", [16, 100, 192])
def test_pages_have_the_side_asked_for(side: int) -> None:
    for drawn in pages(30, side):
        assert drawn.shape == (side, side, 3)
        assert drawn.dtype == np.uint8


def test_the_same_draws_give_the_same_page() -> None:
    for first, second in zip(pages(20), pages(20), strict=True):
        assert np.array_equal(first, second)


def test_pages_differ() -> None:
    assert len({drawn.tobytes() for drawn in pages(40)}) == 40
    assert len({(drawn == 255).all(2).mean() for drawn in pages(40)}) > 20


def test_white_stays_255() -> None:
    """Most pages are mainly paper, and paper has one colour, whatever was scaled down."""
    shares = []
    for drawn in pages(60):
        colours, counts = np.unique(drawn.reshape(-1, 3), axis=0, return_counts=True)
        most = colours[counts.argmax()]
        if most.min() > 250:
            assert most.tolist() == [255, 255, 255]
            shares.append(counts.max() / counts.sum())
    assert len(shares) > 20
    assert np.median(shares) > 0.5


@pytest.mark.parametrize(("unit", "smoothed"), [(1, True), (3, False)])
def test_nothing_is_smoothed_twice(unit: int, smoothed: bool) -> None:
    canvas = Canvas(np.random.default_rng(0), 90 * unit, unit, OWN)
    canvas.draw.text((3, 3), "glass", BLACK, canvas.font(20, 21))
    canvas.draw.ellipse((10, 40, 60, 80), outline=BLACK, width=unit)
    levels = np.unique(np.asarray(canvas.image))
    assert (len(levels) > 2) == smoothed
    assert {0, 255} <= set(levels.tolist())


def test_fonts_of_the_system_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    folder = tmp_path / ".local/share/fonts"
    folder.mkdir(parents=True)
    (folder / "broken.ttf").write_bytes(b"no font")
    fonts = find_fonts()
    assert fonts[0] == ""
    assert not any("broken" in font for font in fonts)
    assert fonts == find_fonts()
