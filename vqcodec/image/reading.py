"""Pictures of every kind to what is coded: from a file's bytes, a Pillow image or an array.

The codec, its command line and training all read pictures here, so a picture has the same
pixels everywhere.
"""

from __future__ import annotations

import io
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image

from vqcodec.errors import PictureError
from vqcodec.image import ifd
from vqcodec.image.accounting import (
    HIDDEN_COLOURS,
    UNKNOWN,
    Facts,
    Inventory,
    account,
    low_bits,
)
from vqcodec.image.hidden import fill_hidden, hides_colours
from vqcodec.image.inventory.listing import list_contents
from vqcodec.image.inventory.parts import Contents, Kind
from vqcodec.image.metadata import (
    Statements,
    containers_orientation,
    statements_of,
    statements_of_image,
    upright,
    warn,
)
from vqcodec.image.opening import open_image
from vqcodec.image.picture import Metadata, Picture
from vqcodec.image.pixels import Converted, Range, Samples, convert, samples_of, to_levels
from vqcodec.storage import BytesLike, bytes_of

PictureLike: TypeAlias = "BytesLike | Image.Image | NDArray[Any]"
"""A path, a file's bytes, a file object that is open for reading bytes, a Pillow image, or an
array (H, W), (H, W, 1), (H, W, 3) or (H, W, 4).
"""

_TURNED_BY_CONTAINER = frozenset({"AVIF", "HEIC"})
"""Formats whose own boxes, not EXIF and XMP, say how the picture is turned."""
_TRANSPOSED = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""How a picture of each EXIF orientation is turned upright (EXIF 2.32, section 4.6.4)."""


@dataclass(frozen=True, slots=True)
class Source:
    """A picture file as it is coded."""

    picture: Picture
    inventory: Inventory
    """What of the file is kept."""


def read_picture(
    data: bytes,
    *,
    max_pixels: int,
    value_range: Range | None = None,
    strip: bool = False,
    exact: bool = False,
    modified: int | None = None,
) -> Source:
    """Read a picture file.

    EXIF orientation is applied; samples of 16 bits keep their high 8; `value_range` are the
    values that are black and white where samples are floating-point numbers, or integers of
    more than 8 bits of a grey picture. Grey, CMYK and other colours become sRGB, through
    the colour profile where there is one; RGB keeps its numbers and its profile, or gets one
    from PNG's gAMA and cHRM. Of several frames or pages the first is taken. `strip` leaves
    metadata out; `exact` keeps colours under full transparency, for pixels that are stored
    exactly; `modified` is the file's date, to be kept with it.

    The inventory says what is lost. Raises: PictureError if the picture cannot be read.
    """
    source = _read(data, max_pixels, value_range, strip=strip, exact=exact)
    if modified is None or strip:
        return source
    metadata = replace(source.picture.metadata, modified=modified)
    return replace(source, picture=replace(source.picture, metadata=metadata))


def picture_of(
    source: PictureLike,
    *,
    max_pixels: int,
    value_range: Range | None = None,
    strip: bool = False,
    exact: bool = False,
) -> Picture:
    """Turn anything that is a picture into what is coded; see `read_picture`.

    Raises: PictureError for a file or image that cannot be read; ValueError for what is no
    picture; OSError.
    """
    if isinstance(source, Image.Image):
        return _picture_of_image(source, max_pixels, value_range, strip=strip, exact=exact)
    if hasattr(source, "__array__"):
        image = _image_of_array(np.asarray(source), value_range)
        return _picture_of_image(image, max_pixels, None, strip=strip, exact=exact)
    read = read_picture(
        bytes_of(source),
        max_pixels=max_pixels,
        value_range=value_range,
        strip=strip,
        exact=exact,
    )
    if read.inventory.loss:
        warn(f"not kept: {read.inventory.loss}")
    return read.picture


def _read(
    data: bytes, max_pixels: int, value_range: Range | None, *, strip: bool, exact: bool
) -> Source:
    contents = list_contents(data)
    refuse_multiplied_tags(contents, data)
    image = open_image(io.BytesIO(data), max_pixels)
    if contents is None:
        return Source(_taken_apart(image, value_range, strip=strip, exact=exact), UNKNOWN)
    if value_range is not None and contents.bits > 8:
        _refuse_range_of_colours(image)
    statements = statements_of(contents, data)
    if contents.format in _TURNED_BY_CONTAINER:
        statements = replace(statements, orientation=containers_orientation(image))
    # Pillow turns TIFF files itself.
    turn = 1 if contents.format == "TIFF" else statements.orientation
    _scale_key(image, contents)
    converted = _convert(image, turn, statements, _samples(image, contents), value_range)
    kept = kept_of(statements, converted.icc, strip=strip)
    pixels, hidden = (converted.pixels, False) if exact else _without_hidden(converted)
    inventory = account(
        contents,
        kept.metadata,
        Facts(
            damage=_damage(contents, data),
            profile_used=converted.icc is None,
            profile_trouble=converted.trouble,
            colours_used=kept.colours_used,
            hidden_colours=hidden,
            turned=statements.orientation != 1,
            stripped=strip,
            exact=exact,
            replaced=converted.replaced,
        ),
    )
    picture = Picture(pixels=pixels, alpha=converted.alpha, metadata=kept.metadata)
    return Source(picture, inventory)


def _damage(contents: Contents, data: bytes) -> str:
    """Say what a strict decoder complains of, where Pillow makes up what is missing."""
    if contents.format != "JPEG":
        return ""
    try:
        colours = simplejpeg.decode_jpeg_header(data)[2]
    except ValueError:
        return "its pixels, which cannot be checked for damage"
    same = {"Gray": "GRAY", "CMYK": "CMYK", "YCCK": "CMYK"}.get(colours, "RGB")
    try:
        # An eighth of the size: what is looked for are complaints.
        simplejpeg.decode_jpeg(data, same, min_height=1, min_width=1, min_factor=8)
    except ValueError as error:
        return f"what is damaged of its pixels ({error})"
    return ""


def _scale_key(image: Image.Image, contents: Contents) -> None:
    """Scale the transparent grey of a PNG file as Pillow scales its pixels of 2 or 4 bits."""
    key = image.info.get("transparency")
    if contents.format == "PNG" and image.mode == "L" and isinstance(key, int):
        image.info["transparency"] = key * 255 // ((1 << min(contents.bits, 8)) - 1)


def _picture_of_image(
    image: Image.Image, max_pixels: int, value_range: Range | None, *, strip: bool, exact: bool
) -> Picture:
    if not image.width * image.height:
        raise ValueError(f"a picture of {image.width}x{image.height} pixels has none")
    if image.width * image.height > max_pixels:
        raise ValueError(
            f"{image.width}x{image.height} is more than {max_pixels} pixels; raise max_pixels"
        )
    return _taken_apart(image, value_range, strip=strip, exact=exact)


def _taken_apart(
    image: Image.Image, value_range: Range | None, *, strip: bool, exact: bool
) -> Picture:
    """Take an image apart whose file is not at hand, or not of a kind whose parts are known."""
    _take_first_frame(image)
    statements = statements_of_image(image)
    turn = statements.orientation
    samples = samples_of(image)
    converted = _convert(image, turn, statements, samples, value_range)
    kept = kept_of(statements, converted.icc, strip=strip)
    pixels, hidden = (converted.pixels, False) if exact else _without_hidden(converted)
    lost = [converted.trouble, converted.replaced if exact else ""]
    if image.mode.startswith("I") and value_range is None and samples.bits is not None:
        lost.append(low_bits(samples.bits))
    lost.append(HIDDEN_COLOURS if hidden else "")
    if any(lost):
        warn(f"not kept: {', '.join(filter(None, lost))}")
    return Picture(pixels=pixels, alpha=converted.alpha, metadata=kept.metadata)


def _convert(
    image: Image.Image,
    turn: int,
    statements: Statements,
    samples: Samples,
    value_range: Range | None,
) -> Converted:
    transposition = _TRANSPOSED.get(turn)
    turned = image if transposition is None else image.transpose(transposition)
    metadata = statements.metadata
    # A colour code counts before a profile (PNG, third edition, section 4.3).
    return convert(turned, metadata.icc if metadata.cicp is None else None, samples, value_range)


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept of a file beside its pixels."""

    metadata: Metadata
    colours_used: bool
    """Whether PNG's gamma and primaries are in the profile, or are sRGB's."""


def kept_of(statements: Statements, icc: bytes | None, *, strip: bool) -> Kept:
    """Return the metadata of pixels that were turned upright and have the profile `icc`."""
    colours_used = True
    if statements.metadata.icc is None and statements.metadata.cicp is None:
        try:
            icc = statements.colours.profile()
        except ValueError as error:
            warn(f"its colours are taken as sRGB: {error}")
            colours_used = False
    if strip:
        return Kept(Metadata(), colours_used)
    metadata = upright(statements.metadata, statements.orientation)
    return Kept(replace(metadata, icc=icc), colours_used)


def _without_hidden(converted: Converted) -> tuple[NDArray[np.uint8], bool]:
    """Fill what is fully transparent; also tell whether colours were there."""
    if converted.alpha is None:
        return converted.pixels, False
    hidden = hides_colours(converted.pixels, converted.alpha)
    return fill_hidden(converted.pixels, converted.alpha), hidden


def _samples(image: Image.Image, contents: Contents) -> Samples:
    """Say what an image's file tells of its samples.

    Of TIFF, Pillow hands on the numbers as they are; those of 32 bits and signed ones have
    no known range.
    """
    if image.format != "TIFF":
        return samples_of(image)
    known = contents.bits <= 16 and not contents.signed and not contents.real
    return Samples(bits=contents.bits if known else None, inverted=contents.inverted)


def refuse_multiplied_tags(contents: Contents | None, data: bytes) -> None:
    """Raise PictureError if Pillow, to open the picture, would copy tags without end."""
    blocks = [data]  # if it is a TIFF file
    if contents is not None and contents.format in ("AVIF", "HEIC"):
        blocks = [part.data for part in contents.parts if part.kind is Kind.EXIF]
    if any(ifd.multiplies(block) for block in blocks):
        raise PictureError("its tags share bytes, and would take more than the file has")


def _refuse_range_of_colours(image: Image.Image) -> None:
    if image.mode != "F" and not image.mode.startswith("I"):
        raise PictureError(
            "a range can be given for grey pictures only: Pillow reads 8 bits of each colour",
            hint="convert it to 8 bits first",
        )


def _image_of_array(array: NDArray[Any], value_range: Range | None) -> Image.Image:
    shape = array.shape
    grey = array.ndim == 2 or (array.ndim == 3 and shape[2] == 1)
    if not array.size or not (grey or (array.ndim == 3 and shape[2] in (3, 4))):
        raise ValueError(
            f"expected an array (H, W), (H, W, 1), (H, W, 3) or (H, W, 4), got {shape}"
        )
    if value_range is not None and array.dtype.kind in "iuf":
        array = to_levels(array, value_range)
    if array.dtype != np.uint8:
        raise ValueError(
            f"expected an array of uint8, got {array.dtype}; "
            "value_range=(black, white) maps other numbers to it"
        )
    return Image.fromarray(np.ascontiguousarray(array.reshape(shape[:2]) if grey else array))


def _take_first_frame(image: Image.Image) -> None:
    """Go back to the first frame, and warn if there are others.

    Raises: PictureError if the first frame cannot be read again.
    """
    layered = image.format in ("MPO", "PSD")  # previews and layers, no animation
    frames = 2  # if Pillow cannot count them
    with suppress(Exception):
        frames = int(getattr(image, "n_frames", 1))
    if frames > 1:
        parts, kept = ("layers or previews", "picture") if layered else ("frames or pages", "first")
        warn(f"several {parts}: only the {kept} is kept")
    try:
        if image.tell() and not layered:
            image.seek(0)
        image.load()
    except MemoryError:
        raise
    except Exception as error:
        reason = str(error) or "its file is closed"
        raise PictureError(f"the image cannot be read: {reason}") from error
