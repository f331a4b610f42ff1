"""Literal tiles: pixels that are stored exactly, of whole files and of parts of them."""

from __future__ import annotations

import math
from dataclasses import replace
from decimal import Decimal, localcontext
from pathlib import Path

import numpy as np
import pytest
from conftest import Result, Run, one_line_error, photo
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

import vqcodec
from vqcodec.codec import loading
from vqcodec.codec.search import Wish
from vqcodec.codec.transform import decode_indices
from vqcodec.container import Header, Mode, parse, serialise, spans
from vqcodec.errors import CorruptError, VerificationError
from vqcodec.grid import Box, whole
from vqcodec.image import choosing, pipeline
from vqcodec.image.picture import Picture
from vqcodec.literal import logistic, portable
from vqcodec.literal.pixels import decode_pixels, encode_pixels
from vqcodec.models.photo import Photo
from vqcodec.models.vqvae import VqVae
from vqcodec.prior import kernel

Pixels = NDArray[np.uint8]


def page(width: int, height: int, seed: int = 0) -> Pixels:
    """Figures of five colours that come again, on white."""
    rng = np.random.default_rng(seed)
    figures = rng.integers(0, 256, (5, 3), dtype=np.uint8)[rng.integers(0, 5, (6, 7, 5))]
    pixels = np.full((height, width, 3), 255, dtype=np.uint8)
    for y in range(2, height - 7, 10):
        for x in range(2, width - 5, 8):
            pixels[y : y + 7, x : x + 5] = figures[rng.integers(6)]
    return pixels


def half_a_photo(width: int, height: int) -> Pixels:
    """A page whose right half is a photograph."""
    pixels = page(width, height)
    pixels[:, width // 2 :] = np.asarray(photo(width - width // 2, height))
    return pixels


# ---- the coding of a tile -----------------------------------------------------------------


@st.composite
def tiles(draw: st.DrawFn) -> Pixels:
    """Tiles of few colours or many, smooth or not."""
    rng = np.random.default_rng(draw(st.integers(0, 1 << 32)))
    height, width = draw(st.integers(1, 24)), draw(st.integers(1, 24))
    most = draw(st.sampled_from([1, 2, 4, 30, 256]))
    pixels = rng.integers(0, most, (height, width, 3))
    if draw(st.booleans()):
        pixels = np.cumsum(pixels, axis=draw(st.integers(0, 1)))
    return (pixels + draw(st.integers(0, 255))).astype(np.uint8)


@given(tiles())
@pytest.mark.parametrize("level", ["fastest", kernel.NUMPY])
def test_every_tile_comes_back(level: str, pixels: Pixels) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(kernel.VARIABLE, "" if level == "fastest" else level)
        stream, out = encode_pixels(pixels), np.empty_like(pixels)
        decode_pixels(stream, out)
    assert np.array_equal(out, pixels)


@pytest.mark.skipif(kernel.level() == kernel.NUMPY, reason="the kernel was not built")
@given(tiles())
def test_python_writes_the_kernels_stream(pixels: Pixels) -> None:
    stream = encode_pixels(pixels)
    assert portable.encode(pixels) == stream
    assert np.array_equal(portable.decode(stream, pixels.shape[:2]), pixels)


@given(st.data())
def test_changed_streams_are_refused(data: st.DataObject) -> None:
    """There is one stream for given pixels: another one that were taken would be a second."""
    pixels = page(30, 22)
    stream = bytearray(encode_pixels(pixels))
    if data.draw(st.booleans()):
        stream[data.draw(st.integers(0, len(stream) - 1))] ^= data.draw(st.integers(1, 255))
    else:
        stream = bytearray(data.draw(st.binary(max_size=64)))
    out = np.empty_like(pixels)
    try:
        decode_pixels(bytes(stream), out)
    except CorruptError:
        return
    assert encode_pixels(out) == stream


@pytest.mark.usefixtures("level")
def test_a_stream_that_ends_early_is_refused_early() -> None:
    """What is asked for is 64 million pixels; without an end to the reading this takes minutes."""
    with pytest.raises(CorruptError):
        decode_pixels(np.random.default_rng(0).bytes(400), np.empty((8000, 8000, 3), np.uint8))


def test_tables_are_those_of_exact_arithmetic() -> None:
    """And no entry is so near to the next that a library's last bits decide it."""
    half, margin = Decimal("0.5"), Decimal("1e-5")
    with localcontext() as context:
        context.prec = 40
        logits = [256 * (Decimal(2 * i + 1) / (8191 - 2 * i)).ln() + half for i in range(4096)]
        chances = [65536 / (1 + (-Decimal(x) / 256).exp()) + half for x in range(-3072, 3072)]
    for exact, table in ((logits, logistic.stretch()), (chances, logistic.squash())):
        assert all(margin < value - math.floor(value) < 1 - margin for value in exact)
        floors = [math.floor(value) for value in exact]
        least, most = (1, 65535) if exact is chances else (-(1 << 20), 1 << 20)
        assert np.array_equal(np.clip(floors, least, most), table)


@pytest.mark.parametrize("kind", ["dithered", "checkered", "sixteen greys"])
def test_pictures_of_few_colours_are_stored_exactly_by_themselves(kind: str) -> None:
    """Though hardly a pixel is like the one before."""
    picture = {
        "dithered": photo(96, 80).convert("1"),
        "checkered": Image.fromarray((np.indices((80, 96)).sum(0) % 2 * 255).astype(np.uint8)),
        "sixteen greys": Image.fromarray((np.arange(7680).reshape(80, 96) % 16 * 17).astype("u1")),
    }[kind]
    data = vqcodec.compress(picture.convert("RGB"))
    assert len(data) < 80 * 96 // 4
    assert np.array_equal(np.asarray(vqcodec.decompress(data)), np.asarray(picture.convert("RGB")))


def test_flat_tiles_cost_next_to_nothing() -> None:
    assert len(encode_pixels(np.full((1000, 1000, 3), 200, dtype=np.uint8))) <= 32


# ---- lossless files -----------------------------------------------------------------------


@pytest.fixture
def no_models(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make looking for a model an error."""

    def refuse(*arguments: object, **options: object) -> None:
        raise AssertionError("a model was asked for")

    for name in ("load_model", "find_by_prefix"):
        monkeypatch.setattr(loading, name, refuse)


@pytest.mark.usefixtures("no_models")
@pytest.mark.parametrize("make", [page, lambda w, h: np.asarray(photo(w, h))])
@pytest.mark.parametrize("size", [(1, 1), (3, 200), (200, 3), (133, 70)])
def test_lossless_keeps_every_pixel_without_a_model(make, size) -> None:  # type: ignore[no-untyped-def]
    pixels = make(*size)
    data = vqcodec.compress(pixels, lossless=True)
    header = parse(data).header
    assert (header.mode, header.model, header.quality) == (Mode.LITERAL, bytes(8), 0)
    assert np.array_equal(np.asarray(vqcodec.decompress(data)), pixels)
    for grid in (vqcodec.indices(data), vqcodec.verify(data)):
        assert grid.shape == (*header.grid, 0)
    found = vqcodec.inspect(data)
    assert found.literal_tiles == found.tiles
    assert found.model_name is None


@pytest.mark.usefixtures("no_models")
def test_lossless_keeps_alpha_and_what_it_hides() -> None:
    pixels = np.dstack([page(40, 30), np.asarray(photo(40, 30).convert("L"))])
    pixels[:10, :, 3] = 0
    data = vqcodec.compress(Image.fromarray(pixels), lossless=True)
    assert np.array_equal(np.asarray(vqcodec.decompress(data)), pixels)


@pytest.mark.usefixtures("no_models")
@pytest.mark.parametrize("crop", [(0, 0, 1, 1), (10, 17, 40, 30), (89, 59, 1, 1), (15, 0, 2, 60)])
def test_a_crop_of_tiles_is_exact(
    crop: tuple[int, int, int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choosing, "_LITERAL_TILE_LOG2", 4)
    monkeypatch.setattr(choosing, "_FLAT_STRIDE_LOG2", 0)
    pixels = page(90, 60)
    data = vqcodec.compress(pixels, lossless=True)
    assert parse(data).header.tile_count == 24
    x, y, width, height = crop
    part = np.asarray(vqcodec.decompress(data, crop=crop))
    assert np.array_equal(part, pixels[y : y + height, x : x + width])


@pytest.mark.usefixtures("no_models")
def test_a_damaged_literal_tile_is_lost_as_others_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choosing, "_LITERAL_TILE_LOG2", 5)
    monkeypatch.setattr(choosing, "_FLAT_STRIDE_LOG2", 0)
    pixels = page(90, 60)
    container = parse(vqcodec.compress(pixels, lossless=True))
    streams = [*container.tiles]
    streams[4] = streams[4][:-4] + b"ends"  # its checksum will hold, but no encoder writes it
    data = bytearray(serialise(replace(container, tiles=tuple(streams))))
    first = next(span for span in spans(parse(bytes(data))) if span.name == "tile 1")
    data[first.offset] ^= 1
    found = vqcodec.salvage(bytes(data))
    assert [tile.number for tile in found.lost] == [1, 4]
    for tile in found.lost:
        x, y, width, height = tile.box
        pixels[y : y + height, x : x + width] = 128
    assert np.array_equal(np.asarray(found.image), pixels)


def test_progress_of_lossless_files_ends_with_one() -> None:
    told: list[float] = []
    data = vqcodec.compress(page(90, 60), lossless=True, progress=told.append)
    assert told[-1] == 1.0
    vqcodec.decompress(data, progress=told.append)
    assert told[-1] == 1.0


@pytest.mark.parametrize("other", [{"quality": 5}, {"target_size": 99}, {"target_psnr": 40}])
def test_lossless_excludes_other_wishes(other: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="lossless"):
        vqcodec.compress(page(8, 8), lossless=True, **other)  # type: ignore[arg-type]


def test_headers_of_literal_files_name_no_model() -> None:
    common = {"shape": (1, 1), "tile_log2": 4, "stride_log2": 0}
    for wrong in ({"model": b"somebody"}, {"model": bytes(8), "quality": 1}):
        with pytest.raises(CorruptError):
            Header(mode=Mode.LITERAL, **common, **wrong)  # type: ignore[arg-type]


# ---- chosen where it is smaller -----------------------------------------------------------


@pytest.fixture
def small_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make tiles of 16 positions, so that small pictures have several."""
    monkeypatch.setattr(pipeline, "TILE_LOG2", 4)


def test_a_page_is_stored_exactly_where_that_is_smaller(photo_like: Photo) -> None:
    pixels = page(300, 200)
    data = vqcodec.compress(pixels, model=photo_like, quality=3)
    assert np.array_equal(np.asarray(vqcodec.decompress(data)), pixels)


def test_pixels_of_photographs_are_not_coded(
    photo_like: Photo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choosing, "encode_literal", None)
    data = vqcodec.compress(photo(300, 200), model=photo_like)
    assert parse(data).header.mode is Mode.PRIOR


def test_fixed_length_stays_what_it_is(photo_like: Photo) -> None:
    data = vqcodec.compress(page(300, 200), model=photo_like, prior=False)
    assert parse(data).header.mode is Mode.FIXED


@pytest.mark.usefixtures("small_tiles")
@pytest.mark.parametrize("quality", [1, 2, 3])
@pytest.mark.parametrize("make", [page, half_a_photo])
def test_no_file_is_larger_than_the_best_of_both(
    make, quality: int, photo_like: Photo, monkeypatch: pytest.MonkeyPatch
) -> None:  # type: ignore[no-untyped-def]
    pixels = make(600, 300)
    chosen = len(vqcodec.compress(pixels, model=photo_like, quality=quality))
    exact = len(vqcodec.compress(pixels, lossless=True))
    monkeypatch.setattr(choosing, "_WORTH_TILES", 2)
    assert chosen <= min(exact, len(vqcodec.compress(pixels, model=photo_like, quality=quality)))


@pytest.fixture
def mixed(small_tiles: None, model: VqVae) -> tuple[Pixels, bytes]:
    """A picture whose left part is ruled paper, and a file of it with literal tiles there."""
    pixels = half_a_photo(260, 130)
    pixels[:, :130] = 255
    pixels[::9, :130] = 40, 90, 200
    data = vqcodec.compress(pixels, model=model)
    assert parse(data).header.mode is Mode.MIXED
    return pixels, data


def literal_boxes(data: bytes) -> list[Box]:
    container = parse(data)
    header = container.header
    boxes = zip(header.tiles(), container.tiles, strict=True)
    return [header.elements_of(box) for box, tile in boxes if tile[0] == 1]


def test_mixed_files_show_what_their_tiles_hold(mixed: tuple[Pixels, bytes], model: VqVae) -> None:
    pixels, data = mixed
    shown = np.asarray(vqcodec.decompress(data, model=model))
    literal = literal_boxes(data)
    assert vqcodec.inspect(data).literal_tiles == len(literal)
    drawn = decode_indices(model, vqcodec.indices(data, model=model), 0)[:130, :260].copy()
    assert 0 < len(literal) < parse(data).header.tile_count
    for box in literal:
        assert np.array_equal(shown[box], pixels[box])
        drawn[box] = pixels[box]
    assert np.abs(shown.astype(int) - drawn).max() <= 1
    assert np.array_equal(vqcodec.verify(data, model=model), vqcodec.indices(data, model=model))


def test_crops_of_mixed_files_are_parts_of_the_whole(
    mixed: tuple[Pixels, bytes], model: VqVae
) -> None:
    _, data = mixed
    whole = np.asarray(vqcodec.decompress(data, model=model)).astype(int)
    rng = np.random.default_rng(0)
    corners = zip(rng.integers(0, 260, 12), rng.integers(0, 130, 12), strict=True)
    crops = [(x, y, 1 + rng.integers(260 - x), 1 + rng.integers(130 - y)) for x, y in corners]
    for x, y, width, height in [*crops, (0, 0, 3, 3), (127, 60, 8, 8)]:
        told: list[float] = []
        part = vqcodec.decompress(
            data, model=model, crop=(x, y, width, height), progress=told.append
        )
        assert np.abs(np.asarray(part) - whole[y : y + height, x : x + width]).max() <= 1
        assert told[-1] == 1.0


def test_networks_see_the_nearest_indices_in_literal_tiles(small_tiles: None, model: VqVae) -> None:
    """Held against the words of the specification, position by position."""
    header = Header(
        mode=Mode.PRIOR, shape=(132, 144), model=bytes.fromhex(model.sha256)[:8],
        stride_log2=2, tile_log2=4,
    )  # fmt: skip
    rng = np.random.default_rng(0)
    for _ in range(6):
        grid = rng.integers(1, 24, (*header.grid, 1), dtype=np.int32)
        literal = {int(tile) for tile in np.flatnonzero(rng.random(header.tile_count) < 0.5)}
        owner = np.zeros(grid.shape[:2], dtype=int)
        for tile, box in enumerate(header.tiles()):
            owner[box] = tile
        seen = grid.copy()
        for tile in literal:
            seen[owner == tile] = 0
        choosing.continue_into_literal(
            seen, header, whole(header.grid), literal, {*range(header.tile_count)} - literal
        )
        for i, j in np.ndindex(*owner.shape):
            if owner[i, j] not in literal:
                continue
            best = (1 << 20, 0)
            for down, right in ((-1, 0), (1, 0), (0, -1), (0, 1)):
                steps, y, x = 0, i, j
                while 0 <= y < len(owner) and 0 <= x < owner.shape[1]:
                    if owner[y, x] != owner[i, j]:
                        if owner[y, x] not in literal and steps < best[0]:
                            best = (steps, int(grid[y, x, 0]))
                        break
                    steps, y, x = steps + 1, y + down, x + right
            assert seen[i, j, 0] == best[1]


def test_salvage_of_mixed_files(mixed: tuple[Pixels, bytes], model: VqVae) -> None:
    pixels, data = mixed
    container = parse(data)
    kinds = [tile[0] for tile in container.tiles]
    for tile in (kinds.index(0), kinds.index(1)):
        damaged = bytearray(data)
        span = next(each for each in spans(container) if each.name == f"tile {tile}")
        damaged[span.offset + span.size // 2] ^= 4
        found = vqcodec.salvage(bytes(damaged), model=model)
        assert [each.number for each in found.lost] == [tile]
        lost = container.header.elements_of(container.header.tiles()[tile])
        for box in literal_boxes(data):
            if box != lost:
                assert np.array_equal(np.asarray(found.image)[box], pixels[box])
    strange = replace(container, tiles=(b"\7", *container.tiles[1:]))
    assert [t.number for t in vqcodec.salvage(serialise(strange), model=model).lost] == [0]
    with pytest.raises(CorruptError, match="tile 0"):
        vqcodec.decompress(serialise(strange), model=model)
    assert vqcodec.salvage(data, model=model).losses == ()


def test_what_was_written_is_held_against_the_picture(model: VqVae) -> None:
    """A coder that wrote other pixels would be found out before a source is removed."""
    picture = Picture(pixels=page(50, 40))
    encoded = pipeline.encode(picture, None, Wish(lossless=True))
    pipeline.confirm(encoded, encoded.data, None)
    other = replace(encoded, picture=Picture(pixels=page(50, 40, seed=1)))
    with pytest.raises(VerificationError, match="pixels"):
        pipeline.confirm(other, encoded.data, None)


@pytest.mark.usefixtures("small_tiles")
def test_searches_count_on_literal_tiles(photo_like: Photo) -> None:
    pixels = half_a_photo(600, 300)
    exact = len(vqcodec.compress(page(600, 300), lossless=True))
    data = vqcodec.compress(page(600, 300), model=photo_like, target_size=exact)
    assert np.array_equal(np.asarray(vqcodec.decompress(data)), page(600, 300))
    lowest = vqcodec.compress(pixels, model=photo_like, quality=1)
    size = len(lowest) * 2
    found = vqcodec.compress(pixels, model=photo_like, target_size=size)
    assert len(found) <= size
    shown = np.asarray(vqcodec.decompress(lowest, model=photo_like)).astype(float)
    psnr = 10 * np.log10(255**2 / np.square(shown - pixels).mean())
    enough = vqcodec.compress(pixels, model=photo_like, target_psnr=psnr - 0.5)
    assert len(enough) <= len(lowest)


# ---- on the command line ------------------------------------------------------------------


def test_lossless_command_removes_its_source(run: Run) -> None:
    Image.fromarray(page(90, 60)).save("page.png")
    before = np.asarray(Image.open("page.png"))
    arguments = ("compress", "page.png", "--lossless", "--remove-source", "--allow-larger")
    assert run(*arguments).code == 0
    assert not Path("page.png").exists()
    assert "exact pixels  in 1 of 1 tiles" in run("inspect", "page.vqc", "--verify").out
    assert run("decompress", "page.vqc").code == 0
    assert np.array_equal(np.asarray(Image.open("page.png")), before)


def test_lossless_command_keeps_what_has_more_than_8_bits(run: Run) -> None:
    deep = np.arange(64 * 64, dtype=np.uint16).reshape(64, 64) * 16
    Image.fromarray(deep).save("deep.png")
    result: Result = run("compress", "deep.png", "--lossless", "--remove-source")
    assert Path("deep.png").exists()
    assert "16 bits per channel" in result.err + result.out


def test_lossless_command_excludes_qualities(run: Run) -> None:
    Image.fromarray(page(9, 9)).save("page.png")
    one_line_error(run("compress", "page.png", "--lossless", "-q", "5"), 2)


def test_hidden_colours_count_as_kept_where_pixels_are_exact(run: Run) -> None:
    rgba = np.dstack([page(40, 30), np.zeros((30, 40), np.uint8)])
    Image.fromarray(rgba).save("clear.png")
    arguments = ("compress", "clear.png", "--lossless", "--remove-source", "--allow-larger")
    assert run(*arguments).code == 0
    assert not Path("clear.png").exists()
    assert np.array_equal(np.asarray(vqcodec.decompress("clear.vqc")), rgba)
