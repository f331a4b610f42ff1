"""Pictures in a few indices: right files, such as go far, and wrong ones."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from cases.build import Case, pack, vqc
from cases.changes import Change, as_type, bound, reshaped, set_to, table, without
from cases.models import TWO_STAGE, Model, random_indices, two_stage
from cases.valid import case

ONE = "such a picture is one position"
LARGEST = "Width and height of files of `vqvae-two-stage-1` are at most 4 `side`"
UNIFORM = "Architecture `vqvae-two-stage-1` has none: all logits are 0."
FIXED = "each in ceil(log2 K) bits, the highest bit first"
DRAWN = "The S^2 indices of this grid"
RANGES = "The ranges of `second`: side 4 to 32, latents 1 to 16, K 2 to 4096"
TENSORS = "with a tensor missing or of another type or shape"
TABLES = "The tables have the keys named above and no others"
SUMS = "whose weights, biases and shifts keep the rules of section 6"

EQUAL = "Its ranges: K 2 to 4096 and equal in both tables"

Build = Callable[[str], Model]
"""Makes a model of a name."""

SMALLEST = two_stage(
    "two-stage-smallest", side=4, latents=1, size=2, condition=1, first=2, layers=0
)
LARGEST_GRID = two_stage("two-stage-grid", side=32, latents=16, size=3, condition=1, first=3)
MOST = two_stage("two-stage-most", side=4, latents=1, size=4096, condition=1, first=2)
WIDEST = two_stage("two-stage-wide", side=4, latents=1, size=2, condition=192, first=2)
EXTREME = TWO_STAGE.changed(
    "two-stage-extreme",
    lambda model: [
        model.set(name, slice(None), value)
        for name, value in (("condition.latents", -(2**15)), ("condition.places", 2**15 - 1))
    ],
)


def valid() -> Iterator[Case]:
    yield case("two-stage", "Three indices of a picture.", UNIFORM, TWO_STAGE, 32, 32)
    yield case("two-stage-fixed", "At fixed length.", FIXED, TWO_STAGE, 32, 32, mode=0)
    yield case(
        "two-stage-smaller",
        "A picture that is smaller than what is drawn.",
        ONE,
        TWO_STAGE,
        9,
        30,
    )
    yield case(
        "two-stage-same",
        "Indices that are all 0: what is drawn depends on them alone.",
        DRAWN,
        TWO_STAGE,
        32,
        32,
        indices=np.zeros((1, 1, 3), np.int64),
    )


def limits() -> Iterator[Case]:
    for model, tests in (
        (SMALLEST, "The smallest side, G, K and H."),
        (LARGEST_GRID, "The largest side and G."),
        (MOST, "The largest K."),
        (WIDEST, "The largest H."),
    ):
        side = 4 * model.config["second"]["side"]
        indices = random_indices(model, model.name, 1, 1)
        indices[0, 0, 0] = model.integers.k - 1
        yield case(model.name, tests, RANGES, model, side, side, indices=indices)
    yield case(
        "two-stage-extreme",
        "What latents and places say goes as far as its type does.",
        "row S i + j of condition.places",
        EXTREME,
        32,
        32,
    )


def faulty() -> Iterator[Case]:
    def small(name: str, tests: str, rule: str, *, index: int = 1, **more: Any) -> Case:
        tile = pack(np.array([1, index, 1]), TWO_STAGE.integers.k)
        return Case(
            name=f"two-stage-{name}",
            tests=tests,
            rule=rule,
            data=vqc(
                more.pop("width", 32),
                more.pop("height", 32),
                [tile],
                model=TWO_STAGE.prefix,
                **{"mode": 0, "stride_log2": 7} | more,
            ),
            model=TWO_STAGE.name,
            expect="Corrupt",
        )

    yield small("wide", "A column too many.", LARGEST, width=33)
    yield small("high", "A row too many.", LARGEST, height=33)
    yield small(
        "stride", "The stride of the first stage's grid.", "must be the model's", stride_log2=2
    )
    yield small("quality", "A quality.", "their files have quality 0", quality=1)
    yield small("index", "An index without a codeword.", "an index of k or more", index=12)
    tile = pack(np.array([1, 1, 1]), TWO_STAGE.integers.k)
    for made, (_, tests, rule, _) in zip(FAULTY, FAULTS, strict=True):
        yield Case(
            name=made.name.replace("faulty-", "model-"),
            tests=tests,
            rule=rule,
            data=vqc(4, 4, [tile], model=made.prefix, mode=0, stride_log2=7),
            model=made.name,
            expect="Model",
        )


def changed(change: Change) -> Build:
    """A model that would be right but for a change."""
    return lambda name: TWO_STAGE.changed(name, change)


FAULTS: list[tuple[str, str, str, Build]] = [
    ("side-3", "A side of 3.", RANGES, partial(two_stage, side=3)),
    ("side-33", "A side of 33.", RANGES, partial(two_stage, side=33)),
    ("latents-0", "No latents.", RANGES, partial(two_stage, latents=0)),
    ("latents-17", "17 latents.", RANGES, partial(two_stage, latents=17)),
    ("size-1", "K = 1.", RANGES, partial(two_stage, size=1)),
    ("size-4097", "K = 4097.", RANGES, partial(two_stage, latents=1, size=4097, condition=1)),
    ("condition-0", "H = 0.", RANGES, partial(two_stage, condition=0)),
    ("condition-193", "H = 193.", RANGES, partial(two_stage, side=4, condition=193)),
    ("key", "A further key.", TABLES, changed(table("second", groups=3))),
    ("no-table", "No table `second`.", TABLES, changed(lambda model: model.config.pop("second"))),
    ("sizes-differ", "Two first codebooks.", EQUAL, changed(table("prior", codebook_size=23))),
    ("missing-latents", "No `latents`.", TENSORS, changed(without("condition.latents"))),
    ("missing-places", "No `places`.", TENSORS, changed(without("condition.places"))),
    ("missing-shift", "No shifts.", TENSORS, changed(without("condition.hidden.shift"))),
    ("missing-prior", "No prior of the grid.", TENSORS, changed(without("prior.first.weight"))),
    ("missing-decoder", "No first stage.", TENSORS, changed(without("codebook"))),
    ("type-latents", "Latents of 32 bits.", TENSORS, changed(as_type("condition.latents", "I32"))),
    (
        "shape-places",
        "Places in rows and columns.",
        TENSORS,
        changed(reshaped("condition.places", 8, 8, -1)),
    ),
    ("weight", "A weight of -128.", SUMS, changed(set_to("condition.output.weight", -128))),
    ("shift", "A shift of 21.", SUMS, changed(set_to("condition.hidden.shift", 21))),
    ("sum", "A sum that can reach 2^24.", SUMS, changed(bound("condition.output"))),
    ("sum-hidden", "One that can reach -2^24.", SUMS, changed(bound("condition.hidden", True))),
]
FAULTY = [make(f"faulty-two-stage-{name}") for name, _, _, make in FAULTS]
MODELS = [TWO_STAGE, SMALLEST, LARGEST_GRID, MOST, WIDEST, EXTREME, *FAULTY]
