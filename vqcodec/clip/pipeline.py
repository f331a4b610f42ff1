"""Clip to file and file to clip, as pipelines of the parts beside this one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vqcodec.clip.chunks import Description, to_chunks
from vqcodec.clip.coding import TileCoder
from vqcodec.clip.decoding import Film, open_container
from vqcodec.clip.footage import Clip, Footage, limited, names_of, numbers_of, stack_of
from vqcodec.clip.timing import timing_of
from vqcodec.codec.coding import Indices
from vqcodec.codec.loading import ModelLike, model_for
from vqcodec.codec.progress import Progress, counter
from vqcodec.codec.search import Qualities, Wish
from vqcodec.codec.transform import measure_pixels
from vqcodec.codec.verification import decoding_again, require_same
from vqcodec.container import Container, Header, Limits, Medium, Mode, parse, serialise
from vqcodec.errors import ClipError
from vqcodec.models.clip import STEADINESS, ClipVqVae
from vqcodec.storage import BytesLike, bytes_of

TILE_LOG2 = 6
_MEDIUM = frozenset({Medium.CLIP})


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoded:
    """The bytes of a .vqc file and what they must decode to."""

    data: bytes
    header: Header
    indices: Indices
    """(T, rows, columns)."""
    description: Description


def compress_clip(
    frames: ArrayLike,
    *,
    durations: float | Sequence[float] | None = None,
    loops: int = 0,
    actions: Sequence[str] = (),
    model: ModelLike = None,
    device: str = "cpu",
    prior: bool = True,
    steadiness: float = STEADINESS,
    max_pixels: int = Limits().pixels,
    progress: Progress | None = None,
) -> bytes:
    """Compress a clip to the bytes of a .vqc file.

    `frames` are uint8 (T, H, W, 3), one or more. `durations` are the milliseconds that frames are
    shown, one number for all or one for each; None: as many as the model's clips have. The clip is
    played `loops` times, 0 being for ever. `actions` are, for each frame, the name of the action
    that led to it, of those that the model knows, "" where it is not known: with them files are
    smaller. `model` is what `load_model` returned, a name, a path ending in `.safetensors`, or None
    for the first model of clips that is installed. `prior=False` codes indices at fixed length.
    Where the codeword of the frame before is hardly farther than the nearest one it is kept, the
    more readily the higher `steadiness` is: 0 takes the nearest ones, more makes smaller files
    that follow changes less closely.

    Raises: ModelError; ClipError for more than `max_pixels` of all frames together; ValueError
    for an argument that cannot be taken.
    """
    loaded = clip_model(model, device)
    if durations is None:
        durations = 1000.0 / loaded.clip.frames_per_second
    footage = stack_of(frames, durations, loops, actions)
    return encode(
        footage,
        loaded,
        Wish(),
        prior=prior,
        steadiness=steadiness,
        max_pixels=max_pixels,
        progress=progress,
    ).data


def clip_model(model: ModelLike, device: str) -> ClipVqVae:
    """Return the model that codes clips. Raises: as `codec.loading.model_for`."""
    return cast(ClipVqVae, model_for(Medium.CLIP, model, device))


def encode(
    footage: Footage,
    model: ClipVqVae,
    wish: Wish,
    *,
    actions: Sequence[str] | None = None,
    prior: bool = True,
    steadiness: float = STEADINESS,
    max_pixels: int = Limits().pixels,
    progress: Progress | None = None,
) -> Encoded:
    """Compress as `compress_clip` does, and keep what `confirm` needs.

    The footage is read once, a frame at a time; `actions` are the names of its actions, None those
    that it has. Raises: ClipError, MissingPackageError; ValueError
    as `compress_clip` does, and for a wish that no clip can have.
    """
    if not 0.0 <= steadiness < math.inf:
        raise ValueError(f"steadiness is {steadiness!r}, not a number from 0 on")
    wish = wish.for_medium(Medium.CLIP)
    quality = Qualities.of(model).setting(wish.quality).quality
    watched = None if footage.count is None else progress
    grids: list[NDArray[np.uint16]] = []
    durations, count, size = [], None, (0, 0)
    for pixels, duration in limited(footage.frames(), max_pixels):
        if not grids:
            size = (pixels.shape[0], pixels.shape[1])
            positions = math.prod(-(-side // model.stride) for side in size)
            count = counter(watched, 2 * positions * (footage.count or 1))
        measured = measure_pixels(model, pixels, progress=count)
        # Held as they are stored: of a long clip there are many.
        before = grids[-1] if grids else None
        grids.append(model.steady(measured, before, steadiness).astype(np.uint16))
        durations.append(duration)
    if not grids:
        raise ClipError("there are no frames")
    header = Header(
        medium=Medium.CLIP,
        mode=Mode.PRIOR if prior else Mode.FIXED,
        quality=quality,
        shape=(len(grids), *size),
        model=bytes.fromhex(model.sha256)[:8],
        stride_log2=model.stride.bit_length() - 1,
        tile_log2=TILE_LOG2,
    )
    description = Description(
        timing=timing_of(durations, footage.loops),
        actions=numbers_of(model, footage.actions if actions is None else actions, len(grids)),
        modified=footage.modified,
    )
    indices = np.stack(grids).astype(np.int32)
    streams = TileCoder(model, header.mode, description.actions).encode(indices, header, count)
    container = Container(header=header, chunks=to_chunks(description), tiles=streams)
    return Encoded(
        data=serialise(container), header=header, indices=indices, description=description
    )


def confirm(
    encoded: Encoded, written: bytes, model: ClipVqVae, *, progress: Progress | None = None
) -> None:
    """Decode what was written, all but the pixels that follow from the indices, and compare.

    Raises: VerificationError if it does not decode, or not to the indices that were coded and
    to what else is known of the clip.
    """
    with decoding_again():
        limits = Limits(pixels=math.prod(encoded.header.shape), media=_MEDIUM)
        film = open_container(parse(written, limits), model, "cpu")
        grid = film.indices(progress)
    require_same(
        {
            "bytes": written == encoded.data,
            "header": film.container.header == encoded.header,
            "indices": np.array_equal(grid, encoded.indices),
            "description": film.description == encoded.description,
        }
    )


def decompress_clip(
    data: BytesLike,
    *,
    model: ModelLike = None,
    device: str = "cpu",
    crop: tuple[float, float] | None = None,
    max_pixels: int = Limits().pixels,
    progress: Progress | None = None,
) -> Clip:
    """Decompress a .vqc file of a clip.

    `data` are its bytes, a path or a file object. The model is found by the hash in the file;
    `model` gives it where it is not installed. `crop` is from and to a time in seconds: the frames
    that are shown in between are returned, and only the tiles that they need are decoded. Files of
    more than `max_pixels`, all frames together, are refused.

    Raises: FormatError, ModelError; ValueError for an argument that cannot be taken, such as a
    crop outside the clip; OSError for a path that cannot be read.
    """
    film = open_clip(bytes_of(data), model=model, device=device, max_pixels=max_pixels)
    span = film.timing.span(crop)
    frames = np.empty((len(span), *film.size, 3), np.uint8)
    for number, frame in enumerate(film.frames(span, progress=progress)):
        frames[number] = frame
    return clip_of(film, frames, span)


def clip_of(film: Film, frames: np.ndarray, span: range) -> Clip:
    """Return the frames of a span with what the file says of them."""
    return Clip(
        frames=frames,
        durations=np.array([float(1000 * own) for own in film.timing.durations(span)]),
        loops=film.timing.loops,
        actions=names_of(film.model, film.description.actions[span.start : span.stop]),
    )


def open_clip(
    data: bytes,
    *,
    model: ModelLike = None,
    device: str = "cpu",
    max_pixels: int = Limits().pixels,
) -> Film:
    """Parse a .vqc file of a clip; what is returned decodes it frame by frame.

    Raises: FormatError, ModelError; ValueError as `open_container` does.
    """
    return open_container(parse(data, Limits(pixels=max_pixels, media=_MEDIUM)), model, device)


def check(container: Container, *, model: ModelLike = None, device: str = "cpu") -> Indices:
    """Do what `vqcodec.verify` does with a clip's file that has been parsed; the indices are
    (T, rows, columns, 1).
    """
    return open_container(container, model, device).indices()[..., None]
