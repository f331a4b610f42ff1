"""Files of clips: right ones, those that go as far as SPEC.md allows, and wrong ones."""

import itertools
import struct
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import reference
import reference_clip

from cases.build import Case, chunk, noise, numbers, pack, stored, varint, vqc, zeros
from cases.changes import Change, as_type, bound, reshaped, set_to, table, without
from cases.models import CLIPS, PAPER, Model, clip

GROUPS = "group k = 0..n-1 having the frames"
ONE = "one range coder goes on from frame to frame"
FILLED = "bits are filled up after the last one alone"
SEES = "of the first frame of a group it sees nothing"
MEET = "A tile is where a group, a band of rows and a band of columns meet."
TIMING = "`u32le` scale, ticks per second, at least 1; `u32le` loops"
SHORTEST = "no integer above 1 divides scale and all of them (`Corrupt`)"
SAME = "several numbers of ticks are not all the same"
ACTIONS = "the number of the action that led to it from the frame before"
MOST = "at most the model's number of actions"
NOT_ALL = "not all of them are 0"
KNOWN = "`ACTS` and `CLIP` are known in clips only"
HAS = "a clip has a `CLIP` (`Corrupt` without)"
MEDIUM = "A file is rejected if its model is of another medium"
TENSORS = "with a tensor missing or of another type or shape"
TABLES = "The tables have the keys named above and no others"
SUMS = "and keep the rules above"
RANGES = "E 1 to 41, H 1 to 115, L 0 to 8"
NAMES = "actions are a list of at most 255 different texts of 1 to 64 printable characters"
RATES = "frames_per_second is 0.01 to 1000"

WIDEST = clip("clips-widest", embedding=41, channels=115, layers=1)
DEEPEST = clip("clips-deepest", layers=8, rate=1000)
FIRST = clip("clips-first", layers=0, actions=[], rate=0.01)
MOST_ACTIONS = clip("clips-actions", actions=[*(str(k) for k in range(254)), 64 * "z"])


def timing(scale: int, loops: int, *ticks: int) -> bytes:
    """Write the data of a chunk CLIP."""
    return struct.pack(f"<II{len(ticks)}I", scale, loops, *ticks)


USUAL = timing(25, 0, 2)


def case(
    name: str,
    tests: str,
    rule: str,
    shape: tuple[int, int, int],
    data: bytes | None = USUAL,
    *,
    expect: str = "success",
    model: Model = CLIPS,
    mode: int = 1,
    tile_log2: int = 4,
    actions: bytes | None = None,
    packed: bytes | None = None,
    more: Sequence[bytes] = (),
    unpacked: dict[str, bytes] | None = None,
    **fields: Any,
) -> Case:
    """A clip of random indices; `shape` is frames, height and width of a frame in pixels."""
    frames, height, width = shape
    sides = frames, -(-height // 4), -(-width // 4)
    indices = numbers(f"{model.name}/{name}", sides, 0, model.integers.k - 1)
    cuts = [reference.bands(frames, 32)]
    cuts += [reference.bands(side, 1 << tile_log2) for side in sides[1:]]
    known = len(model.config.get("clip", {"actions": ()})["actions"])
    coded = bytes(min(action, known) for action in actions or bytes(frames))
    streams = []
    for box in itertools.product(*cuts):
        tile = indices[tuple(slice(*edges) for edges in box)]
        if mode == 1:
            own = coded[slice(*box[0])]
            streams.append(reference_clip.encode_prior(tile, model.integers, own))
        else:
            streams.append(pack(tile, model.integers.k))
    chunks = [] if actions is None else [chunk(b"ACTS", packed or stored(actions))]
    chunks += [] if data is None else [chunk(b"CLIP", data)]
    options: dict[str, Any] = {"media_type": b"\3", "frames": frames, "model": model.prefix}
    options |= fields
    made = vqc(
        width,
        height,
        options.pop("tiles", streams),
        mode=mode,
        tile_log2=tile_log2,
        chunks=options.pop("chunks", [*chunks, *more]),
        **options,
    )
    return Case(
        name=f"clip-{name}",
        tests=tests,
        rule=rule,
        data=made,
        model=model.name,
        expect=expect,
        indices=indices[..., None] if expect == "success" else None,
        pixels=False,
        unpacked=unpacked or {},
    )


def valid() -> Iterator[Case]:
    yield case("prior", "Three frames in one stream.", ONE, (3, 20, 28))
    yield case("fixed", "The same at fixed length.", FILLED, (3, 20, 28), mode=0)
    yield case("frame", "A single frame.", ONE, (1, 17, 9))
    yield case("groups", "34 frames, two groups of 17.", GROUPS, (34, 8, 8))
    yield case("first", "32 frames are a single group.", GROUPS, (32, 4, 8))
    yield case(
        "tiles",
        "Two groups of two bands of rows and two of columns.",
        MEET,
        (33, 68, 72),
        mode=0,
    )
    yield case("tiles-prior", "Tiles of a frame see none beside them.", SEES, (2, 8, 68))
    acts = bytes([0, 1, 2, 3, 1, 1])
    yield case(
        "actions",
        "Six frames and what led to them.",
        ACTIONS,
        (6, 12, 16),
        actions=acts,
        unpacked={"ACTS": acts},
    )
    acts = bytes([2] * 40)
    yield case(
        "actions-groups",
        "The first frame of a group has no action, whatever the chunk says.",
        "but 0 of a group's first frame",
        (40, 4, 4),
        actions=acts,
        unpacked={"ACTS": acts},
    )
    yield case(
        "durations",
        "Frames that are shown 1, 2 and 4 of 7 ticks of a second, three times.",
        TIMING,
        (3, 8, 8),
        timing(7, 3, 1, 2, 4),
        unpacked={"CLIP": timing(7, 3, 1, 2, 4)},
    )
    date = struct.pack("<q", 1_700_000_000_123_456_789)
    yield case(
        "date",
        "With the date of the clip's file.",
        "when the file of the picture, sound or clip was last changed",
        (2, 8, 8),
        more=[chunk(b"time", date)],
        unpacked={"time": date},
    )


def limits() -> Iterator[Case]:
    for model, tests, rule in (
        (WIDEST, "The largest E and H.", RANGES),
        (DEEPEST, "The largest L, and the highest rate.", RANGES),
        (FIRST, "L = 0, no actions, and the lowest rate.", RATES),
    ):
        yield case(model.name, tests, rule, (2, 12, 12), model=model)
    acts = bytes([0, 255, 254])
    yield case(
        "actions-most",
        "The last of most actions.",
        MOST,
        (3, 8, 8),
        model=MOST_ACTIONS,
        actions=acts,
    )
    largest = 2**32 - 1
    yield case("ticks-most", "The largest numbers.", TIMING, (2, 4, 4), timing(largest, largest, 1))
    yield case(
        "ticks-longest",
        "Frames that are shown as long as can be.",
        TIMING,
        (2, 4, 4),
        timing(1, 0, largest, largest - 1),
    )
    yield case(
        "tile-largest", "The largest tile.", "of clips 4 to 7", (1, 512, 516), mode=0, tile_log2=7
    )
    yield case(
        "many",
        "Very many frames of one pixel, in tiles of 32 frames.",
        "frames of the clip",
        (3200, 1, 1),
        mode=0,
    )


def faulty() -> Iterator[Case]:
    corrupt = partial(case, expect="Corrupt")
    shape = (3, 8, 8)
    for name, row in (
        (side, f"{side} | 1 to 2^24 - 1 pixels of a frame") for side in ("width", "height")
    ):
        for value in (0, 2**24):
            field = {name: varint(value)}
            yield corrupt(f"{name}-{value}", f"A {name} out of range.", row, shape, **field)
    for value in (0, 2**24):
        yield corrupt(
            f"frames-{value}",
            "A number of frames out of range.",
            "frames of the clip",
            shape,
            frames=value,
        )
    yield case(
        "too-many-pixels",
        "Frames of more than 2^28 pixels in all.",
        "a clip whose frames have more pixels in all, after the frames",
        shape,
        expect="Limit",
        width=varint(2**14),
        height=varint(2**10),
        frames=2**4 + 1,
    )
    yield corrupt("tile-log2-8", "A tile_log2 of 8.", "of clips 4 to 7", shape, tile_log2=8)
    yield case(
        "mode-2",
        "Literal pixels.",
        "of pictures also 2: literal; 3: mixed",
        shape,
        expect="Version",
        mode=2,
    )
    yield corrupt("quality", "A quality.", "their files have quality 0", shape, quality=1)
    yield corrupt("stride", "Another stride.", "must be the model's", shape, stride_log2=3)
    yield corrupt("no-timing", "No chunk CLIP.", HAS, shape, None)
    for name, tests, data in (
        ("empty", "No byte.", b""),
        ("short", "No ticks.", timing(25, 0)),
        ("two", "Ticks of two frames of three.", timing(25, 0, 1, 2)),
        ("four", "Ticks of four frames of three.", timing(25, 0, 1, 2, 3, 4)),
        ("scale-0", "A scale of 0.", timing(0, 0, 1)),
        ("ticks-0", "A frame that is not shown.", timing(25, 0, 1, 0, 1)),
    ):
        yield corrupt(f"timing-{name}", tests, TIMING, shape, data)
    yield corrupt("timing-same", "The same three times.", SAME, shape, timing(25, 0, 2, 2, 2))
    yield corrupt("timing-divisible", "Twice too fine.", SHORTEST, shape, timing(50, 0, 2, 4, 6))
    acts = bytes([0, 1, 2])
    yield corrupt("actions-4", "The fourth of three.", MOST, shape, actions=acts[:2] + b"\4")
    yield corrupt("actions-none", "No action.", NOT_ALL, shape, actions=bytes(3))
    for name, tests, packed in (
        ("few", "Of two frames of three.", stored(acts[:2])),
        ("many", "Of four frames of three.", stored(acts + b"\1")),
        ("no-zlib", "No zlib stream.", noise("acts", 9)),
        ("tail", "A byte after the stream.", stored(acts) + b"\0"),
        ("cut", "A stream that ends early.", stored(acts)[:-1]),
    ):
        yield corrupt(f"actions-{name}", tests, ACTIONS, shape, actions=acts, packed=packed)
    yield case(
        "actions-too-large",
        "A stream that unpacks to more than 2^24 bytes.",
        "unpacks to at most 2^24 bytes (`Limit`)",
        shape,
        expect="Limit",
        actions=acts,
        packed=zeros(2**24 + 1),
    )
    for kind, data in ((b"ALPH", b""), (b"WAVE", b"")):
        name = kind.decode()
        yield case(
            f"with-{name}",
            f"A chunk {name}.",
            "is known in pictures only" if kind == b"ALPH" else "`WAVE` in sound only",
            shape,
            expect="Version",
            chunks=sorted([chunk(kind, data), chunk(b"CLIP", USUAL)]),
        )
    for index, name in ((20, "20"), (31, "31")):
        tile = pack(numbers("index", (3, 2, 2), index, index), CLIPS.integers.k)
        yield corrupt(
            f"index-{name}", "No codeword.", "an index of k or more", shape, mode=0, tiles=[tile]
        )
    whole = case("whole", "", ONE, (3, 8, 8))
    stream = reference.parse(whole.data)["streams"][0]
    for name, tests, tile in (
        ("cut", "A word too few.", stream[:-4]),
        ("long", "A word too many.", stream + bytes(4)),
        ("odd", "Three bytes of a word.", stream[:-1]),
        ("none", "No word.", b""),
    ):
        yield corrupt(
            f"stream-{name}",
            tests,
            "the one that the encoder above writes" if name != "odd" else "no multiple of 4",
            shape,
            tiles=[tile],
        )
    yield case(
        "of-a-picture-model",
        "A model of pictures.",
        MEDIUM,
        shape,
        expect="Model",
        model=PAPER,
        mode=0,
    )
    for made, (_, tests, rule, _) in zip(FAULTY, FAULTS, strict=True):
        yield Case(
            name=made.name.replace("faulty-", "model-"),
            tests=tests,
            rule=rule,
            data=vqc(
                4,
                4,
                [b"\0"],
                frames=1,
                model=made.prefix,
                media_type=b"\3",
                mode=0,
                chunks=[chunk(b"CLIP", USUAL)],
            ),
            model=made.name,
            expect="Model",
        )


def changed(change: Change) -> Callable[[str], Model]:
    """A model that would be right but for a change."""
    return lambda name: CLIPS.changed(name, change)


def named(*names: object) -> Callable[[str], Model]:
    """A model whose actions have these names."""
    return partial(clip, actions=list(names))


FAULTS: list[tuple[str, str, str, Callable[[str], Model]]] = [
    ("e-0", "E = 0.", RANGES, partial(clip, embedding=0)),
    ("e-42", "E = 42.", RANGES, partial(clip, embedding=42)),
    ("h-0", "H = 0.", RANGES, partial(clip, channels=0)),
    ("h-116", "H = 116.", RANGES, partial(clip, channels=116)),
    ("layers-9", "L = 9.", RANGES, partial(clip, layers=9)),
    ("layers-negative", "L = -1.", RANGES, changed(table("temporal", layers=-1))),
    ("actions-256", "256 actions.", NAMES, named(*(str(k) for k in range(256)))),
    ("twins", "Two actions of one name.", NAMES, named("a", "b", "a")),
    ("empty-name", "An empty name.", NAMES, named("a", "")),
    ("long-name", "A name of 65 characters.", NAMES, named("a", 65 * "b")),
    ("unprintable", "A line feed in a name.", NAMES, named("a", "b\n")),
    ("number", "A number as a name.", NAMES, named("a", 2)),
    ("rate-0", "No frames per second.", RATES, partial(clip, rate=0)),
    ("rate-1001", "1001 frames per second.", RATES, partial(clip, rate=1001)),
    ("key", "A further key.", TABLES, changed(table("temporal", further=1))),
    ("clip-key", "A further key.", TABLES, changed(table("clip", further=1))),
    ("no-table", "No table `temporal`.", TABLES, changed(lambda m: m.config.pop("temporal"))),
    ("no-clip", "No table `clip`.", TABLES, changed(lambda m: m.config.pop("clip"))),
    ("missing-actions", "No actions.", TENSORS, changed(without("temporal.actions"))),
    ("missing-embedding", "No embedding.", TENSORS, changed(without("temporal.embedding"))),
    ("missing-layer", "No layer.", TENSORS, changed(without("temporal.layers.0.weight"))),
    ("missing-output", "No output.", TENSORS, changed(without("temporal.output.shift"))),
    ("type-actions", "Actions of 32 bits.", TENSORS, changed(as_type("temporal.actions", "I32"))),
    (
        "shape-embedding",
        "An embedding of another shape.",
        TENSORS,
        changed(reshaped("temporal.embedding", 4, 20)),
    ),
    ("embedding", "A number of -128.", SUMS, changed(set_to("temporal.embedding", -128))),
    ("weight", "A weight of -128.", SUMS, changed(set_to("temporal.output.weight", -128))),
    ("shift", "A shift of 21.", SUMS, changed(set_to("temporal.first.shift", 21))),
    ("sum-first", "A sum of 2^24.", SUMS, changed(bound("temporal.first"))),
    ("sum-layer", "A sum of -2^24.", SUMS, changed(bound("temporal.layers.0", negative=True))),
    ("sum-output", "A sum of 2^24.", SUMS, changed(bound("temporal.output"))),
]
FAULTY = [make(f"faulty-clip-{name}") for name, _, _, make in FAULTS]
MODELS = [CLIPS, WIDEST, DEEPEST, FIRST, MOST_ACTIONS, *FAULTY]
