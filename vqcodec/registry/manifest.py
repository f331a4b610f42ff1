"""The shipped models, as data. Loads no torch."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One shipped model. A name is never given to other weights."""

    name: str
    file: str
    size: int
    """Bytes."""
    sha256: str
    """64 lower-case hexadecimal digits."""
    architecture: str
    licence: str
    description: str

    @property
    def path(self) -> Path:
        """Where the installed package has it."""
        return Path(str(files("vqcodec.registry") / "weights" / self.file))


@cache
def shipped() -> tuple[Entry, ...]:
    """List the manifest's entries; the first is the default model."""
    text = (files("vqcodec.registry") / "manifest.toml").read_text(encoding="utf-8")
    return tuple(Entry(**table) for table in tomllib.loads(text).get("model", []))
