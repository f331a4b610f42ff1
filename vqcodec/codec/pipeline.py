"""Picture to file and file to picture, as pipelines of the parts below."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from PIL import Image

from vqcodec.codec import pictures
from vqcodec.codec.chunks import from_chunks, to_chunks
from vqcodec.codec.coding import Indices, decode_grid, encode_grid, tiles_touching
from vqcodec.codec.transform import decode_indices, encode_pixels
from vqcodec.container import Container, Header, Limits, Mode, parse, serialise
from vqcodec.errors import CorruptError
from vqcodec.models.vqvae import VqVae
from vqcodec.registry.load import load_model
from vqcodec.registry.store import find_by_prefix

Progress = Callable[[float], None]
"""Told the part that is done, 0 to 1."""

TILE_LOG2 = 6


def compress(
    image: Image.Image | np.ndarray,
    *,
    model: VqVae | str | None = None,
    device: str = "auto",
    prior: bool = True,
    strip: bool = False,
    max_pixels: int = Limits().pixels,
    progress: Progress | None = None,
) -> bytes:
    """Compress a picture to the bytes of a .vqc file.

    `image` is a Pillow image of any mode or a uint8 array (H, W, 3). `model` is
    what `load_model` returned, a name, a path ending in `.safetensors`, or None
    for the default; `device` is as for `load_model`. `prior=False` codes indices at
    fixed length. `strip` drops ICC, EXIF and XMP; alpha is always kept.

    Raises: ModelError; ValueError for a picture that cannot be taken.
    """
    loaded = _model(model, device)
    if not isinstance(image, Image.Image):
        image = _from_array(image)
    if image.width * image.height > max_pixels:
        raise ValueError(
            f"{image.width}x{image.height} is more than {max_pixels} pixels; raise max_pixels"
        )
    picture = pictures.from_image(image, strip=strip)
    header = Header(
        mode=Mode.PRIOR if prior else Mode.FIXED,
        width=picture.pixels.shape[1],
        height=picture.pixels.shape[0],
        model=bytes.fromhex(loaded.sha256)[:8],
        stride_log2=loaded.config.stride.bit_length() - 1,
        tile_log2=TILE_LOG2,
    )
    count = _counter(progress, 2 * header.rows * header.columns)
    grid = encode_pixels(loaded, picture.pixels, progress=count)
    streams = encode_grid(loaded.prior, header, grid, count)
    return serialise(Container(header=header, chunks=to_chunks(picture), tiles=streams))


def decompress(
    data: bytes,
    *,
    model: VqVae | str | None = None,
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
    stride = loaded.config.stride
    area = (
        slice(y // stride, -(-(y + height) // stride)),
        slice(x // stride, -(-(x + width) // stride)),
    )
    halo = loaded.config.decoder_halo
    around = [slice(side.start - halo, side.stop + halo) for side in area]
    wanted = tiles_touching(header, around[0], around[1])
    size = (area[0].stop - area[0].start) * (area[1].stop - area[1].start)
    count = _counter(progress, 2 * size)
    grid = decode_grid(loaded.prior, header, container.tiles, wanted, count)
    pixels = decode_indices(loaded, grid, area, progress=count)
    top, left = y - area[0].start * stride, x - area[1].start * stride
    picture = from_chunks(pixels[top : top + height, left : left + width], container)
    if picture.alpha is not None:
        picture = replace(picture, alpha=picture.alpha[y : y + height, x : x + width])
    return pictures.to_image(picture)


def indices(
    data: bytes,
    *,
    model: VqVae | str | None = None,
    device: str = "auto",
    max_pixels: int = Limits().pixels,
) -> Indices:
    """Return the indices of a .vqc file, int32 (rows, columns), without making pixels.

    They are the same on every machine. Raises: FormatError, ModelError.
    """
    container = parse(data, Limits(pixels=max_pixels))
    loaded = _model_of(container.header, model, device)
    return decode_grid(loaded.prior, container.header, container.tiles)


def verify(
    data: bytes,
    *,
    model: VqVae | str | None = None,
    device: str = "auto",
    max_pixels: int = Limits().pixels,
) -> Indices:
    """Return the indices as `indices` does, and check alpha and metadata too.

    Raises: FormatError, ModelError.
    """
    from_chunks(np.empty((0, 0, 3), dtype=np.uint8), parse(data, Limits(pixels=max_pixels)))
    return indices(data, model=model, device=device, max_pixels=max_pixels)


def _model(model: VqVae | str | None, device: str) -> VqVae:
    return model if isinstance(model, VqVae) else load_model(model, device=device)


def _model_of(header: Header, model: VqVae | str | None, device: str) -> VqVae:
    if model is None:
        loaded = load_model(find_by_prefix(header.model), device=device)
    else:
        loaded = _model(model, device)
        if not bytes.fromhex(loaded.sha256).startswith(header.model):
            raise ValueError(
                f"the file was made with model {header.model.hex()}…, "
                f"not with {loaded.name} ({loaded.sha256[:16]}…)"
            )
    if header.quality:
        raise CorruptError(f"quality is {header.quality}, the model has no qualities")
    if 1 << header.stride_log2 != loaded.config.stride:
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
