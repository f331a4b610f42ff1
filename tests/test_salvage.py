"""Damaged files: what holds is recovered, what is lost is told."""

from __future__ import annotations

import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import Result, Run, one_line_error, photo
from PIL import Image, ImageCms

import vqcodec
from vqcodec.cli import EXIT_SALVAGED
from vqcodec.codec.transform import decode_indices
from vqcodec.container import Chunk, Mode, Span, parse, recover, serialise, spans
from vqcodec.errors import ChecksumError, FormatError, TruncatedError, VersionError
from vqcodec.image import pipeline
from vqcodec.image.salvage import GREY
from vqcodec.models.vqvae import VqVae

SIZE = (150, 140)
BOXES = [
    (x, y, w, h)
    for y, h in ((0, 44), (44, 48), (92, 48))
    for x, w in ((0, 48), (48, 52), (100, 50))
]
"""X, y, width and height of its tiles of 16 indices at most."""


@pytest.fixture(scope="module")
def whole(model: VqVae) -> bytes:
    """A picture of nine tiles with alpha and a profile."""
    image = photo(*SIZE)
    image.putalpha(photo(*SIZE, seed=1).convert("L"))
    image.info["icc_profile"] = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pipeline, "TILE_LOG2", 4)
        return vqcodec.compress(image, model=model)


def span(data: bytes, name: str) -> Span:
    return next(span for span in spans(parse(data)) if span.name == name)


def flipped(data: bytes, *names: str, at: int = 0) -> bytes:
    """Flip a bit of each of the fields."""
    out = bytearray(data)
    for name in names:
        out[span(data, name).offset + at] ^= 0x10
    return bytes(out)


def lost(found: vqcodec.Salvaged) -> list[int]:
    return [tile.number for tile in found.lost]


def test_a_whole_file_is_decompressed(model: VqVae, whole: bytes) -> None:
    found = vqcodec.salvage(whole, model=model)
    assert found.losses == ()
    assert found.image == vqcodec.decompress(whole, model=model)
    assert found.image.info == vqcodec.decompress(whole, model=model).info
    assert recover(whole).container == parse(whole)


def test_tiles_that_hold_are_recovered_and_others_grey(model: VqVae, whole: bytes) -> None:
    damaged = flipped(whole, "tile 4", "tile 8")
    with pytest.raises(ChecksumError):
        vqcodec.decompress(damaged, model=model)
    found = vqcodec.salvage(damaged, model=model)
    assert [(tile.number, tile.box) for tile in found.lost] == [(4, BOXES[4]), (8, BOXES[8])]
    assert "tile 4 is lost, pixels 48,44,52,48 (X,Y,W,H) are grey" in found.losses
    assert found.damage == ()
    out, before = np.asarray(found.image), np.asarray(vqcodec.decompress(whole, model=model))
    known = np.ones(out.shape[:2], dtype=bool)
    near = known.copy()
    halo = model.decoder_halo * model.stride
    for number in lost(found):
        x, y, w, h = BOXES[number]
        assert (out[y : y + h, x : x + w, :3] == GREY).all()
        known[y : y + h, x : x + w] = False
        near[max(0, y - halo) : y + h + halo, max(0, x - halo) : x + w + halo] = False
    assert near.any()
    assert (known & ~near).any()
    # Windows are the same, so what the network sees of other tiles gives the same pixels.
    assert np.abs(out[near].astype(int) - before[near]).max() <= 1
    assert np.array_equal(out[..., 3], before[..., 3])
    assert (
        found.image.info["icc_profile"]
        == vqcodec.decompress(whole, model=model).info["icc_profile"]
    )


def test_pixels_beside_lost_tiles_are_nearer_than_with_a_fixed_index(
    model: VqVae, whole: bytes
) -> None:
    grid = vqcodec.indices(whole, model=model)
    out = np.asarray(vqcodec.salvage(flipped(whole, "tile 4"), model=model).image)[..., :3]
    grid[11:23, 12:25] = 0
    fixed = decode_indices(model, grid, 0)[: SIZE[1], : SIZE[0]]
    before = np.asarray(vqcodec.decompress(whole, model=model))[..., :3].astype(int)
    x, y, w, h = BOXES[4]
    beside = np.zeros((SIZE[1], SIZE[0]), dtype=bool)
    beside[y - 8 : y + h + 8, x - 8 : x + w + 8] = True
    beside[y : y + h, x : x + w] = False
    errors = [np.square(picture[beside] - before[beside]).mean() for picture in (out, fixed)]
    assert 0 < errors[0] < errors[1]


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        pytest.param(lambda d: d[: span(d, "tile 6").offset], [6, 7, 8], id="cut off"),
        pytest.param(lambda d: d[: span(d, "tile 0").offset], list(range(9)), id="header only"),
        pytest.param(lambda d: d + b"more", [], id="bytes added"),
        pytest.param(
            lambda d: d[: span(d, "tile 4").offset + 3] + d[span(d, "tile 4").offset + 8 :],
            [4],
            id="bytes missing in a tile",
        ),
        pytest.param(
            lambda d: (
                d[: span(d, "tile 4").offset + 3] + b"xyz" + d[span(d, "tile 4").offset + 3 :]
            ),
            [4],
            id="bytes put into a tile",
        ),
        pytest.param(
            lambda d: d[: span(d, "chunk iccp").offset] + d[span(d, "chunk iccp").offset + 9 :],
            [],
            id="bytes missing in a chunk",
        ),
    ],
)
def test_bytes_missing_or_too_many(
    model: VqVae,
    whole: bytes,
    damage: object,
    expected: list[int],
) -> None:
    damaged = damage(whole)  # type: ignore[operator]
    with pytest.raises(FormatError):
        vqcodec.decompress(damaged, model=model)
    found = vqcodec.salvage(damaged, model=model)
    assert lost(found) == expected
    assert found.damage


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("chunk type", {"iccp"}),
        ("chunk ALPH", {"iccp"}),
        ("chunk ALPH checksum", {"iccp"}),
        ("chunk ALPH size", set()),
        ("chunk iccp", {"ALPH"}),
        ("chunk iccp size", {"ALPH"}),
    ],
)
def test_damaged_chunks_are_dropped_and_told(
    model: VqVae, whole: bytes, name: str, kept: set[str]
) -> None:
    found = vqcodec.salvage(flipped(whole, name), model=model)
    assert lost(found) == []
    assert found.damage
    assert (found.image.mode == "RGBA") == ("ALPH" in kept)
    assert ("icc_profile" in found.image.info) == ("iccp" in kept)
    expected = np.asarray(vqcodec.decompress(whole, model=model))[..., :3]
    assert np.array_equal(np.asarray(found.image)[..., :3], expected)


def test_chunks_that_hold_but_cannot_be_unpacked(model: VqVae, whole: bytes) -> None:
    container = parse(whole)
    chunks = tuple(Chunk(type=chunk.type, data=b"no picture") for chunk in container.chunks)
    found = vqcodec.salvage(serialise(replace(container, chunks=chunks)), model=model)
    assert len(found.damage) == 2
    assert found.image.mode == "RGB"


def test_unknown_critical_chunk_is_refused_while_it_holds(model: VqVae, whole: bytes) -> None:
    container = parse(whole)
    chunks = (container.chunks[0], Chunk(type=b"NEED", data=b"this"))
    unknown = serialise(replace(container, chunks=chunks))
    with pytest.raises(VersionError):
        vqcodec.salvage(unknown, model=model)
    at = unknown.index(b"NEED\4this")
    changed = unknown[: at + 5] + b"T" + unknown[at + 6 :]
    assert vqcodec.salvage(changed, model=model).damage == ("chunk NEED checksum does not match",)


@pytest.mark.parametrize("mode", [Mode.FIXED, Mode.PRIOR])
def test_tiles_with_a_right_checksum_that_do_not_decode(
    model: VqVae, whole: bytes, mode: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "TILE_LOG2", 4)
    data = vqcodec.compress(photo(*SIZE), model=model, prior=mode is Mode.PRIOR)
    container = parse(data)
    tiles = list(container.tiles)
    tiles[1], tiles[5] = b"\xff" * len(tiles[1]), tiles[5] + bytes(4)
    garbage = serialise(replace(container, tiles=tuple(tiles)))
    assert parse(garbage)
    found = vqcodec.salvage(garbage, model=model)
    assert lost(found) == [1, 5]
    before = np.asarray(vqcodec.decompress(data, model=model)).astype(int)
    assert np.abs(np.asarray(found.image)[100:, :40] - before[100:, :40]).max() <= 1


def test_a_damaged_header_is_refused(model: VqVae, whole: bytes) -> None:
    for name in ("width", "tile 3 size", "tile 3 checksum", "header checksum", "signature"):
        with pytest.raises(FormatError):
            vqcodec.salvage(flipped(whole, name), model=model)
    with pytest.raises(TruncatedError):
        vqcodec.salvage(whole[: span(whole, "header checksum").offset], model=model)


def test_every_byte_wrong_costs_at_most_what_it_is_in(whole: bytes) -> None:
    """Nothing but the field with the wrong byte is lost, wherever that is."""
    container = parse(whole)
    head = span(whole, "header checksum")
    for field in spans(container):
        if field.offset <= head.offset:
            continue
        for at in {0, field.size // 2, field.size - 1}:
            remains = recover(flipped(whole, field.name, at=at))
            if field.name.startswith("tile"):
                assert remains.lost == {int(field.name.split()[1])}
                assert remains.damage == ()
                assert remains.container.chunks == container.chunks
            else:
                assert not remains.lost
                assert remains.damage
                assert remains.container.tiles == container.tiles


def test_the_table_is_held_against_the_file_before_it_is_read() -> None:
    huge = bytearray(b"\x8bVQC\r\n\x1a\n\1\1\1\0" + b"\x80\x80\1" * 2 + bytes(8) + b"\0\4\0")
    huge += zlib.crc32(huge).to_bytes(4, "little")
    with pytest.raises(TruncatedError):
        recover(bytes(huge))


@pytest.fixture
def files(run: Run, model_file: Path, whole: bytes) -> None:
    assert run("models", "install", model_file).code == 0
    Path("whole.vqc").write_bytes(whole)
    Path("hurt.vqc").write_bytes(flipped(whole, "tile 4", "chunk iccp"))
    Path("dead.vqc").write_bytes(flipped(whole, "width"))


@pytest.mark.usefixtures("files")
def test_command(run: Run) -> None:
    assert "--salvage" not in one_line_error(run("decompress", "dead.vqc"), 1)
    assert run("decompress", "hurt.vqc").code == 1
    assert not Path("hurt.png").exists()
    result: Result = run("decompress", "hurt.vqc", "--salvage")
    assert result.code == EXIT_SALVAGED
    assert result.err.splitlines() == [
        "vqcodec: warning: hurt.vqc: tile 4 is lost, pixels 48,44,52,48 (X,Y,W,H) are grey",
        "vqcodec: warning: hurt.vqc: chunk iccp checksum does not match",
    ]
    assert Image.open("hurt.png").size == SIZE
    result = run("decompress", "whole.vqc", "--salvage")
    assert (result.code, result.err) == (0, "")
    result = run("decompress", "hurt.vqc", "dead.vqc", "--salvage", "-f")
    assert result.code == 1
    one_line_error(run("decompress", "hurt.vqc", "--salvage", "--crop", "0,0,5,5", "-f"), 2)


def test_exit_codes_are_documented(run: Run) -> None:
    assert f"exit code {EXIT_SALVAGED}" in " ".join(run("decompress", "--help").out.split())
    assert f"\n  {EXIT_SALVAGED} " in run("--help").out


@pytest.mark.usefixtures("files")
def test_inspect_says_what_holds_of_a_damaged_file(run: Run, whole: bytes) -> None:
    result = run("inspect", "hurt.vqc")
    error = one_line_error(result, 1)
    assert error.startswith("vqcodec: error: hurt.vqc: chunk iccp checksum does not match; ")
    assert "`vqcodec decompress --salvage`" in error
    told = result.out.splitlines()
    assert told == [*run("inspect", "whole.vqc").out.splitlines()[: len(told) - 2], *told[-2:]]
    assert "picture       150x140 pixels" in told
    assert told[-2:] == [
        "lost          1 of 9 tiles",
        "damaged       chunk iccp checksum does not match",
    ]
    result = run("inspect", "hurt.vqc", "--json")
    assert result.out == ""
    assert "--salvage" in one_line_error(result, 1)
    result = run("inspect", "dead.vqc")
    assert result.out == ""
    assert "--salvage" not in one_line_error(result, 1)
    assert "dead.vqc: " in result.err


@pytest.mark.usefixtures("files")
def test_inspect_names_the_file_whatever_is_wrong_with_it(run: Run, whole: bytes) -> None:
    first = span(whole, "tile 0").offset
    for end in (*range(1, first, 7), first + 1, len(whole) - 1):
        for data in (whole[:end], whole[:end] + b"?" + whole[end:], flipped_at(whole, end)):
            Path("a.vqc").write_bytes(data)
            assert "a.vqc: " in one_line_error(run("inspect", "a.vqc"), 1)


def flipped_at(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 0x55]) + data[at + 1 :]
