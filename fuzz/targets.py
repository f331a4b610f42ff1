"""What is fuzzed: functions of bytes that return, whatever the bytes are.

Each ends in a result that is checked, or in a VqcError, which is caught. Anything else that it
raises is a fault of vqcodec.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np

from vqcodec.audio.pipeline import compress_audio, decompress_audio
from vqcodec.audio.salvage import salvage_audio
from vqcodec.clip.pipeline import compress_clip, decompress_clip
from vqcodec.clip.salvage import salvage_clip
from vqcodec.container import (
    Container,
    Header,
    Limits,
    Medium,
    Mode,
    parse,
    recover,
    serialise,
    spans,
)
from vqcodec.entropy.sampler import Sampler
from vqcodec.errors import FormatError, VqcError
from vqcodec.image import exif_tags
from vqcodec.image.accounting import Facts, account
from vqcodec.image.chunks import to_chunks, unpack
from vqcodec.image.inventory.listing import list_contents
from vqcodec.image.metadata import statements_of
from vqcodec.image.picture import Metadata, Picture
from vqcodec.image.pipeline import compress, decompress
from vqcodec.image.salvage import salvage as salvaged
from vqcodec.image.writing import write_picture
from vqcodec.models.clip import ClipVqVae
from vqcodec.models.model import Model, takes
from vqcodec.registry.load import parse_model

CORPUS = Path(__file__).parent / "corpus"
PIXELS = 1 << 10
"""Larger pictures and clips are refused, so that an execution is short."""
SAMPLES = 1 << 14
"""Longer sound is."""
LIMITS = Limits(pixels=PIXELS, frames=SAMPLES)
_SOUND = np.sin(np.arange(2000) / 9.0).astype(np.float32)
_HEADER = Header(mode=Mode.PRIOR, shape=(18, 20), model=bytes(8), stride_log2=4, tile_log2=6)
_PICTURE = np.arange(20 * 18 * 3, dtype=np.uint8).reshape(18, 20, 3)
_CLIP = np.stack([_PICTURE, _PICTURE[::-1]])


def container(data: bytes) -> None:
    """Parse: there is one way to write what was read, and every byte is accounted for."""
    try:
        parsed = parse(data)
    except FormatError:
        return
    assert serialise(parsed) == data
    assert sum(span.size for span in spans(parsed)) == len(data)


def decode(data: bytes) -> None:
    """Decompress with the model that the file names, or else with the first of its medium."""
    try:
        header = parse(data, LIMITS).header
        if header.medium is Medium.SOUND:
            model = _model_of(header)
            samples, rate = decompress_audio(data, model=model, max_samples=SAMPLES)
            assert 0 < samples.size <= SAMPLES
            assert rate > 0
            return
        if header.medium is Medium.CLIP:
            clip = decompress_clip(data, model=_model_of(header), max_pixels=PIXELS)
            assert clip.frames.shape == (*header.shape, 3)
            assert len(clip.durations) == header.shape[0]
            assert (clip.durations > 0).all()
            return
        image = decompress(data, model=_model_of(header), max_pixels=PIXELS)
        assert image.size == header.shape[::-1]
    except VqcError:
        return


def salvage(data: bytes) -> None:
    """Salvage with the model that the file names, or else with the first of its medium: what is
    lost is told, and a file that decompresses loses nothing.
    """
    try:
        header = recover(data, LIMITS).container.header
        model = _model_of(header)
        if header.medium is Medium.SOUND:
            _salvage_sound(data, model, header.tile_count)
            return
        if header.medium is Medium.CLIP:
            _salvage_clip(data, model, header.tile_count)
            return
        found = salvaged(data, model=model, max_pixels=PIXELS)
        assert found.image.size == header.shape[::-1]
        assert all(0 <= tile.number < header.tile_count for tile in found.lost)
        whole = decompress(data, model=model, max_pixels=PIXELS)
        assert not found.losses
        assert found.image == whole
    except VqcError:
        return


def _salvage_sound(data: bytes, model: Model, tiles: int) -> None:
    found = salvage_audio(data, model=model, max_samples=SAMPLES)
    assert all(0 <= segment.number < tiles for segment in found.lost)
    assert len(found.losses) >= len(found.lost)
    samples, rate = decompress_audio(data, model=model, max_samples=SAMPLES)
    assert not found.losses
    assert found.rate == rate
    assert np.array_equal(found.samples, samples, equal_nan=True)


def _salvage_clip(data: bytes, model: Model, tiles: int) -> None:
    found = salvage_clip(data, model=model, max_pixels=PIXELS)
    assert all(0 <= lost.number < tiles for lost in found.lost)
    assert len(found.losses) >= len(found.lost)
    whole = decompress_clip(data, model=model, max_pixels=PIXELS)
    assert not found.losses
    assert np.array_equal(found.clip.frames, whole.frames)
    assert np.array_equal(found.clip.durations, whole.durations)


def model(data: bytes) -> None:
    """Load a model, its hash being right; what it then writes, it must be able to read, and of
    clips what it draws it must be able to code.
    """
    try:
        loaded = parse_model(data, sha256=hashlib.sha256(data).hexdigest())
    except VqcError:
        return
    if loaded.medium is Medium.PICTURE and not takes(loaded, _PICTURE.shape[:2]):
        return
    if isinstance(loaded, ClipVqVae):
        before = loaded.frame_indices(_PICTURE[:16])
        frame = loaded.draw(before, len(loaded.clip.actions), sampler=Sampler(0))
        assert loaded.frame_samples(frame).shape == (16, 20, 3)
        assert 0.0 <= loaded.bits(frame, before) <= 24.0 * frame.size
    for prior in (True, False):
        if loaded.medium is Medium.SOUND:
            made = compress_audio(_SOUND, 16000, model=loaded, prior=prior)
            decompress_audio(made, model=loaded)
        elif loaded.medium is Medium.CLIP:
            decompress_clip(compress_clip(_CLIP, model=loaded, prior=prior), model=loaded)
        else:
            decompress(compress(_PICTURE, model=loaded, prior=prior), model=loaded)


def _model_of(header: Header) -> Model:
    fitting = [model for model in _models().values() if model.medium is header.medium]
    return _models().get(header.model, fitting[0])


@cache
def _models() -> dict[bytes, Model]:
    """Read the models of the corpus, by the beginning of their hash."""
    found = {}
    for path in sorted((CORPUS / "model").glob("*.safetensors")):
        data = path.read_bytes()
        digest = hashlib.sha256(data)
        found[digest.digest()[:8]] = parse_model(data, sha256=digest.hexdigest())
    return found


def inventory(data: bytes) -> None:
    """List the parts of a picture file: their sizes sum to the file's, and what is said to be
    kept of a file is what a .vqc file of it would hold.
    """
    found = list_contents(data)
    if found is None:
        return
    assert sum(part.size for part in found.parts) == len(data)
    metadata = statements_of(found, data).metadata
    held = Picture(pixels=_PICTURE, metadata=metadata)
    sealed = Container(header=_HEADER, chunks=to_chunks(held), tiles=(b"",))
    assert unpack(sealed)[1] == metadata
    assert account(found, metadata, Facts()).as_dict()
    if metadata.exif is not None:
        upright = exif_tags.upright(metadata.exif)
        assert len(upright) == len(metadata.exif)
        write_picture(replace(held, metadata=Metadata(exif=upright)), "TIFF")


TARGETS = {
    "container": container,
    "decode": decode,
    "salvage": salvage,
    "model": model,
    "inventory": inventory,
}
