"""Sound from one rate to another, block by block, by soxr."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from vqcodec.audio.packages import import_package
from vqcodec.audio.recording import Block


def resampled(blocks: Iterable[Block], source: int, target: int) -> Iterator[Block]:
    """Yield blocks at the rate `target` of blocks at the rate `source`.

    Raises: MissingPackageError if that takes soxr and it is not there.
    """
    if source == target:
        yield from blocks
        return
    soxr = import_package("soxr")
    stream = None
    channels = 0
    for block in blocks:
        if stream is None:
            channels = block.shape[1]
            stream = soxr.ResampleStream(source, target, channels, dtype="float32")
        yield stream.resample_chunk(np.ascontiguousarray(block))
    if stream is not None:
        yield stream.resample_chunk(np.zeros((0, channels), np.float32), last=True)


def part(blocks: Iterable[Block], start: int, length: int, channels: int) -> Iterator[Block]:
    """Yield the `length` samples from `start` on; where blocks end too early, zeros."""
    wanted = length
    for block in blocks:
        skipped = min(start, len(block))
        start -= skipped
        kept = block[skipped : skipped + wanted]
        wanted -= len(kept)
        if len(kept):
            yield kept
        if not wanted:
            return
    yield np.zeros((wanted, channels), np.float32)
