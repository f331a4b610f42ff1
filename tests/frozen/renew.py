"""Make frozen files anew, which only weights that were never released may need.

    python tests/frozen/renew.py photo

compresses bench/hills.jpg with the shipped model of that name, and writes the files, their
indices' hashes (`indices.sha256`) and the picture that one of them decodes to. With a model of
sound it compresses what that model draws.

    python tests/frozen/renew.py --sizes photo

writes only how many bytes pictures take with that model (`sizes.json`), which an encoder that
chooses indices otherwise may change.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

import vqcodec

FROZEN = Path(__file__).resolve().parent
SUMS = FROZEN / "indices.sha256"
SOURCE = FROZEN.parent.parent / "bench" / "hills.jpg"
FILES: dict[str, dict[str, dict[str, Any]]] = {
    "paper": {"paper": {}, "paper-fixed": {"prior": False}},
    "photo": {"photo": {}, "photo-low": {"quality": 1}, "photo-fixed": {"prior": False}},
    "photo-2": {"photo-2": {}, "photo-2-low": {"quality": 1}, "photo-2-high": {"quality": 12}},
}
"""Of each model: names of files and how they are compressed; the first is decoded too."""
SOUNDS: dict[str, dict[str, Any]] = {
    "speech": {},
    "paper-speech": {"speaker": "LJ"},
    "paper-speech-25hz": {"speaker": "LJ"},
}
"""Of each model of sound: how sound is drawn and compressed."""
SIZES = FROZEN / "sizes.json"
PICTURES = {path.name: path for path in (SOURCE, FROZEN / "busy.png")}
SETTINGS: dict[str, dict[str, dict[str, Any]]] = {
    "paper": {"prior": {}, "fixed length": {"prior": False}},
    "photo": {f"quality {quality}": {"quality": quality} for quality in range(1, 9)},
    "photo-2": {f"quality {quality}": {"quality": quality} for quality in range(1, 13)},
}
"""Of each model: how pictures are compressed whose sizes are kept."""


def sums() -> dict[str, str]:
    """Return SHA-256 of each file's indices, as format/vectors/README.md defines it."""
    lines = SUMS.read_text(encoding="ascii").splitlines()
    return {name: digest for digest, name in map(str.split, lines)}


def indices_sha256(data: bytes) -> str:
    grid = vqcodec.indices(data, device="cpu")
    return hashlib.sha256(grid.astype("<u2").tobytes()).hexdigest()


def sizes() -> dict[str, dict[str, dict[str, int]]]:
    """Return bytes of .vqc files, by model, setting and picture."""
    found: dict[str, dict[str, dict[str, int]]] = json.loads(SIZES.read_text(encoding="ascii"))
    return found


def size(model: str, setting: str, picture: str) -> int:
    options = SETTINGS[model][setting]
    with Image.open(PICTURES[picture]) as image:
        return len(vqcodec.compress(image, model=model, device="cpu", **options))


def renew_sizes(model: str) -> None:
    found = sizes() if SIZES.exists() else {}
    found[model] = {
        setting: {picture: size(model, setting, picture) for picture in PICTURES}
        for setting in SETTINGS[model]
    }
    SIZES.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n", encoding="ascii")


def drawn_sound(model: str, seed: int) -> tuple[NDArray[np.float32], int]:
    """Return five seconds of what a model draws, (1, n), and its samples per second."""
    return vqcodec.sample_audio(model, seed=seed, device="cpu", **SOUNDS[model])


def renew_sound(model: str) -> None:
    data = vqcodec.compress_audio(
        *drawn_sound(model, seed=7), model=model, device="cpu", **SOUNDS[model]
    )
    (FROZEN / f"{model}.vqc").write_bytes(data)
    _write_sums(sums() | {f"{model}.vqc": indices_sha256(data)})


def renew(model: str) -> None:
    found = sums()
    for name, options in FILES[model].items():
        data = vqcodec.compress(Image.open(SOURCE), model=model, device="cpu", **options)
        (FROZEN / f"{name}.vqc").write_bytes(data)
        found[f"{name}.vqc"] = indices_sha256(data)
        if name == model:
            vqcodec.decompress(data, device="cpu").save(FROZEN / f"{name}.png", optimize=True)
    _write_sums(found)


def _write_sums(found: dict[str, str]) -> None:
    lines = [f"{digest}  {name}\n" for name, digest in sorted(found.items())]
    SUMS.write_text("".join(lines), encoding="ascii")


def main(arguments: list[str]) -> None:
    alone = "--sizes" in arguments
    models = [argument for argument in arguments if argument != "--sizes"]
    known = [*FILES, *SOUNDS]
    if not models or not set(known) >= set(models):
        raise SystemExit(f"usage: renew.py [--sizes] MODEL...; models are {', '.join(known)}")
    for model in models:
        if model in SOUNDS:
            renew_sound(model)
            continue
        renew_sizes(model)
        if not alone:
            renew(model)


if __name__ == "__main__":
    main(sys.argv[1:])
