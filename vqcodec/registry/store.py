"""Finding model files by name, hash or path. Loads no torch.

Installed models live in one folder per user (`$VQCODEC_MODELS`, or the
platform's data folder), each named by its full SHA-256, so that a file can be
decoded as long as its model is there, whatever the model is called.
"""

from __future__ import annotations

import hashlib
import os
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from vqcodec.container import Medium
from vqcodec.errors import ModelCorruptError, ModelError, ModelNotFoundError, ModelWarning
from vqcodec.models import header
from vqcodec.registry.architectures import medium_of
from vqcodec.registry.manifest import shipped
from vqcodec.storage import write_whole

MODEL_BYTES_MAX = 1 << 29
_HASH_DIGITS_MIN = 8
_told: set[str] = set()
"""What has been said of damaged files in the folder of installed models."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFile:
    """A model that can be loaded."""

    name: str
    path: Path
    sha256: str
    licence: str
    description: str
    source: str
    """'shipped', 'installed' or 'file'."""
    medium: Medium | None
    """What it is a model of; None if its architecture is not known."""


def installed_folder() -> Path:
    """Return the folder of installed models, which need not exist."""
    if override := os.environ.get("VQCODEC_MODELS"):
        return Path(override)
    # Unlike Path.home, this does not fail where there is no home: it stays "~".
    home = Path(os.path.expanduser("~"))  # noqa: PTH111
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = home / "Library" / "Application Support"
    else:
        base = Path(os.environ.get("XDG_DATA_HOME") or home / ".local" / "share")
    return base / "vqcodec" / "models"


def list_models(*, quietly: bool = False) -> list[ModelFile]:
    """List shipped models, the default one first, then installed ones.

    Installed files that are no models are left out, with a ModelWarning the first time unless
    `quietly`.
    """
    models = [
        ModelFile(
            name=entry.name,
            path=entry.path,
            sha256=entry.sha256,
            licence=entry.licence,
            description=entry.description,
            source="shipped",
            medium=medium_of(entry.architecture),
        )
        for entry in shipped()
    ]
    for path in installed_files():
        try:
            metadata = read_metadata(path)
        except ModelError as error:
            if not quietly:
                _tell_once(f"an installed model is left out: {error}")
            continue
        models.append(_described(path, path.stem, metadata, "installed"))
    return models


def installed_files() -> list[Path]:
    """List the files of installed models, damaged ones too: those named by a SHA-256."""
    try:
        found = sorted(installed_folder().glob("*.safetensors"))
    except OSError:
        return []
    return [path for path in found if len(path.stem) == 64]


def find(model: str | os.PathLike[str] | None = None, *, quietly: bool = False) -> ModelFile:
    """Find a model by name, by 8 or more digits of its hash, by path (`.safetensors`), or
    the default one of pictures for None; `quietly` as for `list_models`.

    Raises: ModelNotFoundError.
    """
    if model is None:
        return default_model(Medium.PICTURE)
    text = os.fspath(model)
    if text.endswith(".safetensors"):
        path = Path(text)
        data = read_file(path)
        digest = hashlib.sha256(data).hexdigest()
        return _described(path, digest, _named(path, data, len(data)), "file")
    models = list_models(quietly=quietly)
    fitting = [known for known in models if known.name == text]
    if len(text) >= _HASH_DIGITS_MIN:
        fitting += [known for known in models if known.sha256.startswith(text)]
    if fitting and (len(fitting) == 1 or fitting[0].source == "shipped"):
        return fitting[0]
    if fitting:
        raise _several(text, [known.sha256 for known in fitting])
    names = ", ".join(sorted({known.name for known in models}))
    raise ModelNotFoundError(
        f"no model is called {text!r}; there are: {names}",
        hint="give a path that ends in .safetensors, or see `vqcodec models list`",
    )


def default_model(medium: Medium) -> ModelFile:
    """Return the first model of a medium that is shipped or installed.

    Raises: ModelNotFoundError.
    """
    for known in list_models():
        if known.medium is medium:
            return known
    raise ModelNotFoundError(
        f"no model of {medium.plural} is installed",
        hint="give the file of one as the model, or install it: `vqcodec models install FILE`",
    )


def find_by_prefix(prefix: bytes) -> ModelFile:
    """Find the model whose SHA-256 begins with `prefix`. Raises: ModelNotFoundError."""
    digits = prefix.hex()
    for known in list_models():
        if known.sha256.startswith(digits):
            return known
    if any(path.stem.startswith(digits) for path in installed_files()):
        raise ModelCorruptError(
            f"model {digits}… is installed but damaged", hint="install it again"
        )
    raise ModelNotFoundError(
        f"the file was made with model {digits}…, which is not installed",
        hint="get that model's file, and give it as the model or install it: "
        "`vqcodec models install FILE`",
    )


def install(path: Path, check: Callable[[bytes], object] | None = None) -> ModelFile:
    """Copy a model file into the user's folder, unless it is one that is shipped: then return that.

    `check` is called with the bytes that were written, before they have a name, and raises if
    they are no model. Raises: ModelError, OSError, what `check` raises.
    """
    data = read_file(path)
    metadata = _named(path, data, len(data))
    digest = hashlib.sha256(data).hexdigest()
    for known in list_models(quietly=True):
        if known.source == "shipped" and known.sha256 == digest:
            return known

    def compare(written: bytes) -> None:
        if written != data:
            raise ModelCorruptError(f"{target}: what was written is not what was read")
        if check is None:
            return
        try:
            check(written)
        except ModelError as error:
            error.args = (f"{path}: {error}",)
            raise

    target = installed_folder() / f"{digest}.safetensors"
    write_whole(target, data, overwrite=True, check=compare)
    return _described(target, digest, metadata, "installed")


def uninstall(model: str) -> Path:
    """Delete an installed model, damaged or not, and return the path that its file had.

    It is named by its name or by 8 or more digits of its hash. Raises: ModelNotFoundError if
    there is none, or several; ModelError for a model that is shipped; OSError.
    """
    by_hash = len(model) >= _HASH_DIGITS_MIN
    paths = [path for path in installed_files() if by_hash and path.stem.startswith(model)]
    if not paths:
        found = find(model)
        if found.source != "installed":
            where = "is shipped with vqcodec" if found.source == "shipped" else "is a file"
            raise ModelError(f"model {model} {where}: only installed models can be uninstalled")
        paths = [found.path]
    if len(paths) > 1:
        raise _several(model, [path.stem for path in paths])
    paths[0].unlink()
    return paths[0]


def read_verified(model: ModelFile) -> bytes:
    """Return a model file's bytes after checking its hash. Raises: ModelError."""
    data = read_file(model.path)
    digest = hashlib.sha256(data).hexdigest()
    if digest != model.sha256:
        raise ModelCorruptError(
            f"model {model.name}: {model.path} has SHA-256 {digest[:16]}…, "
            f"not {model.sha256[:16]}…",
            hint="the file is damaged; install it again",
        )
    return data


def read_file(path: Path) -> bytes:
    """Read a file of reasonable size. Raises: ModelError."""
    data, _ = _read(path, MODEL_BYTES_MAX + 1)
    if len(data) > MODEL_BYTES_MAX:
        raise ModelCorruptError(f"{path}: larger than any model ({MODEL_BYTES_MAX} bytes)")
    return data


def read_metadata(path: Path) -> dict[str, object]:
    """Read what a model file says of itself. Raises: ModelError."""
    head, size = _read(path, 8 + header.HEADER_MAX)
    return _named(path, head, size)


def _read(path: Path, most: int) -> tuple[bytes, int]:
    """Return the first bytes of a file and how many it has. Raises: ModelNotFoundError."""
    try:
        if not path.is_file():  # opening a named pipe would wait for ever
            raise ModelNotFoundError(f"{path}: no such file")
        with path.open("rb") as file:
            return file.read(most), os.fstat(file.fileno()).st_size
    except OSError as error:
        raise ModelNotFoundError(f"{path}: {error.strerror or error}") from error


def _named(path: Path, head: bytes, size: int) -> dict[str, object]:
    """Return what the head of a model file of `size` bytes says. Raises: ModelCorruptError."""
    try:
        metadata = header.read_metadata(head, size)
    except ModelCorruptError as error:
        error.args = (f"{path}: {error}",)
        raise
    if not metadata.get("name"):
        raise ModelCorruptError(f"{path}: the model has no name")
    return metadata


def _several(model: str, hashes: list[str]) -> ModelNotFoundError:
    digits = ", ".join(sha256[:16] for sha256 in hashes)
    return ModelNotFoundError(
        f"several models are called {model!r}", hint=f"give one's hash instead: {digits}"
    )


def _tell_once(message: str) -> None:
    if message not in _told:
        _told.add(message)
        warnings.warn(message, ModelWarning, stacklevel=3)


def _described(path: Path, sha256: str, metadata: dict[str, object], source: str) -> ModelFile:
    return ModelFile(
        name=str(metadata["name"]),
        path=path,
        sha256=sha256,
        licence=str(metadata.get("licence", "unspecified")),
        description=str(metadata.get("description", "")),
        source=source,
        medium=medium_of(metadata.get("architecture")),
    )
