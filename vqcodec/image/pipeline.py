"""Picture to file and file to picture, as pipelines of the parts below."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, TypeAlias, cast

import numpy as np
from PIL import Image

from vqcodec.codec.coding import Indices, encode_grid
from vqcodec.codec.effort import Effort
from vqcodec.codec.loading import ModelLike, model_for, model_of
from vqcodec.codec.progress import Progress, counter
from vqcodec.codec.search import Qualities, Setting, Target, Wish
from vqcodec.codec.transform import measure_pixels
from vqcodec.codec.verification import decoding_again, require_same
from vqcodec.container import Container, Header, Limits, Medium, Mode, parse, serialise
from vqcodec.grid import Box, whole
from vqcodec.image.choosing import Chooser, Encoded, ModelEncoded, encode_lossless
from vqcodec.image.chunks import to_chunks, unpack
from vqcodec.image.drawing import decode_stored, draw_area
from vqcodec.image.picture import Picture
from vqcodec.image.pixels import Range
from vqcodec.image.reading import PictureLike, picture_of
from vqcodec.image.refining import Refinement, refiner_of
from vqcodec.image.writing import to_image
from vqcodec.metrics import psnr
from vqcodec.models.model import PictureModel
from vqcodec.storage import BytesLike, bytes_of

if TYPE_CHECKING:
    from vqcodec.refinement.refiner import Refiner

Crop: TypeAlias = "Sequence[int]"
"""x, y, width and height in pixels."""

TILE_LOG2 = 6
_MEDIUM = frozenset({Medium.PICTURE})


def compress(
    image: PictureLike,
    *,
    model: ModelLike = None,
    quality: float | None = None,
    target_size: int | None = None,
    target_bpp: float | None = None,
    target_psnr: float | None = None,
    lossless: bool = False,
    effort: int = 1,
    tune: str = "both",
    value_range: Range | None = None,
    device: str = "cpu",
    prior: bool = True,
    strip: bool = False,
    max_pixels: int = Limits().pixels,
    progress: Progress | None = None,
) -> bytes:
    """Compress a picture to the bytes of a .vqc file.

    `image` is a path, the bytes of a picture file, a file object, a Pillow image, or an
    array of uint8: (H, W) or (H, W, 1) grey, (H, W, 3) RGB, (H, W, 4) RGBA. Arrays of other
    numbers, and pictures of floating-point numbers or 32 bits, need `value_range`, the
    values that are black and white. `model` is what `load_model` returned, a name, a path
    ending in `.safetensors`, or None for the default; `device` is as for `load_model`.
    `quality` is 1 to the model's highest, steps between included; or instead of it, the best
    quality is searched whose file has at most `target_size` bytes or `target_bpp` bits per
    pixel, or the lowest with at least `target_psnr` dB. Where storing pixels exactly takes less
    than the model, of the picture or of parts of it, they are; `lossless` stores all of them
    so, without a model, and also colours under full transparency. `effort` 2 to 9 refines the
    indices, the longer the higher, to fewer bits and less distortion; that is the mean squared
    error for `tune` "psnr", 1 - MS-SSIM for "ms-ssim", or "both"; the first two are errors with
    effort 1. It needs torch. `prior=False` codes indices at fixed length, and nothing else. `strip`
    drops metadata (colour profile, EXIF, XMP, texts, ...); alpha is always kept. What else of the
    picture is not kept is warned of (`VqcWarning`).

    Raises: PictureError for a file that is no picture or damaged; ModelError; ValueError for
    an argument that cannot be taken, a quality out of range or a target out of reach;
    OSError for a path that cannot be read.
    """
    wish = Wish(
        quality=quality,
        target_size=target_size,
        target_bpp=target_bpp,
        target_psnr=target_psnr,
        lossless=lossless,
    )
    wanted = Effort(effort=effort, tune=tune)
    picture = picture_of(
        image, max_pixels=max_pixels, value_range=value_range, strip=strip, exact=lossless
    )
    loaded = None if lossless else picture_model(model, device)
    refiner = refiner_of(loaded, wanted, device)
    return encode(picture, loaded, wish, prior=prior, refiner=refiner, progress=progress).data


def picture_model(model: ModelLike, device: str) -> PictureModel:
    """Return the model that codes pictures. Raises: as `codec.loading.model_for`."""
    return cast(PictureModel, model_for(Medium.PICTURE, model, device))


def encode(
    picture: Picture,
    model: PictureModel | None,
    wish: Wish,
    *,
    prior: bool = True,
    refiner: Refiner | None = None,
    progress: Progress | None = None,
) -> Encoded:
    """Compress as `compress` does, with what `refiner_of` loaded, and keep what `confirm` needs.

    `model` may be None if the wish is for no loss. Raises: ValueError as `compress` does.
    """
    chunks = to_chunks(picture)
    if wish.lossless:
        return encode_lossless(picture, chunks, progress)
    if model is None:
        raise ValueError("only lossless files are made without a model")
    wish = wish.for_medium(Medium.PICTURE)
    qualities = Qualities.of(model)
    wished = qualities.setting(wish.quality)
    header = _header(picture, model, wished.quality, prior)
    if refiner is not None and not prior:
        raise ValueError("indices of fixed length cannot be refined: all of them cost the same")
    pixels = math.prod(header.shape)
    most, least = wish.bytes_at_most(pixels=pixels), wish.target_psnr
    is_single = most is None and least is None and refiner is None
    count = counter(progress, 2 * math.prod(header.grid)) if is_single else None
    measured = measure_pixels(model, picture.pixels, progress=count)
    chooser = Chooser(picture, chunks, model, header)

    def attempt(told: Setting) -> ModelEncoded:
        chosen = replace(header, quality=told.quality)
        streams, grid = encode_grid(model, chosen, measured, told.weight, count)
        data = serialise(Container(header=chosen, chunks=chunks, tiles=streams))
        return ModelEncoded(data=data, header=chosen, indices=grid, picture=picture, setting=told)

    def size(encoded: ModelEncoded) -> float:
        return len(chooser.smallest(encoded).data)

    def fidelity(encoded: ModelEncoded) -> float:
        return psnr(picture.pixels, chooser.smallest(encoded).shown(model))

    if most is not None and chooser.whole is not None and len(chooser.whole.data) <= most:
        return chooser.whole
    search = partial(Target, attempt=attempt, qualities=qualities)
    target = None
    if most is not None:
        told = partial(wish.told, pixels=pixels)
        target = search(reached=size, limit=most, at_most=True, told=told)
    if least is not None:
        target = search(reached=fidelity, limit=least, at_most=False, told="{:.6g} dB".format)
    encoded = attempt(wished) if target is None else target.search()
    if refiner is not None and not chooser.smallest(encoded).is_exact:
        refinement = Refinement(refiner, model, measured, attempt, progress)
        if target is None:
            encoded = refinement.refined(encoded)
        else:
            encoded = refinement.meet(target, encoded)
    return chooser.smallest(encoded)


def _header(picture: Picture, model: PictureModel, quality: int, prior: bool) -> Header:
    height, width = picture.pixels.shape[:2]
    return Header(
        mode=Mode.PRIOR if prior else Mode.FIXED,
        quality=quality,
        shape=(height, width),
        model=bytes.fromhex(model.sha256)[:8],
        stride_log2=model.stride.bit_length() - 1,
        tile_log2=TILE_LOG2,
    )


def confirm(
    encoded: Encoded,
    written: bytes,
    model: PictureModel | None,
    *,
    progress: Progress | None = None,
) -> None:
    """Decode what was written, all but the pixels that follow from the indices, and compare.

    Raises: VerificationError if it does not decode, or not to the indices that were
    coded, the pixels of literal tiles, the picture's alpha and its metadata.
    """
    before, header = encoded.picture, encoded.header
    with decoding_again():
        container = parse(written, Limits(pixels=math.prod(header.shape), media=_MEDIUM))
        alpha, metadata = unpack(container)
        count = counter(progress, math.prod(header.grid))
        decoder = model_of(container.header, model, "cpu")
        grid, pixels = decode_stored(container.header, container.tiles, decoder, count)
    tiles = header.tiles()
    stored = [header.elements_of(tiles[number]) for number in encoded.literal]
    require_same(
        {
            "bytes": written == encoded.data,
            "header": container.header == header,
            "indices": np.array_equal(grid, encoded.indices),
            "pixels": all(np.array_equal(pixels[box], before.pixels[box]) for box in stored),
            "alpha": _equal(alpha, before.alpha),
            "metadata": metadata == before.metadata,
        }
    )


def decompress(
    data: BytesLike,
    *,
    model: ModelLike = None,
    device: str = "cpu",
    crop: Crop | None = None,
    max_pixels: int = Limits().pixels,
    progress: Progress | None = None,
) -> Image.Image:
    """Decompress a .vqc file to a Pillow image, RGB or RGBA.

    `data` are its bytes, a path or a file object. The model is found by the hash in the file;
    `model` gives it where it is not installed. `crop` is (x, y, width, height) in pixels: only
    the tiles that it needs are decoded. Metadata that Pillow knows are in the image's `info`.

    Raises: FormatError, ModelError; ValueError for an argument that cannot be taken, such as
    a crop outside the picture; OSError for a path that cannot be read.
    """
    return to_image(
        decode(
            bytes_of(data),
            model=model,
            device=device,
            crop=crop,
            max_pixels=max_pixels,
            progress=progress,
        )
    )


def decode(
    data: bytes,
    *,
    model: ModelLike = None,
    device: str = "cpu",
    crop: Crop | None = None,
    max_pixels: int = Limits().pixels,
    progress: Progress | None = None,
) -> Picture:
    """Decompress a .vqc file as `decompress` does, with all of its metadata."""
    container = parse(data, Limits(pixels=max_pixels, media=_MEDIUM))
    header = container.header
    loaded = cast("PictureModel | None", model_of(header, model, device))
    area = _area(crop, header)
    pixels = draw_area(header, container.tiles, loaded, area, progress)
    alpha, metadata = unpack(container)
    return Picture(pixels=pixels, alpha=None if alpha is None else alpha[area], metadata=metadata)


def check(container: Container, *, model: ModelLike = None, device: str = "cpu") -> Indices:
    """Do what `vqcodec.verify` does with a picture's file that has been parsed."""
    unpack(container)
    loaded = model_of(container.header, model, device)
    grid, _ = decode_stored(container.header, container.tiles, loaded)
    return grid


def _area(crop: Crop | None, header: Header) -> Box:
    """Return the rows and columns of a crop. Raises ValueError if it is not in the picture."""
    if crop is None:
        return whole(header.shape)
    try:
        x, y, width, height = (operator.index(number) for number in crop)
    except (TypeError, ValueError) as error:
        raise ValueError(f"crop is {crop!r}, not four whole numbers x, y, width, height") from error
    rows, columns = header.shape
    if not (0 <= x < x + width <= columns and 0 <= y < y + height <= rows):
        raise ValueError(f"crop {x},{y},{width},{height} is not inside {columns}x{rows} pixels")
    return slice(y, y + height), slice(x, x + width)


def _equal(a: np.ndarray | None, b: np.ndarray | None) -> bool:
    return a is b if a is None or b is None else np.array_equal(a, b)
