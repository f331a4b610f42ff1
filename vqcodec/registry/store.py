"""Finding model files by name, hash or path. Loads no torch.

Installed models live in one folder per user (`$VQCODEC_MODELS`, or the
platform's data folder), each named by its full SHA-256, so that a file can be
decoded as long as its model is there, whatever the model is called.
"""

from __future__ import annotations

import hashlib
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from vqcodec.errors import ModelCorruptError, ModelError, ModelNotFoundError
from vqcodec.models import header
from vqcodec.registry.manifest import shipped

MODEL_BYTES_MAX = 1 << 29
_HASH_DIGITS_MIN = 8


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


def list_models() -> list[ModelFile]:
    """List shipped models, the default one first, then installed ones."""
    models = [
        ModelFile(
            name=entry.name,
            path=entry.path,
            sha256=entry.sha256,
            licence=entry.licence,
            description=entry.description,
            source="shipped",
        )
        for entry in shipped()
    ]
    for path in installed_files():
        try:
            metadata = read_metadata(path)
        except (ModelError, OSError):
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


def find(model: str | os.PathLike[str] | None = None) -> ModelFile:
    """Find a model by name, by 8 or more digits of its hash, by path (`.safetensors`), or
    the default one for None.

    Raises: ModelNotFoundError.
    """
    if model is None:
        return list_models()[0]
    text = os.fspath(model)
    if text.endswith(".safetensors"):
        path = Path(text)
        return _described(path, file_sha256(path), read_metadata(path), "file")
    models = list_models()
    fitting = [known for known in models if known.name == text]
    if len(text) >= _HASH_DIGITS_MIN:
        fitting += [known for known in models if known.sha256.startswith(text)]
    if fitting and (len(fitting) == 1 or fitting[0].source == "shipped"):
        return fitting[0]
    if fitting:
        hashes = ", ".join(known.sha256[:16] for known in fitting)
        raise ModelNotFoundError(
            f"several models are called {text!r}", hint=f"give one's hash instead: {hashes}"
        )
    names = ", ".join(sorted({known.name for known in models}))
    raise ModelNotFoundError(
        f"no model is called {text!r}; there are: {names}",
        hint="give a path that ends in .safetensors, or see `vqcodec models list`",
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
        hint="get that model's file and run `vqcodec models install FILE`, or give --model FILE",
    )


def install(path: Path) -> ModelFile:
    """Copy a model file into the user's folder. Raises: ModelError or OSError."""
    data = read_file(path)
    metadata = read_metadata(path)
    digest = hashlib.sha256(data).hexdigest()
    folder = installed_folder()
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{digest}.safetensors"
    partial = target.with_suffix(f".{os.getpid()}.partial")
    try:
        partial.write_bytes(data)
        os.replace(partial, target)
    finally:
        partial.unlink(missing_ok=True)
    return _described(target, digest, metadata, "installed")


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
    try:
        with path.open("rb") as file:
            data = file.read(MODEL_BYTES_MAX + 1)
    except OSError as error:
        raise ModelNotFoundError(f"{path}: {error.strerror or error}") from error
    if len(data) > MODEL_BYTES_MAX:
        raise ModelCorruptError(f"{path}: larger than any model ({MODEL_BYTES_MAX} bytes)")
    return data


def file_sha256(path: Path) -> str:
    """Return a file's SHA-256 in hexadecimal. Raises: ModelError."""
    return hashlib.sha256(read_file(path)).hexdigest()


def read_metadata(path: Path) -> dict[str, object]:
    """Read what a model file says of itself. Raises: ModelError."""
    if not path.is_file():
        raise ModelNotFoundError(f"{path}: no such file")
    try:
        with path.open("rb") as file:
            head = file.read(8 + header.HEADER_MAX)
            size = os.fstat(file.fileno()).st_size
        metadata = header.read_metadata(head, size)
    except OSError as error:
        raise ModelNotFoundError(f"{path}: {error.strerror or error}") from error
    except ModelCorruptError as error:
        error.args = (f"{path}: {error}",)
        raise
    if not metadata.get("name"):
        raise ModelCorruptError(f"{path}: the model has no name")
    return metadata


def _described(path: Path, sha256: str, metadata: dict[str, object], source: str) -> ModelFile:
    return ModelFile(
        name=str(metadata["name"]),
        path=path,
        sha256=sha256,
        licence=str(metadata.get("licence", "unspecified")),
        description=str(metadata.get("description", "")),
        source=source,
    )
