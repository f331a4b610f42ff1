"""Picture to file and file to picture, as pipelines of the parts below."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from vqcodec.codec.coding import (
    Indices,
    box_of,
    decode_grid,
    encode_grid,
    size_of,
    tile_boxes,
    tiles_touching,
    within,
)
from vqcodec.codec.search import (
    Found,
    Setting,
    Wish,
    largest_within,
    setting,
    smallest_reaching,
)
from vqcodec.container import Container, Header, Limits, Mode, parse, serialise
from vqcodec.errors import CorruptError, FormatError, ModelError, VerificationError
from vqcodec.image import pictures
from vqcodec.image.chunks import from_chunks, to_chunks
from vqcodec.image.transform import decode_indices, measure_pixels, positions_of, scaled
from vqcodec.metrics import psnr
from vqcodec.models.model import Model
from vqcodec.registry.load import load_model
from vqcodec.registry.store import find_by_prefix

Progress = Callable[[float], None]
"""Told the part that is done, 0 to 1."""

TILE_LOG2 = 6


def compress(
    image: Image.Image | np.ndarray,
    *,
    model: Model | str | None = None,
    quality: float | None = None,
    target_size: int | None = None,
    target_bpp: float | None = None,
    target_psnr: float | None = None,
    device: str = "auto",
    prior: bool = True,
    strip: bool = False,
    max_pixels: int = Limits().pixels,
    progress: Progress | None = None,
) -> bytes:
    """Compress a picture to the bytes of a .vqc file.

    `image` is a Pillow image of any mode or a uint8 array (H, W, 3). `model` is
    what `load_model` returned, a name, a path ending in `.safetensors`, or None
    for the default; `device` is as for `load_model`. `quality` is 1 to the model's
    highest, steps between included; or instead of it, the best quality is searched whose
    file has at most `target_size` bytes or `target_bpp` bits per pixel, or the lowest
    with at least `target_psnr` dB. `prior=False` codes indices at fixed length. `strip`
    drops ICC, EXIF and XMP; alpha is always kept.

    Raises: ModelError; ValueError for a picture that cannot be taken, more than one
    of quality and targets, a quality out of range or a target out of reach.
    """
    wish = Wish(
        quality=quality, target_size=target_size, target_bpp=target_bpp, target_psnr=target_psnr
    )
    if not isinstance(image, Image.Image):
        image = _from_array(image)
    loaded = _model(model, device)
    return encode(
        image, loaded, wish, prior=prior, strip=strip, max_pixels=max_pixels, progress=progress
    ).data


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoded:
    """The bytes of a .vqc file and what they must decode to."""

    data: bytes
    header: Header
    indices: Indices
    picture: pictures.Picture


def encode(
    image: Image.Image,
    model: Model,
    wish: Wish,
    *,
    prior: bool = True,
    strip: bool = False,
    max_pixels: int = Limits().pixels,
    progress: Progress | None = None,
) -> Encoded:
    """Compress as `compress` does, and keep what `confirm` needs.

    Raises: ValueError as `compress` does.
    """
    if image.width * image.height > max_pixels:
        raise ValueError(
            f"{image.width}x{image.height} is more than {max_pixels} pixels; raise max_pixels"
        )
    picture = pictures.from_image(image, strip=strip)
    height, width = picture.pixels.shape[:2]
    whole = setting(wish.quality, model.qualities)
    header = Header(
        mode=Mode.PRIOR if prior else Mode.FIXED,
        quality=whole.quality,
        width=width,
        height=height,
        model=bytes.fromhex(model.sha256)[:8],
        stride_log2=model.stride.bit_length() - 1,
        tile_log2=TILE_LOG2,
    )
    most, least = wish.bytes_at_most(height * width), wish.target_psnr
    searches = most is not None or least is not None
    count = None if searches else counter(progress, 2 * header.rows * header.columns)
    measured = measure_pixels(model, picture.pixels, progress=count)
    chunks = to_chunks(picture)

    def attempt(told: Setting) -> Encoded:
        chosen = replace(header, quality=told.quality)
        streams, grid = encode_grid(model, chosen, measured, told.weight, count)
        data = serialise(Container(header=chosen, chunks=chunks, tiles=streams))
        return Encoded(data=data, header=chosen, indices=grid, picture=picture)

    def sized(told: Setting) -> Found[Encoded]:
        encoded = attempt(told)
        return Found(encoded, len(encoded.data))

    area = (slice(0, height), slice(0, width))

    def decoded(told: Setting) -> Found[Encoded]:
        encoded = attempt(told)
        pixels = decode_indices(model, encoded.indices, told.quality, area)
        return Found(encoded, psnr(picture.pixels, pixels))

    if most is not None:
        return largest_within(sized, model.qualities, most, "bytes")
    if least is not None:
        return smallest_reaching(decoded, model.qualities, least, "dB")
    return attempt(whole)


def confirm(
    encoded: Encoded, written: bytes, model: Model, *, progress: Progress | None = None
) -> None:
    """Decode what was written, all but the pixels that follow from the indices, and compare.

    Raises: VerificationError if it does not decode, or not to the indices that were
    coded, the picture's alpha and its metadata.
    """
    before, header = encoded.picture, encoded.header
    try:
        container = parse(written, Limits(pixels=header.width * header.height))
        after = from_chunks(before.pixels, container)
        count = counter(progress, header.rows * header.columns)
        decoder = model_of(container.header, model, "auto")
        grid = decode_grid(decoder, container.header, container.tiles, progress=count)
    except FormatError as error:
        raise VerificationError(f"what was written does not decode: {error}") from error
    same = {
        "bytes": written == encoded.data,
        "header": container.header == header,
        "indices": np.array_equal(grid, encoded.indices),
        "alpha": _equal(after.alpha, before.alpha),
        "metadata": (after.icc, after.exif, after.xmp) == (before.icc, before.exif, before.xmp),
    }
    if not all(same.values()):
        differing = ", ".join(name for name, holds in same.items() if not holds)
        raise VerificationError(f"what was written differs from what was coded: {differing}")


def decompress(
    data: bytes,
    *,
    model: Model | str | None = None,
    device: str = "auto",
    crop: tuple[int, int, int, int] | None = None,
    max_pixels: int = Limits().pixels,
    progress: Progress | None = None,
) -> Image.Image:
    """Decompress a .vqc file to a Pillow image, RGB or RGBA.

    The model is found by the hash in the file; `model` gives it where it is not
    installed. `crop` is (x, y, width, height) in pixels: only the tiles that it
    needs are decoded. Metadata is in the image's `info`.

    Raises: FormatError, ModelError; ValueError for a crop outside the picture.
    """
    container = parse(data, Limits(pixels=max_pixels))
    header = container.header
    loaded = model_of(header, model, device)
    x, y, width, height = crop or (0, 0, header.width, header.height)
    inside = 0 <= x < x + width <= header.width and 0 <= y < y + height <= header.height
    if not inside:
        raise ValueError(
            f"crop {x},{y},{width},{height} is not inside {header.width}x{header.height} pixels"
        )
    area = (slice(y, y + height), slice(x, x + width))
    box = positions_of(area, loaded.stride)
    halo = loaded.decoder_halo
    around = [slice(side.start - halo, side.stop + halo) for side in box]
    wanted = tiles_touching(header, around[0], around[1])
    boxes = tile_boxes(header)
    coded = sum(math.prod(size_of(boxes[tile])) for tile in wanted)
    count = counter(progress, coded + math.prod(size_of(box)))
    grid = decode_grid(loaded, header, container.tiles, wanted, count)
    decoded = scaled(box_of(boxes, wanted), loaded.stride)
    pixels = decode_indices(loaded, grid, header.quality, within(decoded, area), progress=count)
    picture = from_chunks(pixels, container)
    if picture.alpha is not None:
        picture = replace(picture, alpha=picture.alpha[y : y + height, x : x + width])
    return pictures.to_image(picture)


def indices(
    data: bytes,
    *,
    model: Model | str | None = None,
    device: str = "auto",
    max_pixels: int = Limits().pixels,
) -> Indices:
    """Return the indices of a .vqc file, int32 (rows, columns, G), without making pixels.

    They are the same on every machine. Raises: FormatError, ModelError.
    """
    container = parse(data, Limits(pixels=max_pixels))
    loaded = model_of(container.header, model, device)
    return decode_grid(loaded, container.header, container.tiles)


def verify(
    data: bytes,
    *,
    model: Model | str | None = None,
    device: str = "auto",
    max_pixels: int = Limits().pixels,
) -> Indices:
    """Check all of a .vqc file that can be checked without making pixels.

    That is every checksum, alpha, the metadata and every tile. Returns the indices as `indices`
    does. Raises: FormatError, ModelError.
    """
    container = parse(data, Limits(pixels=max_pixels))
    from_chunks(np.empty((0, 0, 3), dtype=np.uint8), container)
    loaded = model_of(container.header, model, device)
    return decode_grid(loaded, container.header, container.tiles)


def _model(model: Model | str | None, device: str) -> Model:
    return load_model(model, device=device) if model is None or isinstance(model, str) else model


def model_of(header: Header, model: Model | str | None, device: str) -> Model:
    """Return the model that made a file: the one given, or where it is None the one
    found by its hash.

    Raises: ModelError, also if the model given is another one; CorruptError if no encoder
    with that model writes such a header.
    """
    if model is None:
        loaded = load_model(find_by_prefix(header.model), device=device)
    else:
        loaded = _model(model, device)
        if not bytes.fromhex(loaded.sha256).startswith(header.model):
            raise ModelError(
                f"the file was made with model {header.model.hex()}…, "
                f"not with {loaded.name} ({loaded.sha256[:16]}…)"
            )
    least, most = min(1, loaded.qualities), loaded.qualities
    if not least <= header.quality <= most:
        raise CorruptError(f"quality is {header.quality}, the model has {least} to {most}")
    if 1 << header.stride_log2 != loaded.stride:
        raise CorruptError(f"stride_log2 is {header.stride_log2}, the model's stride differs")
    return loaded


def _equal(a: np.ndarray | None, b: np.ndarray | None) -> bool:
    return a is b if a is None or b is None else np.array_equal(a, b)


def _from_array(array: np.ndarray) -> Image.Image:
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3 or not array.size:
        raise ValueError(f"expected uint8 (H, W, 3), got {array.dtype} {array.shape}")
    return Image.fromarray(np.ascontiguousarray(array))


def counter(progress: Progress | None, total: int) -> Callable[[int], None] | None:
    """Turn counts of positions, `total` in all, into parts done."""
    if progress is None:
        return None
    done = 0

    def count(more: int) -> None:
        nonlocal done
        done += more
        progress(min(1.0, done / total))

    return count
