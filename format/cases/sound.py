"""Files of sound: right ones, those that go as far as SPEC.md allows, and wrong ones."""

import struct
from collections.abc import Iterator, Sequence
from typing import Any

import reference

from cases.build import Case, chunk, noise, pack, png, stored, varint, vqc
from cases.models import PAPER, VOICE, Model, random_indices

WAVE = "`u32le` rate, samples per second, 1 to 2^20 - 1; `u32le` samples of a channel, at least 1"
LISTED = "where these first come they are in ascending order (`Corrupt`)"
FIT = "frames = ceil(m / H)"
TAGS = "zlib stream of a Vorbis comment header as in FLAC"
FIELD = "A field of `tags` is a name of the characters 20 to 7D hex but 3D (=), at least one"
ROWS = "each band of its rows is a single row"
KNOWN = "`ALPH` is known in pictures only, `WAVE` in sound only"


def wave(
    rate: int, samples: int, levels: Sequence[int] = (128,), channels: Sequence[int] = ()
) -> bytes:
    """Write the data of a chunk WAVE."""
    return struct.pack("<II", rate, samples) + bytes(levels) + bytes(channels)


def tags(*fields: bytes, vendor: bytes = b"", count: int | None = None, tail: bytes = b"") -> bytes:
    """Write a Vorbis comment header."""
    out = struct.pack("<I", len(vendor)) + vendor
    out += struct.pack("<I", len(fields) if count is None else count)
    return out + b"".join(struct.pack("<I", len(field)) + field for field in fields) + tail


def file(
    name: str,
    frames: int,
    data: bytes | None,
    *,
    model: Model = VOICE,
    channels: int = 1,
    mode: int = 1,
    quality: int = 16,
    tile_log2: int = 9,
    more: Sequence[bytes] = (),
    **fields: Any,
) -> tuple[bytes, Any]:
    """Write sound of random indices with this chunk WAVE, and return its indices, too."""
    indices = random_indices(model, name, channels, frames, quality)
    parts = reference.bands(frames, 1 << tile_log2)
    tiles = [row[None, start:stop] for row in indices for start, stop in parts]
    if mode:
        streams = [reference.encode_prior(tile, model.integers, quality) for tile in tiles]
    else:
        streams = [pack(tile, model.integers.k) for tile in tiles]
    own = [] if data is None else [chunk(b"WAVE", data)]
    options = {"model": model.prefix, "media_type": b"\2", "stride_log2": 0} | fields
    made = vqc(
        frames,
        channels,
        options.pop("tiles", streams),
        mode=mode,
        quality=quality,
        tile_log2=tile_log2,
        chunks=options.pop("chunks", [*own, *more]),
        **options,
    )
    return made, indices


def case(
    name: str,
    tests: str,
    rule: str,
    frames: int,
    data: bytes | None,
    *,
    expect: str = "success",
    unpacked: dict[str, bytes] | None = None,
    model: Model = VOICE,
    **more: Any,
) -> Case:
    """Sound; its indices are compared if it decodes."""
    made, indices = file(name, frames, data, model=model, **more)
    return Case(
        name=f"sound-{name}",
        tests=tests,
        rule=rule,
        data=made,
        model=model.name,
        expect=expect,
        indices=indices if expect == "success" else None,
        pixels=False,
        unpacked=unpacked or {},
    )


def valid() -> Iterator[Case]:
    order = "In mode 1 the indices are coded in *wavefront order*"
    fixed = "each in ceil(log2 K) bits, the highest bit first"
    yield case("prior", "One channel, coded with its prior.", order, 25, wave(16000, 8000))
    yield case("fixed", "The same at fixed length.", fixed, 25, wave(16000, 8000), mode=0)
    yield case("quality-2", "Another quality.", order, 25, wave(16000, 7681), quality=32)
    below = "the nearest of 1..Q; a half belongs to the lower one"
    yield case(
        "quality-24", "Half way: indices of quality 1.", below, 6, wave(16000, 1920), quality=24
    )
    yield case(
        "quality-25", "Above half: indices of quality 2.", below, 6, wave(16000, 1920), quality=25
    )
    yield case("no-groups", "A quality without groups.", order, 9, wave(16000, 2880), quality=48)
    yield case(
        "tiles",
        "Two channels of 13 and 14 frames a tile, stored channel by channel.",
        ROWS,
        40,
        wave(16000, 12800, (128, 100)),
        channels=2,
        tile_log2=4,
    )
    yield case(
        "rate",
        "Another rate: 1001 samples at 44100 Hz are 364 at the model's, two frames.",
        FIT,
        2,
        wave(44100, 1001),
    )
    yield case(
        "copies",
        "Five channels, of which two are coded.",
        LISTED,
        4,
        wave(16000, 1280, (128, 90), (0, 1, 1, 0, 1)),
        channels=2,
    )
    yield case(
        "silence",
        "A channel that is silent.",
        "if v is 0, they are all 0",
        3,
        wave(16000, 960, (0,)),
    )
    comments = tags(b"TITLE=a talk", "ARTIST=jemand, fr\u00fch".encode(), b" }=")
    date = struct.pack("<q", 1_700_000_000_000_000_000)
    yield case(
        "tags",
        "Tags and a date.",
        TAGS,
        3,
        wave(16000, 960),
        more=[chunk(b"tags", stored(comments)), chunk(b"time", date)],
        unpacked={"tags": comments, "time": date},
    )


def limits() -> Iterator[Case]:
    rule = "1 to 2^24 - 1 frames of a channel"
    yield case("one", "A single sample.", WAVE, 1, wave(16000, 1))
    yield case(
        "frames-largest",
        "Nearly the most frames, at the lowest rate.",
        rule,
        50 * 335544,
        wave(1, 335544),
        mode=0,
        quality=48,
        tile_log2=10,
    )
    yield case(
        "channels-255",
        "The most channels.",
        "1 to 255 coded channels",
        1,
        wave(16000, 5, [128] * 255),
        channels=255,
        mode=0,
    )
    yield case(
        "copies-255", "The most copies of a channel.", LISTED, 1, wave(16000, 5, (128,), [0] * 255)
    )
    yield case(
        "rate-largest",
        "The highest rate, the most samples that this project takes by default.",
        "samples than it is willing to decode, all the sound's channels together, here 2^30",
        51201,
        wave(2**20 - 1, 2**30),
        mode=0,
        quality=48,
    )
    for samples, frames in ((319, 1), (320, 1), (321, 2)):
        yield case(
            f"samples-{samples}",
            "Around the samples of a frame.",
            FIT,
            frames,
            wave(16000, samples),
        )
    yield case(
        "levels",
        "The softest and the loudest.",
        "2^((v - 128) / 4)",
        1,
        wave(16000, 5, (1, 255)),
        channels=2,
    )
    many = tags(*[b"A="] * 1024)
    yield case(
        "tags-1024",
        "The most tags.",
        "of at most 1024 fields",
        1,
        wave(16000, 5),
        more=[chunk(b"tags", stored(many))],
        unpacked={"tags": many},
    )


def faulty() -> Iterator[Case]:
    yield from faulty_headers()
    yield from faulty_waves()
    yield from faulty_tags()
    yield from faulty_tiles()


def faulty_headers() -> Iterator[Case]:
    good = wave(16000, 960)
    for name, value in (("0", 0), ("16777216", 2**24)):
        yield case(
            f"frames-{name}",
            f"{value} frames.",
            "varint | frames | 1 to 2^24 - 1 frames",
            3,
            good,
            expect="Corrupt",
            width=varint(value),
        )
    for value in (0, 256, 2**24 - 1):
        yield case(
            f"channels-{value}",
            f"{value} channels.",
            "varint | channels | 1 to 255 coded channels",
            3,
            good,
            expect="Corrupt",
            height=varint(value),
        )
    yield case(
        "frames-too-many",
        "More frames than this project takes by default.",
        "sound of more frames, all channels together, after the channels, here 2^24",
        3,
        good,
        expect="Limit",
        width=varint(2**23 + 1),
        height=varint(2),
    )
    for number, what in ((2, "A literal file"), (3, "A mixed file")):
        yield case(
            f"mode-{number}",
            f"{what} of sound: only pictures have pixels.",
            "u8 | mode | 0: fixed length; 1: prior; of pictures also 2: literal; 3: mixed",
            3,
            good,
            expect="Version",
            mode=number,
        )
    yield case(
        "stride",
        "Frames are positions: stride_log2 is 0.",
        "u8 | stride_log2 | 0 to 7; must be the model's, if there is one; of sound 0",
        3,
        good,
        expect="Corrupt",
        stride_log2=1,
    )
    yield case(
        "tiles-missing",
        "A tile for both channels.",
        ROWS,
        3,
        wave(16000, 960, (9, 9)),
        channels=2,
        tiles=[b""],
        expect="Truncated",
        quality=48,
        mode=0,
        tile_table=b"",
        chunks=[],
    )
    made = vqc(
        3,
        1,
        [b""],
        model=PAPER.prefix,
        media_type=b"\2",
        stride_log2=2,
        chunks=[chunk(b"WAVE", good)],
    )
    yield Case(
        name="sound-of-pictures",
        tests="Sound whose model is one of pictures.",
        rule="A file is rejected if its model is of another medium (`Model`).",
        data=made,
        model=PAPER.name,
        expect="Model",
    )


def faulty_waves() -> Iterator[Case]:
    table = "unless the sound's channels are the coded ones in order"
    for name, tests, rule, data in (
        ("missing", "No chunk WAVE.", "sound has one (`Corrupt` without)", None),
        ("empty", "A chunk WAVE of no bytes.", WAVE, b""),
        ("short", "No level.", "for each coded channel `u8` how loud it is", wave(16000, 960, ())),
        ("rate-0", "A rate of 0.", WAVE, wave(0, 960)),
        ("rate-2-20", "A rate of 2^20.", WAVE, wave(2**20, 62915)),
        ("samples-0", "No samples.", WAVE, wave(16000, 0)),
        ("too-few", "960 samples would fill three frames, 640 two.", FIT, wave(16000, 640)),
        ("too-many", "961 samples need four frames.", FIT, wave(16000, 961)),
        ("another-rate", "960 samples at 8000 Hz need six frames.", FIT, wave(8000, 960)),
        ("needless", "A list of the coded channels in order.", table, wave(16000, 960, (9,), (0,))),
        (
            "channel-not-coded",
            "A channel that is not coded.",
            LISTED,
            wave(16000, 960, (9,), (0, 1)),
        ),
        (
            "channels-256",
            "256 channels.",
            "for each of the at most 255 channels a `u8`",
            wave(16000, 960, (9,), [0] * 256),
        ),
    ):
        yield case(f"wave-{name}", tests, rule, 3, data, expect="Corrupt")
    for name, tests, listed in (
        ("order", "The second coded channel comes first.", (1, 0)),
        ("lacking", "The second coded channel is none of the sound's.", (0, 0)),
    ):
        yield case(
            f"wave-{name}",
            tests,
            LISTED,
            3,
            wave(16000, 960, (9, 9), listed),
            channels=2,
            expect="Corrupt",
        )
    yield case(
        "samples-too-many",
        "More samples than this project takes by default.",
        WAVE,
        51201,
        wave(2**20 - 1, 2**30, (9,), (0, 0)),
        mode=0,
        quality=48,
        expect="Limit",
    )


def faulty_tags() -> Iterator[Case]:
    for name, tests, rule, data in (
        ("no-zlib", "No zlib stream.", TAGS, noise("tags", 20)),
        ("short", "Seven bytes.", TAGS, stored(bytes(7))),
        ("vendor", "A vendor string.", "its vendor string empty", stored(tags(vendor=b"someone"))),
        ("cut", "A field that ends early.", TAGS, stored(tags(b"A=b")[:-1])),
        ("fewer", "A field less than is told.", TAGS, stored(tags(b"A=b", count=2))),
        ("1025", "1025 fields.", "of at most 1024 fields", stored(tags(*[b"A="] * 1025))),
        (
            "tail",
            "A byte after the last field.",
            "nothing follows the last field",
            stored(tags(b"A=b", tail=b"\1")),
        ),
        ("no-sign", "A field without =.", FIELD, stored(tags(b"text"))),
        ("no-name", "A field without a name.", FIELD, stored(tags(b"=text"))),
        ("name", "A name with a tilde.", FIELD, stored(tags(b"A~=text"))),
        ("text", "A text that is no UTF-8.", "and a text in UTF-8", stored(tags(b"A=\xff"))),
    ):
        yield case(
            f"tags-{name}",
            tests,
            rule,
            3,
            wave(16000, 960),
            expect="Corrupt",
            more=[chunk(b"tags", data)],
        )
    yield case(
        "time-7",
        "A date of seven bytes.",
        "`time` | 8 bytes, a signed integer",
        3,
        wave(16000, 960),
        expect="Corrupt",
        more=[chunk(b"time", bytes(7))],
    )
    opaque = chunk(b"ALPH", png(random_alpha()))
    yield case(
        "alpha",
        "Sound has no alpha.",
        KNOWN,
        3,
        None,
        expect="Version",
        chunks=[opaque, chunk(b"WAVE", wave(16000, 960))],
    )
    picture = vqc(
        4,
        4,
        [pack(random_indices(PAPER, "wave", 1, 1), PAPER.integers.k)],
        model=PAPER.prefix,
        mode=0,
        chunks=[chunk(b"WAVE", wave(16000, 960))],
    )
    yield Case(
        name="wave-of-a-picture",
        tests="A picture has no waveform.",
        rule=KNOWN,
        data=picture,
        model=PAPER.name,
        expect="Version",
    )


def random_alpha() -> Any:
    return random_indices(PAPER, "alpha", 1, 3)[:, :, 0].astype("uint8")


def faulty_tiles() -> Iterator[Case]:
    canonical = "There is one stream for given indices"
    whole = random_indices(VOICE, "stream", 1, 30, 16)
    stream = reference.encode_prior(whole, VOICE.integers, 16)
    for name, tests, data in (
        ("cut", "A stream without its last word.", stream[:-4]),
        ("long", "A stream with a word too many.", stream + bytes(4)),
        ("of-3-bytes", "A stream of three bytes.", stream[:3]),
    ):
        rule = (
            "a stream whose length is no multiple of 4 is `Corrupt`" if len(data) % 4 else canonical
        )
        yield case(
            f"stream-{name}", tests, rule, 30, wave(16000, 9600), tiles=[data], expect="Corrupt"
        )
