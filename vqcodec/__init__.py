"""vqcodec: a neural codec of pictures, sound and clips whose files decode to the same indices
everywhere.

    import vqcodec
    from PIL import Image

    data = vqcodec.compress(Image.open("photo.png"))
    image = vqcodec.decompress(data)

    data = vqcodec.compress_audio(samples, 16000)
    samples, rate = vqcodec.decompress_audio(data)

    data = vqcodec.compress_clip(frames, durations=40, model="clips.safetensors")
    clip = vqcodec.decompress_clip(data)

Importing the package is cheap; each part is loaded when it is first asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vqcodec.audio.inspection import SoundInspection
    from vqcodec.audio.pipeline import compress_audio, decompress_audio
    from vqcodec.audio.salvage import LostSegment, SalvagedSound, salvage_audio
    from vqcodec.audio.sampling import sample_audio
    from vqcodec.clip.footage import Clip
    from vqcodec.clip.inspection import ClipInspection
    from vqcodec.clip.pipeline import compress_clip, decompress_clip
    from vqcodec.clip.salvage import LostFrames, SalvagedClip, salvage_clip
    from vqcodec.codec.inspection import Inspection
    from vqcodec.errors import (
        ClipError,
        FormatError,
        ModelError,
        PictureError,
        SoundError,
        VqcError,
        VqcWarning,
    )
    from vqcodec.image.inspection import PictureInspection
    from vqcodec.image.pipeline import compress, decompress
    from vqcodec.image.salvage import LostTile, Salvaged, salvage
    from vqcodec.image.sampling import sample
    from vqcodec.media.checking import indices, verify
    from vqcodec.media.inspection import inspect
    from vqcodec.registry.load import load_model
    from vqcodec.registry.store import ModelFile, list_models

    __version__: str

__all__ = [
    "Clip",
    "ClipError",
    "ClipInspection",
    "FormatError",
    "Inspection",
    "LostFrames",
    "LostSegment",
    "LostTile",
    "ModelError",
    "ModelFile",
    "PictureError",
    "PictureInspection",
    "Salvaged",
    "SalvagedClip",
    "SalvagedSound",
    "SoundError",
    "SoundInspection",
    "VqcError",
    "VqcWarning",
    "__version__",
    "compress",
    "compress_audio",
    "compress_clip",
    "decompress",
    "decompress_audio",
    "decompress_clip",
    "indices",
    "inspect",
    "list_models",
    "load_model",
    "salvage",
    "salvage_audio",
    "salvage_clip",
    "sample",
    "sample_audio",
    "verify",
]

_HOMES = {
    "Clip": "vqcodec.clip.footage",
    "ClipError": "vqcodec.errors",
    "ClipInspection": "vqcodec.clip.inspection",
    "FormatError": "vqcodec.errors",
    "Inspection": "vqcodec.codec.inspection",
    "LostFrames": "vqcodec.clip.salvage",
    "LostSegment": "vqcodec.audio.salvage",
    "LostTile": "vqcodec.image.salvage",
    "ModelError": "vqcodec.errors",
    "ModelFile": "vqcodec.registry.store",
    "PictureError": "vqcodec.errors",
    "PictureInspection": "vqcodec.image.inspection",
    "Salvaged": "vqcodec.image.salvage",
    "SalvagedClip": "vqcodec.clip.salvage",
    "SalvagedSound": "vqcodec.audio.salvage",
    "SoundError": "vqcodec.errors",
    "SoundInspection": "vqcodec.audio.inspection",
    "VqcError": "vqcodec.errors",
    "VqcWarning": "vqcodec.errors",
    "compress": "vqcodec.image.pipeline",
    "compress_audio": "vqcodec.audio.pipeline",
    "compress_clip": "vqcodec.clip.pipeline",
    "decompress": "vqcodec.image.pipeline",
    "decompress_audio": "vqcodec.audio.pipeline",
    "decompress_clip": "vqcodec.clip.pipeline",
    "indices": "vqcodec.media.checking",
    "inspect": "vqcodec.media.inspection",
    "list_models": "vqcodec.registry.store",
    "load_model": "vqcodec.registry.load",
    "salvage": "vqcodec.image.salvage",
    "salvage_audio": "vqcodec.audio.salvage",
    "salvage_clip": "vqcodec.clip.salvage",
    "sample": "vqcodec.image.sampling",
    "sample_audio": "vqcodec.audio.sampling",
    "verify": "vqcodec.media.checking",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return import_module("importlib.metadata").version("vqcodec")
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
