"""The indices of .vqc files of any medium, and whether all of a file is right."""

from __future__ import annotations

from vqcodec.audio import pipeline as sound
from vqcodec.clip import pipeline as clip
from vqcodec.codec.coding import Indices
from vqcodec.codec.loading import ModelLike, indices_of
from vqcodec.container import Container, Limits, Medium, parse
from vqcodec.image import pipeline as picture
from vqcodec.storage import BytesLike, bytes_of


def indices(
    data: BytesLike,
    *,
    model: ModelLike = None,
    device: str = "cpu",
    max_pixels: int = Limits().pixels,
) -> Indices:
    """Return the indices of a .vqc file, int32 (rows, columns, G), without making pixels or
    samples. Of sound, rows are its coded channels and columns its frames; of a clip they are
    (frames, rows, columns, G).

    They are the same on every machine. Where tiles of a picture hold pixels instead, they are
    those that the networks see there; a file that holds nothing but pixels has G = 0. Raises: as
    `decompress`.
    """
    container = parse(bytes_of(data), Limits(pixels=max_pixels))
    if container.header.medium is Medium.CLIP:
        return clip.check(container, model=model, device=device)
    return indices_of(container, model, device)


def verify(
    data: BytesLike,
    *,
    model: ModelLike = None,
    device: str = "cpu",
    max_pixels: int = Limits().pixels,
) -> Indices:
    """Check every checksum and chunk of a .vqc file, and decode all that its tiles hold.

    Returns them as `indices` does. Raises: as `decompress`, if anything is wrong.
    """
    return check(parse(bytes_of(data), Limits(pixels=max_pixels)), model=model, device=device)


def check(container: Container, *, model: ModelLike = None, device: str = "cpu") -> Indices:
    """Do what `verify` does with a file that has been parsed."""
    if container.header.medium is Medium.SOUND:
        return sound.check(container, model=model, device=device)
    if container.header.medium is Medium.CLIP:
        return clip.check(container, model=model, device=device)
    return picture.check(container, model=model, device=device)
