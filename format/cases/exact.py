"""Architecture photo-2: pixels that are the same on every machine, ordinary and at all limits."""

from collections.abc import Iterator

import numpy as np

from cases.build import Array, Case, numbers, pack, vqc
from cases.changes import Change, as_type, reshaped, set_to, table, without
from cases.models import Model, photo, random_indices
from cases.valid import case

LIMIT = 2**24
CODEBOOKS = [
    {
        0: [([[5], [0]], 7), ([[3, 1]], 20), ([[2, 7, 4, 6]], 16)],
        1: [([[*range(8)]], 20), ([[8]], 12)],
        2: [([[0]], 12), ([[2]], 3)],
    },
    {1: [([[7]], 5), ([[0, 1], [8, 3], [4, 5]], 12)], 2: [([[2, 0]], 20)]},
]


def photo2(name: str, scale: int = 3 * 2**20, depths: tuple[int, int, int] = (1, 1, 2)) -> Model:
    """A model of 20 latents, 5 of them details, whose scales are about `scale`."""
    widths = (4, 4, 6)
    model = photo(name, CODEBOOKS, size=20, latents=20, details=5, slices=(8, 9, 3), widths=widths)
    model.config["architecture"] = "photo-2"
    model.config["transform"].pop("gain_octaves")
    model.config["transform"].pop("depths")
    model.config["transform"].update(analysis_depths=[0, 0, 0], synthesis_depths=[*depths])
    for tensor in [tensor for tensor in model.tensors if tensor.startswith("synthesis.")]:
        model.tensors.pop(tensor)
    model.tensors["scales"] = ("I32", numbers(f"{name}/scales", (2, 20), scale // 2, scale))
    for layer, inputs, outputs, size in wide_layers(widths, depths):
        wide(model, layer, inputs, outputs, size)
    for layer, channels in blocks(widths, depths):
        block(model, layer, channels)
    # The samples lie around the middle grey.
    last = f"synthesis.layers.{sum(depths) + 5}"
    model.tensors[f"{last}.shift"] = ("U8", np.full(48, 2))
    model.tensors[f"{last}.bias"] = ("I32", model.tensors[f"{last}.bias"][1] + (128 << 8))
    return model


def wide_layers(
    widths: tuple[int, int, int], depths: tuple[int, int, int]
) -> list[tuple[str, int, int, int]]:
    """Name, inputs, outputs and size of each wide layer."""
    (fine, middle, coarse), (few, some, many) = widths, depths
    return [
        ("synthesis.layers.0", 15, coarse, 3),
        (f"synthesis.layers.{many + 1}", coarse, 4 * middle, 1),
        (f"synthesis.layers.{many + some + 3}", middle, 4 * fine, 1),
        (f"synthesis.layers.{many + some + few + 5}", fine, 48, 3),
        ("synthesis.details.0", 5, 768, 1),
    ]


def blocks(widths: tuple[int, int, int], depths: tuple[int, int, int]) -> list[tuple[str, int]]:
    """Name and channels of each block."""
    found, number = [], 1
    for channels, depth in zip(reversed(widths), reversed(depths), strict=True):
        found += [(f"synthesis.layers.{number + k}", channels) for k in range(depth)]
        number += depth + 2
    return found


def wide(model: Model, name: str, inputs: int, outputs: int, size: int) -> None:
    seed = f"{model.name}/{name}"
    for digit in ("high", "low"):
        model.numbers(f"{name}.{digit}", "I8", (outputs, inputs, size, size), 64)
    model.numbers(f"{name}.bias", "I32", (outputs,), 4000)
    model.tensors[f"{name}.input"] = ("U8", numbers(f"{seed}.input", (1,), 0, 2))
    model.tensors[f"{name}.shift"] = ("U8", numbers(f"{seed}.shift", (outputs,), 3, 6))


def block(model: Model, name: str, channels: int) -> None:
    seed = f"{model.name}/{name}"
    for part, shift in (("first", 5), ("second", 6)):
        model.numbers(f"{name}.{part}.weight", "I8", (channels, channels, 3, 3), 64)
        model.numbers(f"{name}.{part}.bias", "I32", (channels,), 4000)
        shifts = numbers(f"{seed}.{part}.shift", (channels,), shift, shift + 3)
        model.tensors[f"{name}.{part}.shift"] = ("U8", shifts)
    model.tensors[f"{name}.input"] = ("U8", numbers(f"{seed}.input", (1,), 2, 4))
    model.tensors[f"{name}.output"] = ("U8", numbers(f"{seed}.output", (channels,), 0, 4))


def cut(model: Model) -> None:
    """No shifts and the largest weights, so that whatever can be cut is cut, at both ends."""
    for name, (dtype, values) in model.tensors.items():
        if name.startswith("synthesis."):
            if dtype == "I8":
                model.tensors[name] = (dtype, np.where(np.asarray(values) < 0, -64, 64))
            elif name.endswith((".input", ".shift")):
                model.tensors[name] = (dtype, np.zeros_like(values))


def full(model: Model) -> None:
    """Every sum can reach 2^24 - 1 or -(2^24 - 1), as far as rounding lets it."""
    cut(model)
    for name in [name for name in model.tensors if name.endswith(".bias")]:
        layer = name.removesuffix(".bias")
        if not layer.startswith("synthesis."):
            continue
        if f"{layer}.high" in model.tensors:
            high, low = (magnitudes(model, f"{layer}.{digit}") for digit in ("high", "low"))
            largest = 1024 * high + (128 * (high + low) >> 4) + 1
            shift = 10
        else:
            activation = 128 if layer.endswith("first") else 255
            largest = activation * magnitudes(model, f"{layer}.weight")
            shift = 16
        signs = np.where(np.arange(len(largest)) % 2, -1, 1)
        model.tensors[name] = ("I32", signs * (LIMIT - 1 - largest))
        model.tensors[f"{layer}.shift"] = ("U8", np.full(len(largest), shift))


def magnitudes(model: Model, name: str) -> Array:
    values: Array = np.abs(model.tensors[name][1])
    return values.reshape(len(values), -1).sum(1)


def fill_stream(output: int) -> Change:
    """Two blocks that each add up to half of 2^24, or less, to a stream of nothing."""

    def change(model: Model) -> None:
        for key in ("high", "low", "bias"):
            model.set(f"synthesis.layers.0.{key}", ..., 0)
        model.set("synthesis.layers.1.output", ..., 16)
        model.set("synthesis.layers.2.output", ..., output)

    return change


def spread(model: Model) -> None:
    """Scales of 0 and of 2^31 - 1, each beside the other one at the next quality."""
    turns = (np.arange(2)[:, None] + np.arange(20)) % 2
    model.tensors["scales"] = ("I32", turns * (2**31 - 1))


def many(qualities: int) -> Change:
    """So many qualities, those from the third on like the second but for their scales."""

    def change(model: Model) -> None:
        model.config["transform"]["qualities"] = qualities
        for name, (dtype, values) in list(model.tensors.items()):
            if name in ("gains", "scales", "prior.quality"):
                more = [np.asarray(values)[-1:] + n for n in range(1, qualities - 1)]
                model.tensors[name] = (dtype, np.concatenate([values, *more]))
            elif name.startswith("codebooks.2."):
                rest = name.removeprefix("codebooks.2.")
                for quality in range(3, qualities + 1):
                    model.tensors[f"codebooks.{quality}.{rest}"] = (dtype, values)

    return change


def fill_pixels(model: Model) -> None:
    for name in ("synthesis.layers.9", "synthesis.details.0"):
        for key in ("high", "low", "shift"):
            model.set(f"{name}.{key}", ..., 0)
        model.set(f"{name}.bias", ..., 2**23)


PHOTO2 = photo2("photo-2")
CUT = photo2("photo-2-cut", scale=2**31 - 1).changed("exact-cut", cut)
FULL = photo2("photo-2-full").changed("exact-full", full)
STREAM = photo2("photo-2-stream").changed("exact-stream", fill_stream(15))
FAR = photo2("photo-2-far").changed("exact-far", spread)
MANY = photo2("photo-2-many").changed("exact-many", many(15))

WEIGHTS = "| `.first.weight`, `.second.weight` | int8 | (n, n, 3, 3) | -64 to 64 |"
DIGITS = "| `.high`, `.low` | int8 | (O, I, size, size) | -64 to 64 |"
SHIFTS = "| `.first.shift`, `.second.shift` | uint8 | (n) | 0 to 20 |"
BLOCKS = "in a block, 128 |first.weight| + |first.bias| and 255 |second.weight| + |second.bias|"
WIDE = "in a wide layer, P = 128 (|high| + |low|), and T = 1024 |high| + (P >> 4) + 1 + |bias|"
BETWEEN = "scale = (`scales`[below - 1] * (16 - part) + `scales`[below] * part + 8) >> 4"
MOST = "Q is 1 to 15, both depths have 0 to 16 blocks"
TENSORS = "with a tensor missing or of another type or shape"


def further(name: str) -> Change:
    """One more in the last bias, away from 0."""

    def change(model: Model) -> None:
        last = model.tensors[name][1][-1]
        model.set(name, -1, last + (1 if last >= 0 else -1))

    return change


FAULTS: list[tuple[str, str, str, Change]] = [
    ("weight-65", "A weight of 65.", WEIGHTS, set_to("synthesis.layers.1.first.weight", 65)),
    ("weight-128", "A weight of -128.", WEIGHTS, set_to("synthesis.layers.2.second.weight", -128)),
    ("high-65", "A high digit of -65.", DIGITS, set_to("synthesis.layers.0.high", -65)),
    ("low-65", "A low digit of 65.", DIGITS, set_to("synthesis.details.0.low", 65)),
    ("shift-21", "A shift of 21.", SHIFTS, set_to("synthesis.layers.1.second.shift", 21)),
    (
        "wide-shift-21",
        "A shift of 21 in a wide layer.",
        "| `.shift` | uint8 | (O) | 0 to 20 |",
        set_to("synthesis.layers.0.shift", 21),
    ),
    (
        "wide-input-10",
        "An input of 10 in a wide layer.",
        "| wide: `.input` | uint8 | (1) | 0 to 9 |",
        set_to("synthesis.details.0.input", 10),
    ),
    (
        "input-17",
        "An input of 17 in a block.",
        "| block: `.input` | uint8 | (1) | 0 to 16 |",
        set_to("synthesis.layers.1.input", 17),
    ),
    (
        "output-17",
        "An output of 17 in a block.",
        "| `.output` | uint8 | (n) | 0 to 16 |",
        set_to("synthesis.layers.2.output", 17),
    ),
    ("first", "A first sum that can be 2^24.", BLOCKS, further("synthesis.layers.1.first.bias")),
    ("second", "A second sum that can be 2^24.", BLOCKS, further("synthesis.layers.1.second.bias")),
    ("wide", "A wide layer's sum that can be 2^24.", WIDE, further("synthesis.layers.0.bias")),
    (
        "bias-smallest",
        "A bias of -2^31.",
        WIDE,
        set_to("synthesis.details.0.bias", -(2**31)),
    ),
    (
        "stream",
        "A stream that can reach 2^24.",
        "plus 128 * 2^output of each block that follows before the next wide layer",
        fill_stream(16),
    ),
    (
        "pixels",
        "Samples' sums that can reach 2^24.",
        "of each colour of the samples, the largest M of step c+b+a+5",
        fill_pixels,
    ),
    (
        "scale-negative",
        "A scale of -1.",
        "`scales` int32, Q by D, 0 to 2^31 - 1",
        set_to("scales", -1),
    ),
    ("no-scales", "No `scales`.", TENSORS, without("scales")),
    ("no-low", "No low digit.", TENSORS, without("synthesis.layers.0.low")),
    ("type", "int16 weights.", TENSORS, as_type("synthesis.layers.1.first.weight", "I16")),
    ("shape", "One output for all.", TENSORS, reshaped("synthesis.layers.1.input", 1, 1)),
    (
        "depths",
        "A key of photo-1.",
        MOST,
        table("transform", depths=[1, 1, 1]),
    ),
    (
        "qualities-16",
        "Q = 16.",
        MOST,
        many(16),
    ),
    (
        "depth-17",
        "A depth of 17.",
        MOST,
        table("transform", synthesis_depths=[17, 1, 2]),
    ),
]
FAULTY = [FULL.changed(f"faulty-exact-{name}", change) for name, _, _, change in FAULTS]
MODELS = (PHOTO2, CUT, FULL, STREAM, FAR, MANY, *FAULTY)


def valid() -> Iterator[Case]:
    rule = "no two decoders may differ in any sample"
    for quality, tests in (
        (16, "Exact pixels: wide layers, blocks, shuffles and details."),
        (32, "The same at another quality."),
        (19, "Step sizes nearly as coarse as those of quality 1."),
        (24, "Half way between: the codebooks and the prior of quality 1."),
        (25, "A sixteenth above: the codebooks and the prior of quality 2."),
    ):
        yield case(
            f"photo-2-q{quality}",
            tests,
            rule if quality in (16, 32) else BETWEEN,
            PHOTO2,
            75,
            55,
            quality=quality,
        )
    yield case("photo-2-fixed", "The same without prior.", rule, PHOTO2, 20, 40, quality=16, mode=0)


def limits() -> Iterator[Case]:
    for model, tests, rule in (
        (
            CUT,
            "Latents, activations and samples that are cut at both ends.",
            "latent = min(16383, max(-16384, (v * scale + 2^15) >> 16)), D channels",
        ),
        (FULL, "Sums that can reach 2^24 - 1.", BLOCKS),
        (
            STREAM,
            "The largest outputs, on a stream that stays below 2^24.",
            "| `.output` | uint8 | (n) | 0 to 16 |",
        ),
    ):
        yield case(model.name, tests, rule, model, 60, 40, quality=16)
    for quality in (17, 31):
        name = f"photo-2-scales-q{quality}"
        yield case(
            name, "The smallest and the largest scales.", BETWEEN, FAR, 40, 30, quality=quality
        )
    for quality, tests in ((16, "The lowest quality."), (240, "The highest quality of all.")):
        yield case(f"photo-2-many-q{quality}", tests, MOST, MANY, 20, 10, quality=quality)


def faulty() -> Iterator[Case]:
    for model, values in ((PHOTO2, (0, 1, 15, 33, 255)), (MANY, (15, 241))):
        for value in values:
            yield Case(
                name=f"quality-{value}-of-{model.name}",
                tests="A quality that the model does not have.",
                rule="it counts sixteenths and is one of 16..16 Q",
                data=vqc(1, 1, [b""], model=model.prefix, mode=0, quality=value, stride_log2=4),
                model=model.name,
                expect="Corrupt",
            )
    for made, (name, tests, rule, _) in zip(FAULTY, FAULTS, strict=True):
        indices = random_indices(PHOTO2, name, 1, 1, 16)
        tile = pack(indices, 20)
        fields = {"quality": 16, "stride_log2": 4, "mode": 0}
        yield Case(
            name=f"model-exact-{name}",
            tests=tests,
            rule=rule,
            data=vqc(4, 4, [tile], model=made.prefix, **fields),
            model=made.name,
            expect="Model",
        )
