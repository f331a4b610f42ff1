"""What the page's address offers: the built page, the models, and a file to begin with.

`page/` is built from `web/` (see web/README.md) and lies in wheels, not in the repository.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from vqcodec.errors import MissingPackageError
from vqcodec.registry.store import ModelFile

PAGE = Path(__file__).parent / "page"
INDEX = "index.html"
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".wasm": "application/wasm",
}
"""What browsers must be told of the page's files; of the machine's own table nothing is known."""
_BINARY = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class Resource:
    """What one address offers."""

    content: bytes | Path
    """Bytes, or the file that has them."""
    type: str
    """Its MIME type."""


def resources(
    models: Sequence[ModelFile], file: Path | None = None, page: Path = PAGE
) -> Mapping[str, Resource]:
    """Return everything that can be asked for, by the paths of addresses.

    `models` are the models of pictures to offer, the default first; `file` is what the page
    opens by itself. Raises MissingPackageError if the page was not built.
    """
    built = [path for path in page.glob("*") if path.suffix in _TYPES]
    if not any(path.name == INDEX for path in built):
        raise MissingPackageError(
            "this installation has no page",
            hint="wheels have it; in a checkout web/README.md tells how to build it",
        )
    found = {f"/{path.name}": Resource(path, _TYPES[path.suffix]) for path in built}
    found["/"] = found[f"/{INDEX}"]
    found["/models.json"] = Resource(_catalogue(models), "application/json")
    for model in models:
        found[f"/{_address(model)}"] = Resource(model.path, _BINARY)
    if file is not None:
        found["/file"] = Resource(file, _BINARY)
    return found


def _address(model: ModelFile) -> str:
    return f"models/{model.sha256}.safetensors"


def _catalogue(models: Sequence[ModelFile]) -> bytes:
    """Write models.json, which web/source/catalogue.ts reads."""
    entries = [
        {
            "name": model.name,
            "sha256": model.sha256,
            "file": _address(model),
            "size": model.path.stat().st_size,
            "description": model.description,
        }
        for model in models
    ]
    return json.dumps(entries).encode()
