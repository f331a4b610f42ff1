"""Files of which the indices are known: the frozen ones and the conformance vectors."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from frozen.renew import FROZEN, sums

from vqcodec.container import parse
from vqcodec.registry.store import find_by_prefix

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

VECTORS = FROZEN.parent.parent / "format" / "vectors"


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A .vqc file and what is known of it."""

    name: str
    data: bytes
    model: Path
    indices: str
    """SHA-256, as format/vectors/README.md defines it."""
    pixels: Path | None = None
    bound: int = 1
    """By how much samples may differ from `pixels`."""
    pixels_sha256: str | None = None
    """SHA-256 of the samples, where they must be the same everywhere."""


def frozen() -> Iterator[Sample]:
    """Yield the frozen files, of shipped models."""
    for name, digest in sums().items():
        path = FROZEN / name
        data = path.read_bytes()
        image = path.with_suffix(".png")
        yield Sample(
            name=name,
            data=data,
            model=find_by_prefix(parse(data).header.model).path,
            indices=digest,
            pixels=image if image.exists() else None,
        )


def vectors() -> Iterator[Sample]:
    """Yield the conformance vectors that decode, of models whose sums reach the limits."""
    for group in ("valid", "limits"):
        for path in sorted((VECTORS / group).glob("*.toml")):
            says = tomllib.loads(path.read_text("utf-8"))
            yield Sample(
                name=f"{group}/{path.stem}.vqc",
                data=path.with_suffix(".vqc").read_bytes(),
                model=VECTORS / "models" / says["model"],
                indices=says["indices_sha256"],
                pixels=path.with_name(says["pixels"]) if "pixels" in says else None,
                bound=says.get("pixels_differ_by", 1),
                pixels_sha256=says.get("pixels_sha256"),
            )
