"""What every codec that is compared has to offer, whatever its medium.

A codec whose library or program is not installed raises `MissingPeerError` from `version`,
and the run goes on without it.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from functools import lru_cache
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as package_version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np

from vqcodec.container import Medium as Kind

if TYPE_CHECKING:
    from vqcodec.models.model import Model

Content = TypeVar("Content")
"""What codecs of a medium take: pixels of a picture, samples of a sound."""


class MissingPeerError(Exception):
    """A codec cannot be run here; says why."""


class Codec(ABC, Generic[Content]):
    """What a codec has to offer."""

    name: str
    """For files and options."""
    label: str
    """For people."""
    settings: str
    """What the encoder is told besides the quality."""
    scale: str = "quality"
    """What a quality means."""
    qualities: tuple[float, ...]
    """The ladder, low to high rate."""
    span: tuple[float, float] = (0, 100)
    """The lowest and the highest quality that mean something."""
    modes: tuple[float, ...] = ()
    """The only qualities there are, of codecs that have few."""
    threads: int = 1
    """Threads that the encoder may use; one, where several processes measure."""
    mime: str | None = None
    """Type of the files if browsers show them."""
    delayed: bool = False
    """Whether what it returns may come late by a time that its files do not tell."""
    ours: bool = False
    """Whether it is vqcodec."""

    @abstractmethod
    def version(self) -> str:
        """Name the library and its version. Raises MissingPeerError."""

    def fingerprint(self) -> str:
        """Return what, besides the quality, decides the results."""
        return f"{self.version()} {self.settings}"

    @abstractmethod
    def encode(self, content: Content, quality: float, /) -> bytes:
        """Compress to a whole file."""

    @abstractmethod
    def decode(self, data: bytes, /) -> Content:
        """Decompress."""

    def details(self, data: bytes) -> dict[str, Any]:
        """Return more figures on a file, if the codec has some."""
        return {}

    def refusal(self, qualities: tuple[float, ...]) -> str:
        """Say what qualities the codec has if these are others; empty if it has them all."""
        if self.modes:
            allowed = ", ".join(f"{mode:g}" for mode in self.modes)
            return "" if set(qualities) <= set(self.modes) else f"some of {allowed}"
        low, high = self.span
        whole = self.scale == "quality"
        if all(low <= q <= high and (float(q).is_integer() or not whole) for q in qualities):
            return ""
        return f"{'whole numbers' if whole else 'numbers'} {low:g} to {high:g}"


class OwnCodec(Codec[Content]):
    """vqcodec with one of its models; `prior=False` codes the indices at fixed length."""

    ours = True
    kind: Kind
    """What its models are models of."""
    _parts: tuple[str, ...] = ("codec", "container", "entropy", "models")
    """The folders of vqcodec's code that decide the results."""

    def __init__(self, model: str, *, prior: bool = True) -> None:
        self.model = model
        self.prior = prior
        stem = Path(model).name.removesuffix(".safetensors")
        self.name = stem + ("" if prior else "-fixed")
        self.label = f"vqcodec {stem}" + ("" if prior else ", fixed length")
        self.settings = "indices coded with the learned prior" if prior else "--prior none"
        count = self._loaded().qualities
        self.scale = "quality" if count else "model"
        self.qualities = tuple(range(1, count + 1)) if count else (1,)

    def version(self) -> str:
        return f"{package('vqcodec')}, model {_sha256(self.model)[:16]}"

    def fingerprint(self) -> str:
        libraries = " ".join(package(name) for name in ("torch", "constriction", "numpy"))
        return f"{super().fingerprint()} {_sources(self._parts)} {libraries}"

    def details(self, data: bytes) -> dict[str, Any]:
        """How often each index occurs and, with the prior, the payload's bits per index; nothing
        of a quality without indices.
        """
        from vqcodec import indices
        from vqcodec.container import parse

        model = self._loaded()
        grid = indices(data, model=model)
        if not grid.size:
            return {}
        payload = sum(len(tile) for tile in parse(data).tiles)
        counts = [
            np.bincount(grid[:, :, group].ravel(), minlength=model.codebook_size).tolist()
            for group in range(grid.shape[2])
        ]
        bits = 8.0 * payload / grid.size if self.prior else None
        return {"index_bits": bits, "index_counts": counts}

    def _loaded(self) -> Model:
        from vqcodec.codec.loading import model_for

        return model_for(self.kind, self.model, "cpu")


@lru_cache
def _sha256(model: str) -> str:
    from vqcodec.registry.store import find

    return find(model).sha256


@lru_cache
def _sources(parts: tuple[str, ...]) -> str:
    """Hash vqcodec's own code: for a changed codec the cache has no answer."""
    import vqcodec

    digest = hashlib.sha256()
    folder = Path(vqcodec.__path__[0])
    for part in parts:
        for path in sorted((folder / part).rglob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()


def package(name: str) -> str:
    """Name a package with its version, if it has one."""
    try:
        return f"{name} {package_version(name)}"
    except PackageNotFoundError:
        return name
