"""vqcodec: a neural image codec whose files decode to the same indices everywhere.

    import vqcodec
    from PIL import Image

    data = vqcodec.compress(Image.open("photo.png"))
    image = vqcodec.decompress(data)

Importing the package is cheap; each part is loaded when it is first asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vqcodec.codec.inspection import Inspection, inspect
    from vqcodec.errors import FormatError, ModelError, PictureError, VqcError, VqcWarning
    from vqcodec.image.pipeline import compress, decompress, indices, verify
    from vqcodec.image.salvage import LostTile, Salvaged, salvage
    from vqcodec.registry.load import load_model
    from vqcodec.registry.store import ModelFile, list_models

    __version__: str

__all__ = [
    "FormatError",
    "Inspection",
    "LostTile",
    "ModelError",
    "ModelFile",
    "PictureError",
    "Salvaged",
    "VqcError",
    "VqcWarning",
    "__version__",
    "compress",
    "decompress",
    "indices",
    "inspect",
    "list_models",
    "load_model",
    "salvage",
    "verify",
]

_HOMES = {
    "FormatError": "vqcodec.errors",
    "Inspection": "vqcodec.codec.inspection",
    "LostTile": "vqcodec.image.salvage",
    "ModelError": "vqcodec.errors",
    "ModelFile": "vqcodec.registry.store",
    "Salvaged": "vqcodec.image.salvage",
    "PictureError": "vqcodec.errors",
    "VqcError": "vqcodec.errors",
    "VqcWarning": "vqcodec.errors",
    "compress": "vqcodec.image.pipeline",
    "decompress": "vqcodec.image.pipeline",
    "indices": "vqcodec.image.pipeline",
    "inspect": "vqcodec.codec.inspection",
    "list_models": "vqcodec.registry.store",
    "load_model": "vqcodec.registry.load",
    "salvage": "vqcodec.image.salvage",
    "verify": "vqcodec.image.pipeline",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return import_module("importlib.metadata").version("vqcodec")
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
