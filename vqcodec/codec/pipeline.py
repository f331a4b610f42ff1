"""Picture to file and file to picture, as pipelines of the parts below."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from PIL import Image

from vqcodec.codec import pictures
from vqcodec.codec.chunks import from_chunks, to_chunks
from vqcodec.codec.coding import Indices, decode_grid, encode_grid, tiles_touching
from vqcodec.codec.search import Found, Setting, largest_within, setting, smallest_reaching
from vqcodec.codec.transform import decode_indices, measure_pixels
from vqcodec.container import Container, Header, Limits, Mode, parse, serialise
from vqcodec.errors import CorruptError, ModelError
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
    wishes = (quality, target_size, target_bpp, target_psnr)
    if sum(wish is not None for wish in wishes) > 1:
        raise ValueError("give one of quality, target_size, target_bpp and target_psnr")
    loaded = _model(model, device)
    if not isinstance(image, Image.Image):
        image = _from_array(image)
    if image.width * image.height > max_pixels:
        raise ValueError(
            f"{image.width}x{image.height} is more than {max_pixels} pixels; raise max_pixels"
        )
    picture = pictures.from_image(image, strip=strip)
    area = picture.pixels.shape[0] * picture.pixels.shape[1]
    whole = setting(quality, loaded.qualities)
    header = Header(
        mode=Mode.PRIOR if prior else Mode.FIXED,
        quality=whole.quality,
        width=picture.pixels.shape[1],
        height=picture.pixels.shape[0],
        model=bytes.fromhex(loaded.sha256)[:8],
        stride_log2=loaded.stride.bit_length() - 1,
        tile_log2=TILE_LOG2,
    )
    searches = target_size is not None or target_bpp is not None or target_psnr is not None
    count = None if searches else _counter(progress, 2 * header.rows * header.columns)
    measured = measure_pixels(loaded, picture.pixels, progress=count)
    chunks = to_chunks(picture)

    def attempt(told: Setting) -> tuple[bytes, Indices]:
        chosen = replace(header, quality=told.quality)
        streams, grid = encode_grid(loaded, chosen, measured, told.weight, count)
        return serialise(Container(header=chosen, chunks=chunks, tiles=streams)), grid

    def sized(told: Setting) -> Found[bytes]:
        data, _ = attempt(told)
        return Found(data, len(data))

    def decoded(told: Setting) -> Found[bytes]:
        data, grid = attempt(told)
        pixels = decode_indices(loaded, grid, told.quality)
        cut = pixels[: header.height, : header.width]
        return Found(data, psnr(picture.pixels, cut))

    if target_bpp is not None:
        target_size = int(target_bpp * area / 8)
    if target_size is not None:
        return largest_within(sized, loaded.qualities, target_size, "bytes")
    if target_psnr is not None:
        return smallest_reaching(decoded, loaded.qualities, target_psnr, "dB")
    return attempt(whole)[0]


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
    loaded = _model_of(header, model, device)
    x, y, width, height = crop or (0, 0, header.width, header.height)
    inside = 0 <= x < x + width <= header.width and 0 <= y < y + height <= header.height
    if not inside:
        raise ValueError(
            f"crop {x},{y},{width},{height} is not inside {header.width}x{header.height} pixels"
        )
    stride = loaded.stride
    area = (
        slice(y // stride, -(-(y + height) // stride)),
        slice(x // stride, -(-(x + width) // stride)),
    )
    halo = loaded.decoder_halo
    around = [slice(side.start - halo, side.stop + halo) for side in area]
    wanted = tiles_touching(header, around[0], around[1])
    size = (area[0].stop - area[0].start) * (area[1].stop - area[1].start)
    count = _counter(progress, 2 * size)
    grid = decode_grid(loaded, header, container.tiles, wanted, count)
    pixels = decode_indices(loaded, grid, header.quality, area, progress=count)
    top, left = y - area[0].start * stride, x - area[1].start * stride
    picture = from_chunks(pixels[top : top + height, left : left + width], container)
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
    loaded = _model_of(container.header, model, device)
    return decode_grid(loaded, container.header, container.tiles)


def verify(
    data: bytes,
    *,
    model: Model | str | None = None,
    device: str = "auto",
    max_pixels: int = Limits().pixels,
) -> Indices:
    """Return the indices as `indices` does, and check alpha and metadata too.

    Raises: FormatError, ModelError.
    """
    from_chunks(np.empty((0, 0, 3), dtype=np.uint8), parse(data, Limits(pixels=max_pixels)))
    return indices(data, model=model, device=device, max_pixels=max_pixels)


def _model(model: Model | str | None, device: str) -> Model:
    return load_model(model, device=device) if model is None or isinstance(model, str) else model


def _model_of(header: Header, model: Model | str | None, device: str) -> Model:
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


def _from_array(array: np.ndarray) -> Image.Image:
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3 or not array.size:
        raise ValueError(f"expected uint8 (H, W, 3), got {array.dtype} {array.shape}")
    return Image.fromarray(np.ascontiguousarray(array))


def _counter(progress: Progress | None, total: int) -> Callable[[int], None] | None:
    if progress is None:
        return None
    done = 0

    def count(more: int) -> None:
        nonlocal done
        done += more
        progress(min(1.0, done / total))

    return count
