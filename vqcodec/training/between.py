"""Models whose networks lie between those of two others, before and after training on one kind of
pictures.

On the straight line from the weights before such training to those after it, what is gained on
that kind rises steeply at first, and what is lost elsewhere only toward the end (Wortsman et al.,
"Robust fine-tuning of zero-shot models", arXiv 2109.01903, section 3). Codebooks lose nothing
elsewhere, so they stay at the end of the line.
"""

from __future__ import annotations

import torch

from vqcodec.models import photo2
from vqcodec.models.file import read_metadata
from vqcodec.networks.model_files import read_photo, read_photo2, write_photo, write_photo2
from vqcodec.networks.model_files.product import ProductParts


def between(start: bytes, end: bytes, *, synthesis: float, prior: float) -> bytes:
    """Return the file of a model whose synthesis and prior lie between those of two model files,
    each at its share of the way: at 0 they are the start's, at 1 the end's. All else is the end's.

    `end` must be of a model that went on from `start`, both of photo-1 or both of photo-2.
    Raises: ModelError for files that cannot be read, or integers that leave their ranges.
    """
    metadata = read_metadata(end)
    texts = {name: metadata[name] for name in ("name", "licence", "description")}
    if metadata["architecture"] == photo2.ARCHITECTURE:
        deep = read_photo2(end)
        _move(deep, read_photo2(start), synthesis, prior)
        return write_photo2(deep, **texts)
    shallow = read_photo(end)
    _move(shallow, read_photo(start), synthesis, prior)
    return write_photo(shallow, **texts)


@torch.no_grad()
def _move(end: ProductParts, start: ProductParts, synthesis: float, prior: float) -> None:
    """Take the networks of `end` back, all but these shares of the way from those of `start`."""
    pairs = ((end.synthesis, start.synthesis, synthesis), (end.prior, start.prior, prior))
    for after, before, share in pairs:
        for moved, first in zip(after.parameters(), before.parameters(), strict=True):
            moved.copy_(torch.lerp(first, moved, share))
