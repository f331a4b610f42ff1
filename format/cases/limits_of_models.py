"""Models that go as far as SPEC.md allows, each with a picture."""

from collections.abc import Iterator

import numpy as np
import reference

from cases.build import Case, numbers
from cases.models import TINY_PHOTO, Model, photo, random_indices, vqvae
from cases.valid import case


def cases() -> Iterator[Case]:
    yield from ranges()
    yield from arithmetic()


SMALLEST = vqvae("smallest", size=2, embedding=1, channels=1, layers=0, hidden=1, blocks=0, dim=1)
MANY_CODEWORDS = vqvae(
    "many-codewords", size=4096, embedding=1, channels=1, layers=0, hidden=1, dim=1
)
DEEP = vqvae("deep", size=3, embedding=90, channels=2, layers=32, hidden=1, blocks=16, dim=1024)
WIDE = vqvae("wide", size=3, embedding=1, channels=192, layers=0, hidden=1, blocks=0, dim=1)
MANY_SLICES = photo(
    "many-slices",
    [{0: [([[0]], 2)], 63: [([[*range(960, 952, -1)]], 3)]}],
    size=4,
    latents=1024,
    slices=(1,) * 63 + (961,),
    channels=1,
    layers=0,
    hidden=1,
)
MANY_QUALITIES = photo(
    "many-qualities",
    [{0: [([[0]], 2)]} for _ in range(64)],
    size=2,
    latents=2,
    channels=1,
    layers=0,
    hidden=1,
)
WIDE_PHOTO = photo(
    "wide-photo", [{0: [([[0]], 2)]}], size=2, latents=2, channels=512, layers=0, hidden=1
)
MANY_PHOTO_CODEWORDS = photo(
    "many-photo-codewords",
    [{0: [([[0]], 4096)]}],
    size=4096,
    latents=2,
    channels=1,
    layers=32,
    hidden=1024,
    depths=(16, 0, 0),
)


def ranges() -> Iterator[Case]:
    rule = "Its ranges: K 2 to 4096 and equal in both tables"
    for model, tests in (
        (SMALLEST, "The smallest of everything: K = 2, E = C = 1, L = 0, H = D = 1, B = 0."),
        (MANY_CODEWORDS, "The largest K."),
        (DEEP, "The largest E, L, B and D."),
        (WIDE, "The largest C."),
    ):
        indices = random_indices(model, model.name, 2, 3)
        indices[0, 0] = model.integers.k - 1
        for mode, way in ((1, "prior"), (0, "fixed")):
            yield case(f"{model.name}-{way}", tests, rule, model, 11, 7, indices=indices, mode=mode)
    rule = "Its ranges: widths 1 to 1024"
    for model, quality, tests in (
        (
            MANY_SLICES,
            1,
            "The largest D and S, slices of 1, the smallest widths, depths, details, C, L and H.",
        ),
        (MANY_QUALITIES, 64, "The smallest D, the largest Q and its last quality."),
        (MANY_QUALITIES, 1, "The largest Q and its first quality."),
        (MANY_PHOTO_CODEWORDS, 1, "The largest K, L, H and a depth of 16."),
        (WIDE_PHOTO, 1, "The largest C."),
    ):
        name = f"{model.name}-q{quality}"
        indices = random_indices(model, name, 1, 2, quality)
        indices[0, 0] = np.array(reference.group_sizes(model.integers, quality)) - 1
        yield case(name, tests, rule, model, 17, 1, indices=indices, quality=quality)
    yield case(
        "photo-further-tensors",
        "Further tensors, one like a part of a block, and a further key are ignored.",
        "Further keys outside the tables and further tensors",
        FURTHER,
        17,
        1,
        quality=1,
    )
    yield case(
        "photo-gap-of-blocks",
        "Blocks 0, 1 and 3: the last has all its tensors and is none.",
        "such as those of a block whose number comes after a missing one, are ignored",
        GAP,
        17,
        1,
        quality=1,
    )


def add_more(model: Model) -> None:
    # Without `channels` there is no block.
    model.numbers("codebooks.1.0.2.vectors", "I16", (1, 3, 8), 5000)
    model.numbers("colour", "F32", (2, 2), 9)
    model.config["colour"] = {"of": "magic"}


FURTHER = TINY_PHOTO.changed("further", add_more)
GAP = TINY_PHOTO.changed("gap", lambda model: model.block("codebooks.1.0.3", [[2]], 4))


def saturated(model: Model) -> None:
    """Sums that can reach 2^24 - 1 and -(2^24 - 1), with the largest shift and with none, and
    a stream that is clamped at both ends.
    """
    bound = 2**24 - 1
    for name in ("prior.first", "prior.layers.0", "prior.hidden", "prior.output"):
        weight = model.tensors[f"{name}.weight"][1]
        rows = np.arange(len(weight))
        weight = np.where(weight > 0, 127, -127)
        weight[rows % 2 == 0] = 127
        shift = np.choose(rows % 4, [0, 0, 14, 20])
        if name == "prior.output":
            # Logits that differ by little, so that each unit of a sum counts.
            weight = numbers("saturated/output", weight.shape, 120, 127)
            shift = 0 * shift
        bias = (bound - 127 * np.abs(weight).sum(1)) * np.where(rows % 2, -1, 1)
        if name == "prior.output":
            bias[:-1] = np.abs(bias[:-1])
        model.tensors[f"{name}.weight"] = ("I8", weight)
        model.tensors[f"{name}.bias"] = ("I32", bias)
        model.tensors[f"{name}.shift"] = ("U8", shift)
    model.set("prior.embedding", (slice(0, 8), slice(None)), 127)
    model.set("prior.embedding", (slice(8, 16), slice(None)), -127)


def constant(logits: list[int]) -> Model:
    """A prior that always gives these logits."""
    model = vqvae(
        f"constant-{len(logits)}",
        size=len(logits),
        embedding=1,
        channels=1,
        layers=0,
        hidden=1,
        blocks=0,
        dim=1,
    )
    model.set("prior.output.weight", slice(None), 0)
    model.set("prior.output.shift", slice(None), 0)
    model.set("prior.output.bias", slice(None), logits)
    return model


def clamped(model: Model) -> None:
    """A stream that is clamped at either end and then brought back to where one unit more
    or less is another activation.
    """
    rows = np.arange(6)
    sign = np.where(rows % 2, -1, 1)
    for name, bias in (("first", 300000 * sign), ("layers.0", np.where(rows % 2, 33791, -31744))):
        model.set(f"prior.{name}.shift", rows, 0)
        model.set(f"prior.{name}.bias", rows, bias)
    model.set("prior.layers.0.weight", rows, 0)


def far_means(model: Model) -> None:
    """Means beyond the clamp near codewords that differ by little, and the two ends of the
    table of precisions.
    """
    nearest = 4095 - np.arange(16).reshape(1, 16, 1)
    model.tensors["codebooks.1.0.0.vectors"] = ("I16", np.concatenate([nearest, -nearest]))
    model.set("prior.output.0.weight", slice(None), 0)
    model.set("prior.output.0.shift", slice(None), 0)
    model.set("prior.output.0.bias", slice(None), [2**17, -(2**17), -(2**15), 2**15])
    ends = np.arange(1024) % 1023 == 0
    model.tensors["prior.precisions"] = ("I32", np.where(ends, 2**21 - 1, 77))


def steep(model: Model) -> None:
    """The largest vectors, biases, embeddings and precisions, and a group whose logits are all
    far below 0.
    """
    for b in (0, 1):
        block = f"codebooks.1.0.{b}"
        for part, most in (("vectors", 4095), ("bias", 4095), ("embedding", 127)):
            dtype, values = model.tensors[f"{block}.{part}"]
            signs = np.sign(values) + (values == 0)
            signs.reshape(-1)[:1] = -1
            model.tensors[f"{block}.{part}"] = (dtype, most * signs)
    model.set("codebooks.1.0.0.vectors", slice(None), 4095)
    model.set("prior.output.0.weight", slice(None), 0)
    model.set("prior.output.0.shift", slice(None), 0)
    bias = [2**15, -(2**15), 0, -(2**15), 2**15, 2**15, 0, 0]
    model.set("prior.output.0.bias", slice(None), bias)
    model.set("prior.precisions", 1023, 2**21 - 1)
    model.set("prior.precisions", 64, 2**18)


SATURATED = vqvae("saturated", layers=1).changed("saturated", saturated)
CLAMPED = vqvae("clamped", layers=1).changed("clamped", clamped)
FAR_MEANS = photo(
    "far-means", [{0: [([[0], [1]], 16)]}], size=16, latents=2, channels=2, layers=0
).changed("far-means", far_means)
TIES = constant([0, 0, 0, 0, 0])
FAR = constant([0, -1, -398, -399, -400, -401, -(2**24) + 1])
STEEP = TINY_PHOTO.changed("steep", steep)


def arithmetic() -> Iterator[Case]:
    yield case(
        "sums-largest",
        "Sums of 2^24 - 1 in every layer, shifts of 0 and 20, weights and embeddings of 127 and "
        "-127, and a stream clamped at both ends.",
        "127 * sum over k of |weight[c, k]| + |bias[c]| < 2^24",
        SATURATED,
        40,
        24,
    )
    yield case(
        "stream-clamped",
        "A stream that would leave -32767..32767 and comes back.",
        "clamp(v) = min(32767, max(-32767, v))",
        CLAMPED,
        24,
        16,
    )
    yield case(
        "means-clamped",
        "Means that would leave -32767..32767, precisions of the table's first and last place.",
        "prior.precisions[min(1023, max(0, ((o[W[s] + w] + 8) >> 4) + 64))]",
        FAR_MEANS,
        48,
        48,
        quality=1,
    )
    every = np.arange(7)[None, :, None]
    yield case(
        "logits-far-apart",
        "Logits 398 to 2^24 - 1 below the largest, each symbol coded.",
        "POWERS[d] = floor(2^24 * 2^(-d/16) + 1/2) for d = 0..399, POWERS[400] = 0",
        FAR,
        28,
        1,
        indices=every,
    )
    yield case(
        "logits-equal",
        "All logits are equal: the first symbol gets what is left of 2^24.",
        "b being the smallest k with l[k] = m",
        TIES,
        20,
        1,
        indices=every[:, :5],
    )
    yield case(
        "codebooks-largest",
        "Vectors and biases of 4095 and -4095, precisions of 2^21 - 1, and logits far below 0 that "
        "differ by little.",
        "-4095 to 4095, in units of 1/32",
        STEEP,
        80,
        48,
        quality=1,
    )


MODELS = [
    SMALLEST,
    MANY_CODEWORDS,
    DEEP,
    WIDE,
    MANY_SLICES,
    MANY_QUALITIES,
    MANY_PHOTO_CODEWORDS,
    WIDE_PHOTO,
    FURTHER,
    GAP,
    SATURATED,
    CLAMPED,
    FAR_MEANS,
    TIES,
    FAR,
    STEEP,
]
