"""Sound to file and file to sound, as pipelines of the parts beside this one."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vqcodec.audio.chunks import MAX_SAMPLES, Description, to_chunks
from vqcodec.audio.decoding import Sound, open_container
from vqcodec.audio.level import scale
from vqcodec.audio.recording import Block, Recording, samples_of
from vqcodec.audio.resampling import part, resampled
from vqcodec.audio.speakers import Loudest, number_of
from vqcodec.audio.speech import SpeechTest
from vqcodec.audio.survey import Survey, survey
from vqcodec.audio.transform import measure_blocks
from vqcodec.audio.waveform import Waveform
from vqcodec.codec.coding import Indices, decode_grid, encode_grid
from vqcodec.codec.loading import ModelLike, indices_of, model_for
from vqcodec.codec.progress import Progress, counter
from vqcodec.codec.search import Qualities, Setting, Target, Wish
from vqcodec.codec.verification import decoding_again, require_same
from vqcodec.container import Container, Header, Limits, Medium, Mode, layout, parse, serialise
from vqcodec.errors import VqcWarning
from vqcodec.models.model import SoundModel
from vqcodec.storage import BytesLike, bytes_of

TILE_LOG2 = 9
"""Segments of up to 512 frames of 20 ms, 10 s; of shorter frames more, of longer ones fewer."""
_FRAME_SECONDS = 0.02
_READ = 1 << 16
"""Samples of a channel that are read at once."""
LIMITS = Limits(media=frozenset({Medium.SOUND}))


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoded:
    """The bytes of a .vqc file and what they must decode to."""

    data: bytes
    header: Header
    indices: Indices
    description: Description


def compress_audio(
    samples: ArrayLike,
    rate: int,
    *,
    model: ModelLike = None,
    quality: float | None = None,
    target_size: int | None = None,
    target_bitrate: float | None = None,
    device: str = "cpu",
    prior: bool = True,
    tags: Mapping[str, str] | None = None,
    speaker: str | None = None,
    progress: Progress | None = None,
) -> bytes:
    """Compress sound to the bytes of a .vqc file.

    `samples` are floating-point numbers, full scale being -1..1, or int16: (n,) or (channels, n),
    at `rate` samples per second. `model` is what `load_model` returned, a name, a path ending in
    `.safetensors`, or None for the default. `quality` is 1 to the model's highest, steps between
    included; or instead of it, the best quality is searched whose file has at most `target_size`
    bytes or `target_bitrate` bits per second. `prior=False` codes indices at fixed length.
    `tags` are Vorbis comments, such as TITLE. `speaker` is the name of one whom the model knows, in
    whose voice the sound is to be decoded; None: the one whose voice is most like it. Where the
    sound is not like speech, for which models are made, a warning says so (`VqcWarning`).

    Raises: ModelError; MissingPackageError for a rate that is not the model's if soxr is not
    installed; SoundError for tags that are too large, and samples; ValueError for an argument
    that cannot be taken or a target out of reach.
    """
    wish = Wish(quality=quality, target_size=target_size, target_bitrate=target_bitrate)
    recording = samples_of(samples, rate, tuple((tags or {}).items()))
    loaded = sound_model(model, device)
    return encode(recording, loaded, wish, prior=prior, speaker=speaker, progress=progress).data


def sound_model(model: ModelLike, device: str) -> SoundModel:
    """Return the model that codes sound. Raises: as `codec.loading.model_for`."""
    return cast(SoundModel, model_for(Medium.SOUND, model, device))


def encode(
    recording: Recording,
    model: SoundModel,
    wish: Wish,
    *,
    prior: bool = True,
    speaker: str | None = None,
    max_samples: int = MAX_SAMPLES,
    progress: Progress | None = None,
) -> Encoded:
    """Compress as `compress_audio` does, and keep what `confirm` needs.

    The recording is read twice. Raises: SoundError, MissingPackageError; ValueError as
    `compress_audio` does.
    """
    qualities = Qualities.of(model)
    wished = qualities.setting(wish.for_medium(Medium.SOUND).quality)
    given = None if speaker is None else number_of(model, speaker)
    found = survey(recording, max_samples)
    waveform = found.waveform
    header = _header(waveform, model, wished.quality, prior)
    known = Description(
        waveform=waveform,
        speakers=(given or 0,) * len(waveform.levels),
        tags=recording.tags,
        modified=recording.modified,
    )
    to_chunks(known)  # what is too large is told now, not after coding
    most = wish.bytes_at_most(seconds=waveform.seconds)
    count = None if most is not None else counter(progress, 2 * math.prod(header.shape))
    test = SpeechTest(model.rate)
    loudest = Loudest(model)
    blocks = loudest.listened(test.listened(_as_seen(recording, found, model.rate)))
    measured = measure_blocks(model, blocks, header.grid, progress=count)
    if not test.is_speech:
        message = "it does not look like speech, for which the model is made: listen to the result"
        warnings.warn(message, VqcWarning, stacklevel=2)

    def attempt(told: Setting) -> Encoded:
        chosen = replace(header, quality=told.quality)
        streams, grid = encode_grid(model, chosen, measured, told.weight, count)
        description = known
        if given is None:
            description = replace(known, speakers=loudest.speakers(grid))
        data = serialise(Container(header=chosen, chunks=to_chunks(description), tiles=streams))
        return Encoded(data=data, header=chosen, indices=grid, description=description)

    def size(encoded: Encoded) -> float:
        return len(encoded.data)

    if most is None:
        return attempt(wished)
    return Target(
        attempt=attempt,
        qualities=qualities,
        reached=size,
        limit=most,
        at_most=True,
        told=partial(wish.told, seconds=waveform.seconds),
    ).search()


def _header(waveform: Waveform, model: SoundModel, quality: int, prior: bool) -> Header:
    return Header(
        medium=Medium.SOUND,
        mode=Mode.PRIOR if prior else Mode.FIXED,
        quality=quality,
        shape=(len(waveform.levels), waveform.frames(model.rate, model.hop)),
        model=bytes.fromhex(model.sha256)[:8],
        stride_log2=0,
        tile_log2=_tile_log2(model),
    )


def _tile_log2(model: SoundModel) -> int:
    """Return about how long segments are, in the model's frames."""
    frames = math.log2(model.rate * _FRAME_SECONDS / model.hop)
    return min(max(TILE_LOG2 + round(frames), layout.TILE_LOG2_MIN), layout.TILE_LOG2_MAX)


def _as_seen(recording: Recording, found: Survey, rate: int) -> Iterator[Block]:
    """Yield the channels to be coded as a model sees them: at its rate, as loud as it expects."""
    waveform = found.waveform
    scales = np.array([scale(level) or 1.0 for level in waveform.levels], np.float32)
    sources = (block[:, found.sources] / scales for block in recording.blocks(_READ))
    blocks = resampled(sources, waveform.rate, rate)
    return part(blocks, 0, waveform.samples_at(rate), len(waveform.levels))


def confirm(
    encoded: Encoded, written: bytes, model: SoundModel, *, progress: Progress | None = None
) -> None:
    """Decode what was written, all but the samples that follow from the indices, and compare.

    Raises: VerificationError if it does not decode, or not to the indices that were coded and
    to what else is known of the sound.
    """
    samples = encoded.description.waveform.samples * len(encoded.description.waveform.channels)
    with decoding_again():
        container = parse(written, LIMITS)
        sound = open_container(container, model, "cpu", samples)
        count = counter(progress, math.prod(encoded.header.grid))
        grid = decode_grid(model, container.header, container.tiles, progress=count)
    require_same(
        {
            "bytes": written == encoded.data,
            "header": container.header == encoded.header,
            "indices": np.array_equal(grid, encoded.indices),
            "description": sound.description == encoded.description,
        }
    )


def decompress_audio(
    data: BytesLike,
    *,
    model: ModelLike = None,
    device: str = "cpu",
    crop: tuple[float, float] | None = None,
    speaker: str | None = None,
    max_samples: int = MAX_SAMPLES,
    progress: Progress | None = None,
) -> tuple[NDArray[np.float32], int]:
    """Decompress a .vqc file of sound to samples, float32 (channels, n), and their rate.

    `data` are its bytes, a path or a file object. The model is found by the hash in the file;
    `model` gives it where it is not installed. `crop` is from and to a time in seconds: only the
    tiles that it needs are decoded. `speaker` is the name of one whom the model knows, in whose
    voice the sound is to be; None: as the file says. Files of more than `max_samples`, all channels
    together, are refused.

    Raises: FormatError, ModelError; MissingPackageError for a rate that is not the model's if
    soxr is not installed; ValueError for an argument that cannot be taken, such as a crop
    outside the sound; OSError for a path that cannot be read.
    """
    sound = open_sound(
        bytes_of(data), model=model, device=device, speaker=speaker, max_samples=max_samples
    )
    span = sound.span(crop)
    samples = np.empty((len(sound.waveform.channels), len(span)), np.float32)
    done = 0
    for block in sound.blocks(span, progress=progress):
        samples[:, done : done + len(block)] = block.T
        done += len(block)
    return samples, sound.waveform.rate


def open_sound(
    data: bytes,
    *,
    model: ModelLike = None,
    device: str = "cpu",
    speaker: str | None = None,
    max_samples: int = MAX_SAMPLES,
) -> Sound:
    """Parse a .vqc file of sound; what is returned decodes it block by block.

    Raises: FormatError, ModelError; ValueError as `open_container` does.
    """
    return open_container(parse(data, LIMITS), model, device, max_samples, speaker)


def check(container: Container, *, model: ModelLike = None, device: str = "cpu") -> Indices:
    """Do what `vqcodec.verify` does with a file of sound that has been parsed."""
    sound = open_container(container, model, device, MAX_SAMPLES)
    return indices_of(container, sound.model, device)
