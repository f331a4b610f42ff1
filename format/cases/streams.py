"""Streams of single tiles of one dimension, which as yet no file holds, and models of sound."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import reference

from cases.build import Case, vqc
from cases.changes import table
from cases.models import SPEECH, WAVENET, Model, random_indices, speech, wavenet

LISTS = "F is 1 to 16, T 2 to 4, L 0 to 32, and each r[l] is at least 1."
REACH = "F + (T - 1) * (r[0] + .. + r[L-1]) <= 1023."
INDICES = "Its table `prior` has codebook_size = K, 2 to 4096, embedding = E and channels = C"
CHANNELS = "Its table `latent_prior` has channels = C, 1 to 512"
LATENTS = "S is 1 to 64, each W[s] at least 1, and D, their sum, at most 1024."
QUALITIES = "The number of rows of `prior.quality` is Q, 1 to 15."
OFFSETS = "Its priors have the tensors and the arithmetic above with other lists of offsets"
OUTSIDE = "a vector whose position is outside the tile is all zeros"
NEAREST = "the nearest of 1..Q; a half belongs to the lower one"
CANONICAL = "There is one stream for given indices"

GROUPS: list[dict[int, Any]] = [{0: [([[0]], 5), ([[1]], 3)]}]
FAR = speech(
    "speech-far",
    GROUPS,
    size=5,
    slices=(2,),
    channels=2,
    hidden=2,
    first_kernel_size=16,
    dilations=(1007,),
)
WIDEST_KERNEL = wavenet("wavenet-widest-kernel", size=3, kernel_size=4, dilations=(1, 334))
DEEPEST = wavenet("wavenet-deepest", size=3, first_kernel_size=1, dilations=(1,) * 32)
SHALLOW: dict[str, Any] = {"first_kernel_size": 1, "dilations": ()}
WIDEST_EMBEDDING = wavenet("wavenet-widest-embedding", size=2, embedding=512, **SHALLOW)
WIDEST = wavenet("wavenet-widest", size=2, embedding=1, channels=512, **SHALLOW)
MANY_CODEWORDS = wavenet("wavenet-many-codewords", size=4096, embedding=1, channels=1)
MANY_SLICES = speech(
    "speech-many-slices",
    [{0: [([[0]], 2)], 63: [([[*range(960, 952, -1)]], 3)]}],
    size=4,
    slices=(1,) * 63 + (961,),
    channels=1,
    hidden=1,
    dilations=(),
)
MANY_QUALITIES = speech(
    "speech-many-qualities", GROUPS * 15, size=5, slices=(2,), channels=1, hidden=1, dilations=()
)
VALID = [
    WAVENET,
    SPEECH,
    FAR,
    WIDEST_KERNEL,
    DEEPEST,
    WIDEST_EMBEDDING,
    WIDEST,
    MANY_CODEWORDS,
    MANY_SLICES,
    MANY_QUALITIES,
]


def case(name: str, tests: str, rule: str, model: Model, columns: int, quality: int) -> Case:
    """A stream of random indices."""
    indices = random_indices(model, name, 1, columns, quality)
    return Case(
        name=name,
        tests=tests,
        rule=rule,
        data=reference.encode_prior(indices, model.integers, quality),
        model=model.name,
        indices=indices,
        quality=quality,
        columns=columns,
        pixels=False,
    )


def cases() -> Iterator[Case]:
    for name, tests, rule, model, columns, quality in (
        ("indices", "A row of indices, one each.", OFFSETS, WAVENET, 60, 0),
        ("indices-one", "A single position.", OUTSIDE, WAVENET, 1, 0),
        ("latents-q1", "A row of product codebooks.", OFFSETS, SPEECH, 40, 16),
        ("latents-q2", "The same model, another quality.", OFFSETS, SPEECH, 25, 32),
        ("latents-half", "Half way between: the lower quality.", NEAREST, SPEECH, 12, 24),
        ("latents-above", "A sixteenth above: the upper quality.", NEAREST, SPEECH, 12, 25),
        ("latents-none", "No groups: a stream of no bytes.", CANONICAL, SPEECH, 9, 48),
        ("reach-short", "Taps that reach outside of the tile.", OUTSIDE, FAR, 30, 16),
        ("reach-most", "As far back as may be seen, the largest F.", REACH, FAR, 1024, 16),
        ("kernel-most", "The largest T and reach.", REACH, WIDEST_KERNEL, 1024, 0),
        ("layers-most", "The largest L, the smallest F.", LISTS, DEEPEST, 40, 0),
        ("embedding-most", "The largest E, no layers.", INDICES, WIDEST_EMBEDDING, 20, 0),
        ("channels-most", "The largest C, the smallest K and E.", INDICES, WIDEST, 20, 0),
        ("codewords-most", "The largest K.", INDICES, MANY_CODEWORDS, 6, 0),
        ("slices-most", "The largest D and S.", LATENTS, MANY_SLICES, 5, 16),
        ("qualities-most", "The last of 15 qualities.", QUALITIES, MANY_QUALITIES, 5, 240),
    ):
        yield case(name, tests, rule, model, columns, quality)
    yield from faulty_streams()
    yield from faulty_models()


def faulty_streams() -> Iterator[Case]:
    good = reference.encode_prior(random_indices(SPEECH, "faulty", 1, 30, 16), SPEECH.integers, 16)
    for name, tests, data in (
        ("cut", "A stream without its last word.", good[:-4]),
        ("long", "A stream with a word too many.", good + bytes(4)),
    ):
        yield Case(
            name=f"faulty-{name}",
            tests=tests,
            rule=CANONICAL,
            data=data,
            model=SPEECH.name,
            expect="Corrupt",
            quality=16,
            columns=30,
        )


TINY = partial(speech, codebooks=GROUPS, size=5, slices=(2,), channels=2, hidden=2)
"""With values out of range everything else fits them: there is one fault."""
FAULTS: list[tuple[str, str, str, Callable[[str], Model]]] = [
    *(
        (f"first-kernel-{size}", f"F = {size}.", LISTS, partial(TINY, first_kernel_size=size))
        for size in (0, 17)
    ),
    *(
        (f"kernel-{size}", f"T = {size}.", LISTS, partial(TINY, kernel_size=size))
        for size in (1, 5)
    ),
    ("dilation-0", "A dilation of 0.", LISTS, partial(TINY, dilations=(1, 0))),
    ("dilation-negative", "A dilation of -1.", LISTS, partial(TINY, dilations=(1, -1))),
    ("layers-33", "33 layers.", LISTS, partial(TINY, dilations=(1,) * 33)),
    ("reach-1024", "A reach of 1024.", REACH, partial(TINY, dilations=(1000, 21))),
    (
        "reach-1024-kernel",
        "A reach of 1024, its last layer reading four positions.",
        REACH,
        partial(TINY, first_kernel_size=1, kernel_size=4, dilations=(1, 340)),
    ),
    ("channels-513", "C = 513.", CHANNELS, partial(TINY, channels=513, dilations=())),
    ("hidden-1025", "H = 1025.", CHANNELS, partial(TINY, hidden=1025)),
    ("slices-65", "65 slices.", LATENTS, partial(TINY, slices=(1, 1) + (1,) * 63)),
    ("latents-1025", "D = 1025.", LATENTS, partial(TINY, slices=(2, 1023))),
    ("slice-0", "A slice of no latents.", LATENTS, partial(TINY, slices=(2, 0))),
    ("qualities-0", "No qualities.", QUALITIES, partial(TINY, codebooks=[])),
    ("qualities-16", "16 qualities.", QUALITIES, partial(TINY, codebooks=GROUPS * 16)),
    (
        "dilations-integer",
        "A number in the place of a list.",
        "the list r[0], .., r[L-1] = `dilations`",
        lambda name: TINY(name).changed(name, table("latent_prior", dilations=1)),
    ),
    (
        "kernel-real",
        "A kernel size of 2.0.",
        LISTS,
        lambda name: TINY(name).changed(name, table("latent_prior", kernel_size=2.0)),
    ),
    ("embedding-513", "E = 513.", INDICES, partial(wavenet, embedding=513, **SHALLOW)),
    ("wavenet-channels-513", "C = 513.", INDICES, partial(wavenet, channels=513, **SHALLOW)),
    ("codewords-4097", "K = 4097.", INDICES, partial(wavenet, size=4097)),
    ("wavenet-kernel-5", "T = 5.", LISTS, partial(wavenet, kernel_size=5)),
    ("wavenet-reach-1024", "A reach of 1024.", REACH, partial(wavenet, dilations=(1021,))),
]
FAULTY = [make(f"faulty-stream-{name}") for name, _, _, make in FAULTS]


def faulty_models() -> Iterator[Case]:
    for made, (name, tests, rule, _) in zip(FAULTY, FAULTS, strict=True):
        yield Case(
            name=f"model-{name}",
            tests=tests,
            rule=rule,
            data=b"",
            model=made.name,
            expect="Model",
            quality=16 if "latent_prior" in made.config else 0,
            columns=1,
        )


def faulty() -> Iterator[Case]:
    for model, quality in ((SPEECH, 16), (WAVENET, 0)):
        yield Case(
            name=f"model-of-sound-{model.name}",
            tests="A picture whose model is one of sound.",
            rule="A file is rejected if its model is of another medium (`Model`).",
            data=vqc(4, 4, [b""], model=model.prefix, quality=quality),
            model=model.name,
            expect="Model",
        )


MODELS = [*VALID, *FAULTY]
