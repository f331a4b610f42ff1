"""Sound that a model makes up by itself: samples of its prior over indices, decoded in a voice
(ancestral sampling, arXiv 1711.00937, section 4.3).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from vqcodec.audio.chunks import MAX_SAMPLES
from vqcodec.audio.pipeline import sound_model
from vqcodec.audio.speakers import number_of
from vqcodec.audio.transform import synthesise
from vqcodec.codec.loading import ModelLike
from vqcodec.codec.progress import Progress, counter
from vqcodec.codec.sampling import sample_grids
from vqcodec.codec.search import Qualities
from vqcodec.counting import counted
from vqcodec.models.model import takes

SECONDS = 5.0
"""Length of samples unless another is asked for."""


def sample_audio(
    model: ModelLike = None,
    *,
    count: int = 1,
    seconds: float = SECONDS,
    quality: float | None = None,
    speaker: str | None = None,
    seed: int = 0,
    temperature: float = 1.0,
    max_samples: int = MAX_SAMPLES,
    device: str = "cpu",
    progress: Progress | None = None,
) -> tuple[NDArray[np.float32], int]:
    """Draw sound from a model's prior; return it, float32 (count, n), and its samples per second.

    The indices that a seed draws are the same on every machine, and those of sound number i do not
    depend on `count`. `temperature` divides the logits: below 1 what is likely becomes likelier.
    `quality` is as for `compress_audio`. `speaker` is the name of one whom the model knows, in
    whose voice it is decoded; None: the first of them.

    Raises: ModelError; ValueError for an argument that cannot be taken.
    """
    loaded = sound_model(model, device)
    level = Qualities.of(loaded).setting(quality).quality
    voice = 0 if speaker is None else number_of(loaded, speaker)
    if not 0 < seconds * loaded.rate <= max_samples / max(count, 1):
        told = f"{count} x {counted(seconds, 'second')}"
        raise ValueError(f"{told} cannot be drawn: the limit is {counted(max_samples, 'sample')}")
    samples = math.ceil(seconds * loaded.rate)
    size = 1, math.ceil(samples / loaded.hop)
    if not takes(loaded, size):
        raise ValueError(f"{loaded.name} does not make {counted(seconds, 'second')} of sound")
    grids = sample_grids(
        loaded.prior_of(level),
        size,
        count=count,
        seed=seed,
        temperature=temperature,
        progress=counter(progress, count * size[1]),
    )
    drawn = [
        np.concatenate(list(synthesise(loaded, grid, level, speakers=(voice,))))[:samples, 0]
        for grid in grids
    ]
    return np.stack(drawn), loaded.rate
