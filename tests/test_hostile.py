"""Whatever the bytes are: a result or a VqcError, and memory within what SECURITY.md says."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import tracemalloc
import warnings
import zlib
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import vqcodec
from vqcodec.container import ALPHA, EXIF, Chunk, Container, Header, Limits, Mode, parse, serialise
from vqcodec.container.layout import SIGNATURE
from vqcodec.container.write import varint
from vqcodec.errors import (
    CorruptError,
    FormatError,
    LimitError,
    NotVqcError,
    PictureError,
    TruncatedError,
    VqcError,
    VqcWarning,
)
from vqcodec.image.chunks import to_chunks, unpack
from vqcodec.image.picture import METADATA_MAX, Metadata, Picture
from vqcodec.image.reading import read_picture
from vqcodec.image.writing import write_picture
from vqcodec.models.model import Model

FUZZ = Path(__file__).parent.parent / "fuzz"
sys.path.insert(0, str(FUZZ))
import mutator  # noqa: E402
import targets  # noqa: E402

SEEDS = {
    "container": sorted((FUZZ / "corpus" / "container").iterdir()),
    "decode": sorted((FUZZ / "corpus" / "container").iterdir()),
    "salvage": sorted((FUZZ / "corpus" / "container").iterdir()),
    "model": sorted((FUZZ / "corpus" / "model").iterdir()),
    "inventory": sorted((FUZZ / "corpus" / "inventory").iterdir()),
}


def seed(name: str) -> bytes:
    return (FUZZ / "corpus" / "container" / f"{name}.vqc").read_bytes()


def tiny(name: str) -> Model:
    """The model of the corpus that made a seed."""
    return targets._models()[parse(seed(name)).header.model]


def changed_bytes(rng: Random) -> Callable[[bytes], bytes]:
    """What the fuzzer does without knowing a format."""

    def change(data: bytes) -> bytes:
        out = bytearray(data)
        for _ in range(rng.choice((1, 1, 4))):
            at = rng.randrange(len(out) + 1)
            out[at : at + rng.randrange(3)] = rng.randbytes(rng.randrange(3))
        return bytes(out)

    return change


@pytest.mark.parametrize(
    ("name", "path"), [(name, path) for name, paths in SEEDS.items() for path in paths]
)
def test_the_corpus_is_valid(name: str, path: Path) -> None:
    data = path.read_bytes()
    targets.TARGETS[name](data)
    if name == "decode":
        header = parse(data).header
        model = None if header.mode is Mode.LITERAL else targets._models()[header.model]
        assert vqcodec.verify(data, model=model).shape[0] == header.grid[0]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("name", "rounds"),
    [("container", 1500), ("decode", 250), ("salvage", 150), ("model", 80), ("inventory", 400)],
)
def test_changed_files_end_in_a_result_or_a_vqc_error(name: str, rounds: int) -> None:
    """What `fuzz/run.py` does for long, here without its guidance."""
    seeds = [path.read_bytes() for path in SEEDS[name]]
    for number in range(rounds):
        rng = Random(number)
        targets.TARGETS[name](mutator.MUTATORS[name](rng.choice(seeds), rng, changed_bytes(rng)))


@given(st.binary(max_size=60), st.booleans())
def test_any_bytes_end_in_a_vqc_error(data: bytes, signed: bool) -> None:
    data = (SIGNATURE + b"\1\1" if signed else b"") + data
    for read in (vqcodec.inspect, vqcodec.indices, vqcodec.decompress, vqcodec.verify):
        with pytest.raises(VqcError):
            read(data)


def test_truncation_at_every_byte() -> None:
    data, model = seed("vqvae-everything"), tiny("vqvae-everything")
    for end in range(len(data)):
        with pytest.raises(TruncatedError if end else NotVqcError):
            vqcodec.decompress(data[:end], model=model)


def test_every_bit_flip_of_a_file_is_detected() -> None:
    data, model = seed("vqvae-everything"), tiny("vqvae-everything")
    ended: Counter[str] = Counter()
    for bit in range(8 * len(data)):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        try:
            vqcodec.decompress(bytes(flipped), model=model)
        except FormatError as error:
            ended[type(error).__name__] += 1
        else:
            ended["picture"] += 1
    assert sum(ended.values()) == 8 * len(data) == 3800
    assert ended == {
        "NotVqcError": 64,
        "VersionError": 21,
        "MediumError": 1,
        "CorruptError": 57,
        "TruncatedError": 16,
        "ChecksumError": 3641,
    }


@pytest.mark.parametrize(
    ("name", "expected"),
    [("vqvae-lowest", {"error": 63, "other": 1}), ("vqvae-fixed", {"error": 64, "other": 120})],
)
def test_bit_flips_behind_right_checksums_are_other_indices_or_an_error(
    name: str, expected: dict[str, int]
) -> None:
    """There is one stream for given indices: no flip gives the same ones."""
    container, model = parse(seed(name)), tiny(name)
    before = vqcodec.indices(serialise(container), model=model).tolist()
    (tile,) = container.tiles
    ended: Counter[str] = Counter()
    for bit in range(8 * len(tile)):
        flipped = bytearray(tile)
        flipped[bit // 8] ^= 1 << bit % 8
        data = serialise(replace(container, tiles=(bytes(flipped),)))
        try:
            found = vqcodec.indices(data, model=model).tolist()
        except CorruptError:
            ended["error"] += 1
        else:
            ended["same" if found == before else "other"] += 1
    assert ended == expected


def test_forged_sizes_take_no_memory() -> None:
    """Each number in the file is held against the file's size before it is believed."""
    side = varint((1 << 24) - 1)

    def head(width: bytes, height: bytes, logs: bytes, chunks: bytes, table: bytes) -> bytes:
        front = SIGNATURE + b"\1\1\0\0" + width + height + bytes(8) + logs + chunks + table
        return front + struct.pack("<I", zlib.crc32(front))

    entry = varint(0) + bytes(4)
    forged = [
        head(side, side, b"\0\4", b"\0", b""),
        head(side, side, b"\6\x0a", b"\0", entry * 100),
        head(b"\1", b"\1", b"\2\6", b"\0", varint((1 << 32) - 1) + bytes(4)),
        head(b"\1", b"\1", b"\2\6", b"\1", entry) + b"ALPH" + varint(1 << 28),
        head(b"\1", b"\1", b"\2\6", b"\x40", entry),
    ]
    tracemalloc.start()
    try:
        for data in forged:
            with pytest.raises(TruncatedError):
                parse(data, Limits(pixels=1 << 48))
            with pytest.raises((TruncatedError, LimitError)):
                vqcodec.inspect(data)
        assert tracemalloc.get_traced_memory()[1] < 200_000
    finally:
        tracemalloc.stop()


def holding(kind: bytes, data: bytes, side: int = 16) -> Container:
    header = Header(mode=Mode.FIXED, shape=(side, side), model=bytes(8), stride_log2=2, tile_log2=6)
    return Container(header=header, chunks=(Chunk(type=kind, data=data),), tiles=(b"",))


def test_metadata_unpack_to_their_limit_and_no_further() -> None:
    limit = METADATA_MAX
    whole = Random(0).randbytes(1 << 10) * (limit >> 10)
    assert unpack(holding(EXIF, zlib.compress(whole, 1)))[1].exif == whole
    tracemalloc.start()
    try:
        for bomb in (bytes(limit + 1), bytes(1 << 26)):
            packed = zlib.compress(bomb, 9)
            del bomb
            tracemalloc.reset_peak()
            before = tracemalloc.get_traced_memory()[0]
            with pytest.raises(LimitError):
                unpack(holding(EXIF, packed))
            assert tracemalloc.get_traced_memory()[1] - before < 3 * limit
    finally:
        tracemalloc.stop()


def greyscale(side: int, depth: int, rows: int) -> bytes:
    """A PNG picture that says it has `side` rows and columns, and has `rows`."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        sealed = kind + data
        return struct.pack(">I", len(data)) + sealed + struct.pack(">I", zlib.crc32(sealed))

    lines = bytes((1 + -(-side * depth // 8)) * rows)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, depth, 0, 0, 0, 0))
        + chunk(b"IDAT", zlib.compress(lines))
        + chunk(b"IEND", b"")
    )


def test_alpha_is_eight_bits_deep_and_of_the_pictures_size() -> None:
    assert unpack(holding(ALPHA, greyscale(16, 8, 16)))[0] is not None
    wrongs = (greyscale(16, 4, 16), greyscale(1 << 24, 8, 1), b"")
    for wrong in (*wrongs, greyscale(16, 8, 15), greyscale(16, 8, 17)):
        with pytest.raises(CorruptError):
            unpack(holding(ALPHA, wrong))


def test_only_the_checked_header_of_alpha_counts() -> None:
    right = greyscale(16, 8, 16)
    for other in (greyscale(8, 8, 8), greyscale(16, 1, 16), greyscale(1 << 14, 8, 0)):
        twice = right[:33] + other[8:33] + right[33:]
        alpha, _ = unpack(holding(ALPHA, twice))
        assert alpha is not None
        assert alpha.shape == (16, 16)


def test_alpha_without_an_end_is_refused() -> None:
    with pytest.raises(CorruptError):
        unpack(holding(ALPHA, greyscale(16, 8, 16)[:-12]))


def overlapping_directories(size: int) -> bytes:
    """EXIF of entries that all point to directories, which overlap: the last two bytes of
    a pointer are a directory's number of entries.
    """
    entry = struct.pack(">HHIHH", 0x8769, 4, 1, 0, 0)
    slots = bytearray(entry * (size // 12))
    for at in range(0, len(slots), 12):
        struct.pack_into(">I", slots, at + 8, (at * 7919) % len(slots) // 12 * 12 + 18)
    return b"MM\0*\0\0\0\x12" + bytes(slots)


def overlapping_exif(tags: int = 400, size: int = 1 << 16, *, inner: bool = False) -> bytes:
    """EXIF whose tags all name the same bytes."""
    start = b"II*\0\x08\0\0\0"
    if inner:
        start += struct.pack("<HHHIII", 1, 0x8769, 4, 1, 26, 0)
    entries = b"".join(struct.pack("<HHII", 1000 + k, 7, size, 8) for k in range(tags))
    return start + struct.pack("<H", tags) + entries + bytes(size + 4)


BOMBS = {
    "values": overlapping_exif(),
    "values of an inner directory": overlapping_exif(inner=True),
    "directories": overlapping_directories(1 << 18),
}
"""Whoever copied the values of each tag would take hundreds of times their size, or hours."""


@pytest.mark.filterwarnings("ignore::vqcodec.errors.VqcWarning")
@pytest.mark.parametrize("block", BOMBS.values(), ids=list(BOMBS))
@pytest.mark.parametrize("name", ["PNG", "JPEG", "TIFF", "WEBP", "AVIF"])
def test_exif_whose_tags_share_bytes_is_not_multiplied(name: str, block: bytes) -> None:
    picture = Picture(pixels=np.zeros((4, 4, 3), np.uint8), metadata=Metadata(exif=block))
    tracemalloc.start()
    try:
        data = write_picture(picture, name)
        again = read_picture(data, max_pixels=16).picture
        assert tracemalloc.get_traced_memory()[1] < 1 << 23
    finally:
        tracemalloc.stop()
    assert len(data) < 2 * len(block) + 1000
    assert again.metadata.exif in (block, None)


def test_tags_that_share_bytes_do_not_reach_pillow() -> None:
    entries = [struct.pack("<HHII", 256 + k, 3, 1, 1) for k in range(10)]
    shared = [struct.pack("<HHII", 40_000 + k, 7, 1 << 20, 0) for k in range(2000)]
    start = struct.pack("<HIH", 42, 8, len(entries) + len(shared))
    tiff = b"II" + start + b"".join(entries + shared) + bytes(1 << 20)
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "AVIF", exif=b"Exif\0\0" + overlapping_exif(2, 1 << 10))
    for data in (tiff, buffer.getvalue()):
        with pytest.raises(PictureError, match="share bytes"):
            read_picture(data, max_pixels=1 << 20)


@pytest.mark.filterwarnings("ignore::vqcodec.errors.VqcWarning")
@given(st.binary(max_size=200))
def test_any_exif_is_written_or_left_out(data: bytes) -> None:
    exif = b"II*\0\x08\0\0\0" + data
    picture = Picture(pixels=np.zeros((4, 4, 3), np.uint8), metadata=Metadata(exif=exif))
    for name in ("TIFF", "PNG"):
        assert Image.open(io.BytesIO(write_picture(picture, name))).size == (4, 4)


@given(st.binary(max_size=120), st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"RIFF"]))
def test_any_picture_is_a_picture_error_or_a_picture(data: bytes, start: bytes) -> None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            source = read_picture(start + data, max_pixels=1 << 12)
    except PictureError:
        return
    assert to_chunks(source.picture) is not None


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "it is empty"),
        (b"text", "not a picture that Pillow can read"),
        *((head.ljust(99, b"\0"), "`compress_audio`") for head in (b"fLaC", b"RIFF\0\0\0\0WAVE")),
        *((head.ljust(99, b"\0"), "`compress_audio`") for head in (b"ID3\4", b"\xff\xfb\x90\xc4")),
    ],
)
def test_what_is_no_picture(data: bytes, told: str) -> None:
    with pytest.raises(PictureError, match=told):
        read_picture(data, max_pixels=1)


def test_a_damaged_installed_model_hides_only_its_name(no_installed_models: Path) -> None:
    data = seed("vqvae-one")
    no_installed_models.mkdir()
    digits = parse(data).header.model.hex()
    (no_installed_models / f"{digits:0<64}.safetensors").write_bytes(b"damaged")
    with pytest.warns(VqcWarning, match="left out"):
        assert vqcodec.inspect(data).model_name is None


HUGE = """
import resource, sys
sys.path.insert(0, {fuzz!r})
import targets, vqcodec
from vqcodec.container import Container, Header, Medium, Mode, serialise
from vqcodec.errors import CorruptError

resident = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
prefix, model = next(
    (p, m) for p, m in targets._models().items() if (m.medium, m.stride) == (Medium.PICTURE, 4)
)
header = Header(mode=Mode.PRIOR, shape=(1 << 14, 1 << 14), model=prefix,
                stride_log2=2, tile_log2=6)
data = serialise(Container(header=header, tiles=(b"",) * header.tile_count))
before = resident()
try:
    vqcodec.decompress(data, model=model)
except CorruptError:
    print(len(data), resident() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in KiB there")
def test_a_tiny_file_of_a_huge_picture_is_refused_within_bounds() -> None:
    """2^28 pixels in 20 KB whose streams are empty: the first batch of tiles is too much."""
    code = HUGE.format(fuzz=str(FUZZ))
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    size, mebibytes = (int(part) for part in out.stdout.split())
    assert size < 21_000
    assert mebibytes < 200
