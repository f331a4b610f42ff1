"""The packages that sound takes: they are the extra `audio`, pictures do without."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from vqcodec.errors import MissingPackageError

_PURPOSES = {
    "soundfile": "reading and writing files of sound",
    "soxr": "sound of another rate than the model's",
}


def import_package(name: str) -> ModuleType:
    """Import soundfile or soxr.

    Raises: MissingPackageError if it is not there, or lacks the library that it wraps.
    """
    try:
        return import_module(name)
    except (ImportError, OSError) as error:
        raise MissingPackageError(
            f"{_PURPOSES[name]} needs {name}", hint="pip install 'vqcodec[audio]'"
        ) from error
