"""What the codec asks of a model, whatever its networks are.

A grid has N x M positions, each with G indices. They are coded position by position
along the wavefront, and within a position in parts, each of some of its indices. The grid of
sound has a row for each channel; its columns are frames, and a tile is of one row. A clip has such
a grid for each frame, and tiles of several frames (`vqcodec.clip.coding`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from vqcodec.container import Medium
from vqcodec.grid import Box, Size
from vqcodec.prior.chooser import Chooser
from vqcodec.prior.context import Prior


class Model(Protocol):
    """Codebooks and prior under a name: what turns indices into bits, of any medium."""

    @property
    def name(self) -> str:
        """Its name."""
        ...

    @property
    def sha256(self) -> str:
        """Full SHA-256 of the model file, hexadecimal."""
        ...

    @property
    def medium(self) -> Medium:
        """What it is a model of."""
        ...

    @property
    def qualities(self) -> int:
        """Qualities are 1..this; 0 if the model has none, its only quality then being 0."""
        ...

    @property
    def quality_scale(self) -> int:
        """The header's quality, which all methods take, is so many times the quality: where it is
        more than 1, there are qualities between whole ones.
        """
        ...

    @property
    def codebook_size(self) -> int:
        """Indices are below this."""
        ...

    @property
    def stride(self) -> int:
        """Elements of a header's shape per position along each axis, a power of two: pixels;
        1 of sound, whose shape is in frames.
        """
        ...

    @property
    def largest(self) -> Size | None:
        """The largest shape of a header; None if there is none."""
        ...

    @property
    def encoder_halo(self) -> int:
        """Positions around a window whose elements can change what is measured in it."""
        ...

    @property
    def decoder_halo(self) -> int:
        """Positions around a window that can change its elements."""
        ...

    @property
    def window(self) -> int:
        """Side, in positions, of a window; the networks take a few hundred MB for one."""
        ...

    def groups(self, quality: int) -> int:
        """Return the number G of indices per position."""
        ...

    def codewords(self, quality: int) -> tuple[int, ...]:
        """Return for each of the G groups how many indices have a codeword."""
        ...

    def prior_of(self, quality: int) -> Prior:
        """Return what gives the logits of indices."""
        ...

    def chooser(self, tiles: Sequence[NDArray], quality: int, weight: float) -> Chooser:
        """Return what chooses the indices of a batch of tiles (N, M, C) of what was measured.

        `weight` is that of bits against distance, where the model can weigh them.
        """
        ...

    def nearest(self, measured: NDArray, quality: int) -> NDArray[np.integer]:
        """Map what was measured, (..., C), to the indices (..., G) of the nearest codewords."""
        ...


class PictureModel(Model, Protocol):
    """A model with networks from pixels to what is measured of them, and from indices back.

    Both are in two halves. Fine layers, next to the pixels, take the most memory; coarse ones,
    next to the indices, look the furthest around. Between them are features (C, N, M), C numbers
    for each position.
    """

    @property
    def fine_encoder_halo(self) -> int:
        """Positions around a window whose pixels can change its fine features."""
        ...

    @property
    def fine_decoder_halo(self) -> int:
        """Positions around a window whose coarse features can change its pixels."""
        ...

    @property
    def is_concurrent(self) -> bool:
        """Whether its networks take less time for several windows at once; see `engine.Engine`."""
        ...

    def fine_features(self, pixels: NDArray[np.float32], inner: Box) -> NDArray:
        """Map some of pixels (3, H, W) in 0..1 to what fine layers make of them, (C, n, m).

        Both the pixels and `inner`, rows and columns of them, are whole strides.
        """
        ...

    def measure(self, features: NDArray, inner: Box) -> NDArray:
        """Map some of fine features (C, N, M) to all that encoding needs to know of the pixels,
        at any quality: (n, m, C').
        """
        ...

    def coarse_features(self, indices: NDArray[np.integer], quality: int, inner: Box) -> NDArray:
        """Map some of indices (N, M, G) to what coarse layers make of them, (C, n, m).

        Raises CorruptError if an index has no codeword.
        """
        ...

    def pixels(self, features: NDArray, inner: Box) -> NDArray[np.float32]:
        """Map coarse features (C, N, M) to the pixels of some of them, (3, h, w), about 0..1."""
        ...


class SoundModel(Model, Protocol):
    """A model with networks from samples to what is measured of them, and from indices back.

    Samples are of one channel at `rate`, about -1..1, speech in them being as loud as
    `vqcodec.audio.level` makes it. Frame i stands for the `hop` samples from i * hop on, and
    what is before and after those that are given counts as 0.
    """

    @property
    def rate(self) -> int:
        """Samples per second."""
        ...

    @property
    def hop(self) -> int:
        """Samples per frame."""
        ...

    @property
    def speakers(self) -> tuple[str, ...]:
        """Names of those whose voices it can give to any indices; empty if it knows none, the
        indices alone then saying how a voice sounds.
        """
        ...

    def measure(self, samples: NDArray[np.float32], inner: slice) -> NDArray:
        """Map some frames of samples (N * hop,) to all that encoding needs to know of them, at
        any quality: (n, C).

        `inner` are the n frames that are wanted; the others are their surroundings.
        """
        ...

    def samples(
        self, indices: NDArray[np.integer], quality: int, inner: slice, speaker: int = 0
    ) -> NDArray[np.float32]:
        """Map indices (N, G) to the samples of some of their frames, (n * hop,).

        `speaker` is the number of one of `speakers`; where there are none it says nothing.
        Raises CorruptError if an index has no codeword.
        """
        ...


def header_qualities(model: Model) -> range:
    """Return the qualities that headers of a model's files have."""
    scale, last = model.quality_scale, model.quality_scale * model.qualities
    return range(min(scale, last), last + 1)


def takes(model: Model, shape: Size) -> bool:
    """Tell whether a model has files of a shape."""
    largest = model.largest
    return largest is None or all(a <= b for a, b in zip(shape, largest, strict=True))
