"""Sound in the voices of a model's speakers: right files, such as go far, and wrong ones."""

import struct
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from cases.build import Case, chunk, pack, vqc
from cases.changes import table
from cases.models import SPEAKERS, VOICE, Model, random_indices, speakers
from cases.sound import case, wave

CHUNK = "the number of the speaker in whose voice it is decoded"
BELOW = "below the model's number of speakers"
DEFAULT = "Without a chunk `spkr` the speakers of all channels have number 0."
ONE = "A model without speakers counts as one that has one."
FIT = "frames = ceil(m / H)"
ORDER = "In mode 1 the indices are coded in *wavefront order*"
FIXED = "each in ceil(log2 K) bits, the highest bit first"
NAMES = "Names are different, of 1 to 64 printable characters."
TABLES = "The tables have the keys named above and no others"
LIST = "`speakers`, a list of the names of S speakers"
SIZES = "K equal in both tables"
STRIDES = "strides are a list of 1 to 16 integers 2 to 8, H is at most 2048"
WIDTHS = "widths are a list of as many integers 1 to 1024"
DEPTHS = "depths 0 to 32, hidden 1 to 4096, D, E and decoder_width 1 to 1024"
HOP = "h even, 32 to 1024 and a divisor of H, D a multiple of H / h, S 1 to 4096"

LONGEST = speakers(
    "speakers-longest", strides=[2] * 11, widths=[1] * 11, spectrum_hop=1024, decoder_depth=0
)
MOST = speakers("speakers-most", names=[*(str(k) for k in range(4095)), 64 * "z"])


def numbers(*speakers: int) -> bytes:
    """Write a chunk spkr."""
    return chunk(b"spkr", struct.pack(f"<{len(speakers)}H", *speakers))


def valid() -> Iterator[Case]:
    data = wave(16000, 25 * 32)
    yield case("speaker-0", "One channel, without a chunk.", DEFAULT, 25, data, **plain())
    yield case("speaker-fixed", "At fixed length.", FIXED, 25, data, mode=0, **plain())
    yield case("speaker-frames", "33 samples, two frames.", FIT, 2, wave(16000, 33), **plain())
    yield case(
        "speaker-tiles",
        "Two channels of three tiles each, in two voices.",
        CHUNK,
        40,
        wave(16000, 40 * 32, (128, 100)),
        channels=2,
        tile_log2=4,
        more=[numbers(2, 1)],
        unpacked={"spkr": struct.pack("<2H", 2, 1)},
        **plain(),
    )
    yield case(
        "speaker-rate",
        "Another rate: 1001 samples at 44100 Hz are 364 at the model's, 12 frames.",
        ORDER,
        12,
        wave(44100, 1001),
        more=[numbers(1)],
        **plain(),
    )


def limits() -> Iterator[Case]:
    yield case(
        "speaker-last",
        "The last of the most speakers.",
        BELOW,
        3,
        wave(16000, 96),
        more=[numbers(4095)],
        **plain(MOST),
    )
    yield case(
        "speaker-longest",
        "The most samples of an index, in frames of the largest hop.",
        HOP,
        2,
        wave(16000, 2049),
        **plain(LONGEST),
    )


def faulty() -> Iterator[Case]:
    data = wave(16000, 96)
    for name, tests, rule, numbered in (
        ("out-of-range", "The fourth of three speakers.", BELOW, numbers(3)),
        ("needless", "A chunk of zeros.", "not all of them are 0", numbers(0)),
        ("many", "Two speakers of one channel.", CHUNK, numbers(1, 1)),
        ("short", "One byte.", CHUNK, chunk(b"spkr", b"\1")),
        ("empty", "No byte.", CHUNK, chunk(b"spkr", b"")),
    ):
        more = [numbered]
        yield case(f"speaker-{name}", tests, rule, 3, data, expect="Corrupt", more=more, **plain())
    yield case(
        "speaker-of-none",
        "A speaker of a model that has none.",
        ONE,
        3,
        wave(16000, 960),
        expect="Corrupt",
        more=[numbers(1)],
        model=VOICE,
    )
    tile = pack(random_indices(SPEAKERS, "faulty", 1, 3), SPEAKERS.integers.k)
    for made, (name, tests, rule, _) in zip(FAULTY, FAULTS, strict=True):
        yield Case(
            name=f"model-speakers-{name}",
            tests=tests,
            rule=rule,
            data=vqc(
                3,
                1,
                [tile],
                model=made.prefix,
                media_type=b"\2",
                mode=0,
                stride_log2=0,
                chunks=[chunk(b"WAVE", data)],
            ),
            model=made.name,
            expect="Model",
        )


def plain(model: Model = SPEAKERS) -> dict[str, Any]:
    """What files of these models have in common."""
    return {"model": model, "quality": 0}


def named(*names: object) -> Callable[[str], Model]:
    """A model whose speakers have these names."""
    return partial(speakers, names=list(names))


def changed_table(**values: object) -> Callable[[str], Model]:
    """A model whose table `autoencoder` says something else than what is there."""
    return lambda name: SPEAKERS.changed(name, table("autoencoder", **values))


def unnamed(name: str) -> Model:
    return SPEAKERS.changed(name, lambda model: model.config.pop("speakers"))


FAULTS: list[tuple[str, str, str, Callable[[str], Model]]] = [
    ("none", "No speakers.", HOP, named()),
    ("4097", "4097 speakers.", HOP, named(*(str(k) for k in range(4097)))),
    ("not-named", "No names.", LIST, unnamed),
    ("twins", "Two of one name.", NAMES, named("a", "b", "a")),
    ("empty-name", "An empty name.", NAMES, named("a", "", "c")),
    ("long-name", "A name of 65 characters.", NAMES, named("a", 65 * "b", "c")),
    ("unprintable", "A line feed in a name.", NAMES, named("a", "b\n", "c")),
    ("number", "A number as a name.", NAMES, named("a", 2, "c")),
    ("stride-1", "A stride of 1.", STRIDES, partial(speakers, strides=[1, 8, 4], widths=[1] * 3)),
    (
        "stride-9",
        "A stride of 9.",
        STRIDES,
        partial(speakers, strides=[9, 4], widths=[1] * 2, spectrum_hop=36),
    ),
    (
        "longer",
        "4096 samples of an index.",
        STRIDES,
        partial(speakers, strides=[8] * 4, widths=[1] * 4, spectrum_hop=1024, code_dim=4),
    ),
    (
        "depth",
        "33 blocks.",
        DEPTHS,
        partial(speakers, decoder_depth=33),
    ),
    ("hop-odd", "An odd h.", HOP, partial(speakers, strides=[5, 7], spectrum_hop=35)),
    ("hop-30", "h = 30.", HOP, partial(speakers, strides=[5, 6], spectrum_hop=30)),
    ("hop-divisor", "h = 48, H = 64.", HOP, partial(speakers, strides=[8, 8], spectrum_hop=48)),
    (
        "parts",
        "A codeword of one number for two frames.",
        HOP,
        changed_table(strides=[8, 8], code_dim=1),
    ),
    ("widths", "A width too many.", WIDTHS, changed_table(widths=[2, 1, 1])),
    ("codebook", "Another K than the prior's.", SIZES, changed_table(codebook_size=23)),
    ("key", "A further key.", TABLES, changed_table(rate=16000)),
]
FAULTY = [make(f"faulty-speakers-{name}") for name, _, _, make in FAULTS]
MODELS = [SPEAKERS, LONGEST, MOST, *FAULTY]
