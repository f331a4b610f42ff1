"""Pictures and .vqc files to tokens, and tokens to .vqc files and pixels."""

from __future__ import annotations

from typing import cast

import numpy as np
from PIL import Image

from vqcodec.clip.formats import is_video
from vqcodec.codec.beginnings import HEAD_BYTES, is_sound
from vqcodec.codec.coding import Indices, encode_grid, encode_indices
from vqcodec.codec.loading import ModelLike, indices_of, model_of
from vqcodec.codec.search import Qualities
from vqcodec.codec.transform import decode_indices, measure_pixels
from vqcodec.container import Container, Header, Limits, Medium, Mode, parse, serialise
from vqcodec.container.layout import MODEL_BYTES, SIGNATURE
from vqcodec.errors import ModelError, PictureError, PixelLimitError, TokensError
from vqcodec.grid import whole
from vqcodec.image.picture import Picture
from vqcodec.image.pipeline import TILE_LOG2, picture_model
from vqcodec.image.pixels import Range
from vqcodec.image.reading import PictureLike, picture_of, read_picture
from vqcodec.models.model import Model, PictureModel, header_qualities, takes
from vqcodec.registry.load import load_model
from vqcodec.registry.store import find_by_prefix
from vqcodec.storage import bytes_of
from vqcodec.tokens.record import Tokens


def tokenize(
    source: PictureLike,
    *,
    name: str = "",
    model: ModelLike = None,
    quality: float | None = None,
    value_range: Range | None = None,
    device: str = "cpu",
    max_pixels: int = Limits().pixels,
) -> Tokens:
    """Return the tokens of a picture, or of a .vqc file, whose pixels are not decoded.

    A .vqc file has its own quality and is read with its own model; `quality` and, where it is
    None, the default model are for pictures. The other arguments are those of
    `vqcodec.compress`. Pictures have the tokens that `compress` would choose, everywhere: nothing
    is stored exactly.

    Raises: TokensError for a .vqc file in which pixels are stored exactly; PictureError,
    FormatError, ModelError; ValueError for an argument that cannot be taken; OSError.
    """
    if isinstance(source, Image.Image) or hasattr(source, "__array__"):
        picture = picture_of(source, max_pixels=max_pixels, value_range=value_range, strip=True)
    else:
        data = bytes_of(source)
        if data.startswith(SIGNATURE):
            return _of_file(data, name, model, device, max_pixels)
        for medium, is_of in ((Medium.SOUND, is_sound), (Medium.CLIP, is_video)):
            if is_of(data[:HEAD_BYTES]):
                raise PictureError(f"the file holds {medium.noun}, not {Medium.PICTURE.noun}")
        picture = read_picture(
            data, max_pixels=max_pixels, value_range=value_range, strip=True
        ).picture
    return _of_picture(picture, name, picture_model(model, device), quality)


def to_vqc(tokens: Tokens, *, model: ModelLike = None, device: str = "cpu") -> bytes:
    """Return the bytes of a .vqc file that holds these tokens, coded under the model's prior.

    The model is found by its hash; `model` gives it where it is not installed. Raises:
    TokensError if the tokens are none of the model's; ModelError; ValueError for a device that
    is not there.
    """
    loaded = model_of_tokens(tokens, model, device)
    header = _fitting_header(tokens, loaded)
    tiles = encode_indices(loaded, header, tokens.indices.astype(np.int32))
    return serialise(Container(header=header, tiles=tiles))


def to_image(
    tokens: Tokens,
    *,
    model: ModelLike = None,
    device: str = "cpu",
    max_pixels: int = Limits().pixels,
) -> Image.Image:
    """Return the picture that tokens stand for, RGB: what `to_vqc`'s file decompresses to.

    Raises: as `to_vqc`; PixelLimitError.
    """
    height, width = tokens.shape
    if height * width > max_pixels:
        raise PixelLimitError(f"{width}x{height} pixels, the limit is {max_pixels}")
    loaded = model_of_tokens(tokens, model, device)
    header = _fitting_header(tokens, loaded)
    grid = tokens.indices.astype(np.int32)
    return Image.fromarray(decode_indices(loaded, grid, header.quality, whole(header.shape)))


def _of_file(data: bytes, name: str, model: ModelLike, device: str, max_pixels: int) -> Tokens:
    container = parse(data, Limits(pixels=max_pixels, media=frozenset({Medium.PICTURE})))
    header = container.header
    if header.mode in (Mode.LITERAL, Mode.MIXED):
        raise TokensError(
            "pixels are stored exactly in it, which have no tokens",
            hint="pictures themselves have tokens everywhere",
        )
    loaded = model_of(header, model, device)
    assert loaded is not None  # only literal files have no model
    indices = indices_of(container, loaded, device)
    return _tokens(indices, header, loaded, name)


def _of_picture(picture: Picture, name: str, model: PictureModel, quality: float | None) -> Tokens:
    wished = Qualities.of(model).setting(quality)
    header = _header(model, wished.quality, cast("tuple[int, int]", picture.pixels.shape[:2]))
    measured = measure_pixels(model, picture.pixels)
    _, indices = encode_grid(model, header, measured, wished.weight)
    return _tokens(indices, header, model, name)


def _tokens(indices: Indices, header: Header, model: Model, name: str) -> Tokens:
    height, width = header.shape
    return Tokens(
        indices=indices.astype(np.uint16),
        shape=(height, width),
        quality=header.quality,
        model=model.sha256,
        name=name,
    )


def _header(model: PictureModel, quality: int, shape: tuple[int, int]) -> Header:
    return Header(
        mode=Mode.PRIOR,
        quality=quality,
        shape=shape,
        model=bytes.fromhex(model.sha256)[:MODEL_BYTES],
        stride_log2=model.stride.bit_length() - 1,
        tile_log2=TILE_LOG2,
    )


def model_of_tokens(tokens: Tokens, model: ModelLike, device: str) -> PictureModel:
    """Return the model that tokens are of.

    Raises: ModelError, also if the one given is another; TokensError if it lacks their quality.
    """
    if model is None:
        prefix = bytes.fromhex(tokens.model)[:MODEL_BYTES]
        model = load_model(find_by_prefix(prefix), device=device)
    loaded = picture_model(model, device)
    if loaded.sha256 != tokens.model:
        raise ModelError(
            f"the tokens are of model {tokens.model[:16]}…, "
            f"not of {loaded.name} ({loaded.sha256[:16]}…)"
        )
    if tokens.quality not in header_qualities(loaded):
        raise TokensError(f"quality is {tokens.quality}, which {loaded.name} does not have")
    return loaded


def _fitting_header(tokens: Tokens, model: PictureModel) -> Header:
    """Return the header of tokens' file. Raises: TokensError if they are none of the model's."""
    quality, indices = tokens.quality, tokens.indices
    header = _header(model, quality, tokens.shape)
    expected = (*header.grid, model.groups(quality))
    height, width = tokens.shape
    if not takes(model, header.shape):
        raise TokensError(f"{width}x{height} pixels are more than {model.name} takes")
    if indices.shape != expected:
        raise TokensError(
            f"{width}x{height} pixels have indices {expected} with {model.name}, "
            f"not {indices.shape}"
        )
    if (indices >= np.array(model.codewords(quality), dtype=np.int64)).any():
        raise TokensError(f"an index has no codeword in {model.name}")
    return header
