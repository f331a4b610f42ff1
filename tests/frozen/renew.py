"""Make frozen files anew, which only weights that were never released may need.

    python tests/frozen/renew.py photo

compresses bench/hills.jpg with the shipped model of that name, and writes the files, their
indices' hashes (`indices.sha256`) and the picture that one of them decodes to.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from typing import Any

from PIL import Image

import vqcodec

FROZEN = Path(__file__).resolve().parent
SUMS = FROZEN / "indices.sha256"
SOURCE = FROZEN.parent.parent / "bench" / "hills.jpg"
FILES: dict[str, dict[str, dict[str, Any]]] = {
    "paper": {"paper": {}, "paper-fixed": {"prior": False}},
    "photo": {"photo": {}, "photo-low": {"quality": 1}, "photo-fixed": {"prior": False}},
}
"""Of each model: names of files and how they are compressed; the first is decoded too."""


def sums() -> dict[str, str]:
    """Return SHA-256 of each file's indices, as format/vectors/README.md defines it."""
    lines = SUMS.read_text(encoding="ascii").splitlines()
    return {name: digest for digest, name in map(str.split, lines)}


def indices_sha256(data: bytes) -> str:
    grid = vqcodec.indices(data, device="cpu")
    return hashlib.sha256(grid.astype("<u2").tobytes()).hexdigest()


def renew(model: str) -> None:
    found = sums()
    for name, options in FILES[model].items():
        data = vqcodec.compress(Image.open(SOURCE), model=model, device="cpu", **options)
        (FROZEN / f"{name}.vqc").write_bytes(data)
        found[f"{name}.vqc"] = indices_sha256(data)
        if name == model:
            vqcodec.decompress(data, device="cpu").save(FROZEN / f"{name}.png", optimize=True)
    lines = [f"{digest}  {name}\n" for name, digest in sorted(found.items())]
    SUMS.write_text("".join(lines), encoding="ascii")


if __name__ == "__main__":
    if not sys.argv[1:] or not FILES.keys() >= set(sys.argv[1:]):
        raise SystemExit(f"usage: renew.py MODEL...; models are {', '.join(FILES)}")
    for wanted in sys.argv[1:]:
        renew(wanted)
