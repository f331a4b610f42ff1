from __future__ import annotations

import re
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import vqcodec
from vqcodec.container import (
    Chunk,
    Container,
    Header,
    Limits,
    Medium,
    Mode,
    layout,
    parse,
    serialise,
    spans,
)
from vqcodec.container.write import varint
from vqcodec.errors import (
    ChecksumError,
    CorruptError,
    FormatError,
    LimitError,
    MediumError,
    NotVqcError,
    PixelLimitError,
    SampleLimitError,
    TruncatedError,
    VersionError,
)

MODEL = bytes.fromhex("0123456789abcdef")
SPEC = (Path(__file__).parent.parent / "format" / "SPEC.md").read_text(encoding="utf-8")


def header(**changes: object) -> Header:
    fields = {
        "mode": Mode.PRIOR,
        "shape": (4, 10),
        "model": MODEL,
        "stride_log2": 2,
        "tile_log2": 6,
    }
    return Header(**(fields | changes))


def spec_example() -> Container:
    """The contents of SPEC.md, section 11."""
    return Container(
        header=header(mode=Mode.FIXED),
        chunks=(Chunk(type=b"note", data=b"hi"),),
        tiles=(bytes.fromhex("02ffe000"),),
    )


def resealed(data: bytes, **edits: bytes) -> bytes:
    """Replace fields of the example by name and put the header's checksum right."""
    out, end = b"", 0
    for span in spans(spec_example()):
        key = span.name.replace(" ", "_")
        if span.name == "header checksum":
            out += zlib.crc32(out).to_bytes(4, "little")
        else:
            out += edits.get(key, data[span.offset : span.offset + span.size])
        end = span.offset + span.size
    assert end == len(data)
    return out


containers = st.builds(
    lambda kind, quality, sizes, model, logs, chunks, seed: Container(
        header=(
            h := Header(
                medium=kind[0],
                mode=kind[1],
                quality=quality,
                shape=sizes[: len(kind[0].axes)],
                model=model,
                stride_log2=logs[0],
                tile_log2=min(logs[1], layout.tile_log2_most(kind[0])),
            )
        ),
        chunks=tuple(
            Chunk(type=name, data=data)
            for name, data in sorted(chunks.items())
            if name in layout.CRITICAL[kind[0]] or not layout.is_critical(name)
        ),
        tiles=tuple(bytes([seed % 251]) * ((seed * (k + 1)) % 7) for k in range(h.tile_count)),
    ),
    st.sampled_from(
        [(medium, mode) for medium in Medium for mode in sorted(medium.modes - {Mode.LITERAL})]
    ),
    st.integers(0, 255),
    st.tuples(st.integers(1, 255), st.integers(1, 300), st.integers(1, 9)),
    st.binary(min_size=8, max_size=8),
    st.tuples(st.integers(0, 6), st.integers(4, 10)),
    st.dictionaries(
        st.sampled_from(
            [*sorted(frozenset().union(*layout.CRITICAL.values())), b"iccp", b"exif", b"zz9Z"]
        ),
        st.binary(max_size=40),
    ),
    st.integers(0, 10**6),
)


@given(containers)
def test_parse_undoes_serialise(container: Container) -> None:
    data = serialise(container)
    assert parse(data, Limits(media=frozenset(Medium))) == container
    found = spans(container)
    assert [span.offset for span in found] == [
        sum(s.size for s in found[:k]) for k in range(len(found))
    ]
    assert sum(span.size for span in found) == len(data)


@given(containers, st.data())
def test_parse_of_damaged_bytes_is_a_format_error_or_canonical(
    container: Container, draw: st.DataObject
) -> None:
    data = bytearray(serialise(container))
    for _ in range(draw.draw(st.integers(1, 3))):
        data[draw.draw(st.integers(0, len(data) - 1))] = draw.draw(st.integers(0, 255))
    try:
        parsed = parse(bytes(data))
    except FormatError:
        return
    assert serialise(parsed) == bytes(data)


@given(st.binary(max_size=80))
def test_parse_of_any_bytes_after_the_signature(tail: bytes) -> None:
    data = layout.SIGNATURE + b"\x01" + tail
    try:
        parsed = parse(data)
    except FormatError:
        return
    assert serialise(parsed) == data


def test_truncation_at_every_byte() -> None:
    data = serialise(spec_example())
    for end in range(len(data)):
        with pytest.raises(NotVqcError if end == 0 else TruncatedError):
            parse(data[:end])


def test_every_bit_flip_is_detected() -> None:
    data = serialise(spec_example())
    for bit in range(8 * len(data)):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(FormatError):
            parse(bytes(flipped))


@pytest.mark.parametrize(
    ("error", "edits"),
    [
        (NotVqcError, {"signature": b"\x89PNG\r\n\x1a\n"}),
        (NotVqcError, {"signature": layout.SIGNATURE.replace(b"\r\n", b"\n")}),
        (VersionError, {"version": b"\2"}),
        (VersionError, {"media_type": b"\0"}),
        (VersionError, {"mode": b"\4"}),
        (CorruptError, {"width": b"\0"}),
        (CorruptError, {"height": varint(1 << 24)}),
        (CorruptError, {"width": b"\x8a\0"}),
        (CorruptError, {"width": b"\xff\xff\xff\xff\xff\1"}),
        (CorruptError, {"width": b"\xff\xff\xff\xff\x1f"}),
        (PixelLimitError, {"width": varint(1 << 23), "height": varint(1 << 6)}),
        (TruncatedError, {"width": varint(1 << 20), "height": varint(1 << 8)}),
        (CorruptError, {"stride_log2": b"\x08"}),
        (CorruptError, {"tile_log2": b"\3"}),
        (CorruptError, {"tile_log2": b"\x0b"}),
        (CorruptError, {"chunk_count": varint(65)}),
        (CorruptError, {"chunk_count": b"\2"}),
        (ChecksumError, {"chunk_count": b"\0"}),
        (TruncatedError, {"tile_0_size": varint(1 << 31)}),
        (ChecksumError, {"tile_0": b"\x02\xff\xe0\x01"}),
        (
            CorruptError,
            {
                "tile_0_size": b"\3",
                "tile_0_checksum": zlib.crc32(b"\2\xff\xe0").to_bytes(4, "little"),
            },
        ),
        (ChecksumError, {"quality": b"\1", "header_checksum": b""}),
        (CorruptError, {"chunk_type": b"no e"}),
        (CorruptError, {"chunk_type": b"1ote"}),
        (ChecksumError, {"chunk_note": b"ho"}),
        (CorruptError, {"chunk_type": b"1ote", "chunk_note_size": varint((1 << 28) + 1)}),
        (TruncatedError, {"chunk_note_size": varint(9999)}),
        (LimitError, {"chunk_note_size": varint((1 << 28) + 1)}),
    ],
)
def test_each_rule_has_its_error(error: type[FormatError], edits: dict[str, bytes]) -> None:
    data = serialise(spec_example())
    damaged = resealed(data, **edits)
    if "header_checksum" in edits:
        damaged = data[:11] + b"\1" + data[12:]
    with pytest.raises(error) as caught:
        parse(damaged)
    assert type(caught.value) is error


def test_unknown_critical_chunk_is_rejected_and_optional_kept() -> None:
    example = spec_example()
    assert parse(serialise(example)).chunk(b"note") == b"hi"
    critical = Container(
        header=example.header, chunks=(Chunk(type=b"NOTE", data=b"hi"),), tiles=example.tiles
    )
    with pytest.raises(VersionError):
        parse(serialise(critical))


def test_chunks_out_of_order_or_twice_are_rejected() -> None:
    example = spec_example()
    a, b = Chunk(type=b"aaaa", data=b""), Chunk(type=b"bbbb", data=b"")
    for chunks in ((b, a), (a, a)):
        with pytest.raises(CorruptError):
            Container(header=example.header, chunks=chunks, tiles=example.tiles)


def test_trailing_bytes_are_rejected() -> None:
    with pytest.raises(CorruptError):
        parse(serialise(spec_example()) + b"\0")


def of(medium: Medium) -> bytes:
    """A file of any medium, with nothing in its tiles."""
    own = header(medium=medium, shape=tuple(range(20, 20 + len(medium.axes))))
    return serialise(Container(header=own, tiles=(b"",) * own.tile_count))


READERS: dict[Medium, list[Callable[[bytes], object]]] = {
    Medium.PICTURE: [vqcodec.decompress, vqcodec.salvage],
    Medium.SOUND: [vqcodec.decompress_audio, vqcodec.salvage_audio],
    Medium.CLIP: [vqcodec.decompress_clip, vqcodec.salvage_clip],
}


@pytest.mark.parametrize("medium", Medium)
def test_who_reads_one_medium_refuses_others_in_one_line(medium: Medium) -> None:
    for wanted, readers in READERS.items():
        if wanted is medium:
            continue
        for read in readers:
            told = f"holds {medium.noun}, not {wanted.noun}"
            with pytest.raises(MediumError, match=told) as caught:
                read(of(medium))
            assert not caught.value.hint


def test_critical_chunks_are_those_of_their_medium() -> None:
    for medium, known in layout.CRITICAL.items():
        for kind in frozenset().union(*layout.CRITICAL.values()) - known:
            own = parse(of(medium), Limits(media=frozenset(Medium)))
            data = serialise(replace(own, chunks=(Chunk(type=kind, data=b""),)))
            with pytest.raises(VersionError, match=f"chunk {kind.decode()} is needed"):
                parse(data, Limits(media=frozenset(Medium)))


def test_tiles_of_sound_are_of_one_channel() -> None:
    sound = header(medium=Medium.SOUND, shape=(3, 40), stride_log2=0, tile_log2=4)
    assert sound.tile_count == len(sound.tiles()) == 9
    assert sound.tiles()[3:6] == [
        (slice(1, 2), slice(start, stop)) for start, stop in ((0, 13), (13, 26), (26, 40))
    ]


def test_tiles_of_clips_are_of_some_frames() -> None:
    clip = header(medium=Medium.CLIP, shape=(70, 9, 300), stride_log2=2, tile_log2=5)
    assert clip.grid == (70, 3, 75)
    assert clip.tile_count == len(clip.tiles()) == 9
    frames = [slice(start, stop) for start, stop in ((0, 23), (23, 46), (46, 70))]
    columns = [slice(start, stop) for start, stop in ((0, 25), (25, 50), (50, 75))]
    assert clip.tiles()[3:6] == [(frames[1], slice(0, 3), own) for own in columns]
    last = (slice(46, 70), slice(0, 9), slice(200, 300))
    assert clip.elements_of(clip.tiles()[8]) == last


def test_tiles_of_clips_are_not_as_large_as_those_of_pictures() -> None:
    for tile_log2 in range(4, 11):
        if tile_log2 <= layout.CLIP_TILE_LOG2_MAX:
            header(medium=Medium.CLIP, shape=(4, 4, 4), tile_log2=tile_log2)
            continue
        with pytest.raises(CorruptError, match="tile_log2"):
            header(medium=Medium.CLIP, shape=(4, 4, 4), tile_log2=tile_log2)
        data = bytearray(of(Medium.CLIP))
        (field,) = (span for span in spans(parse(bytes(data))) if span.name == "tile_log2")
        data[field.offset] = tile_log2
        with pytest.raises(CorruptError, match="tile_log2"):
            parse(bytes(data))


def test_the_limit_of_a_clip_is_in_pixels_of_all_frames() -> None:
    data = of(Medium.CLIP)
    assert parse(data, Limits(pixels=20 * 21 * 22, frames=1))
    with pytest.raises(LimitError, match="22x21x20 is 9240 pixels, the limit is 9239"):
        parse(data, Limits(pixels=20 * 21 * 22 - 1))


def test_the_limit_of_sound_is_in_frames() -> None:
    data = of(Medium.SOUND)
    assert parse(data, Limits(pixels=1, frames=20 * 21))
    with pytest.raises(SampleLimitError, match="21x20 is 420 frames, the limit is 419"):
        parse(data, Limits(frames=20 * 21 - 1))


def test_media_that_are_not_known_ask_for_a_newer_program() -> None:
    for number in set(range(256)) - set(Medium):
        data = resealed(serialise(spec_example()), media_type=bytes([number]))
        with pytest.raises(VersionError, match=f"media type {number} is not known") as caught:
            parse(data, Limits(media=frozenset(Medium)))
        assert "newer" in caught.value.hint


def test_a_shape_has_a_size_for_each_axis_of_its_medium() -> None:
    for medium in Medium:
        for count in set(range(5)) - {len(medium.axes)}:
            with pytest.raises(CorruptError, match="number of sizes"):
                header(medium=medium, shape=(4,) * count)


@pytest.mark.parametrize("mode", [Mode.LITERAL, Mode.MIXED])
@pytest.mark.parametrize("medium", sorted(set(Medium) - {Medium.PICTURE}))
def test_only_pictures_have_tiles_of_pixels(medium: Medium, mode: Mode) -> None:
    with pytest.raises(CorruptError, match=f"mode {mode.value} is not one of {medium.plural}"):
        header(medium=medium, mode=mode, shape=(4,) * len(medium.axes), model=layout.NO_MODEL)
    data = bytearray(of(medium))
    data[10] = mode
    with pytest.raises(VersionError, match=f"mode {mode.value} is not known"):
        parse(bytes(data), Limits(media=frozenset(Medium)))


def test_pixel_limit_is_an_option() -> None:
    data = serialise(spec_example())
    with pytest.raises(LimitError):
        parse(data, Limits(pixels=39))
    assert parse(data, Limits(pixels=40))


def test_overhead_of_one_tile() -> None:
    payload = bytes(100_000)
    large = header(shape=(16383, 16383), stride_log2=6, tile_log2=8)
    data = serialise(Container(header=large, tiles=(payload,)))
    assert len(data) - len(payload) <= 40


def test_spec_example_is_the_bytes_it_shows() -> None:
    block = SPEC.split("## 11. Example")[1].split("## 12.")[0]
    rows = re.findall(r"^    ((?:[0-9a-f]{2} )+)", block, flags=re.MULTILINE)
    assert bytes.fromhex("".join(rows)) == serialise(spec_example())


def test_spec_header_table_is_the_header() -> None:
    section = SPEC.split("## 3. Header")[1].split("An entry of the tile table")[0]
    table, others = section.split("In the place of width and height sound has")
    of_sound, of_clips = others.split("and a clip")

    def rows_of(table: str) -> list[list[str]]:
        return [
            [cell.strip() for cell in line.strip("|").split("|")]
            for line in table.splitlines()
            if line.startswith("| ") and "---" not in line
        ][1:]

    rows = rows_of(table)
    assert [row[3] for row in rows_of(of_sound)] == list(Medium.SOUND.axes)
    assert [row[3] for row in rows_of(of_clips)] == list(Medium.CLIP.axes)
    fields = [
        (row[3], int(row[0]) if row[0] else None, row[1]) for row in rows if row[3] != "tile table"
    ]
    found = [s for s in spans(spec_example()) if not s.name.startswith("tile 0")]
    for (name, offset, size), span in zip(fields, found, strict=False):
        assert name == span.name
        assert offset is None or offset == span.offset
        assert size in (str(span.size), "1-5")
    assert len(fields) == 12
