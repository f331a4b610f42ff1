"""One case of the exactness matrix: `exactness.py` starts it, in a process of its own.

    python nightly/case.py '{"matmul": "medium"}' valid/

takes settings in JSON, puts them into force, and decodes and encodes the files whose names
contain the second argument. The last line that it prints is what came out, in JSON.
"""

from __future__ import annotations

import hashlib
import json
import platform
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from samples import Sample, frozen, vectors

from vqcodec import processors
from vqcodec.clip.coding import TileCoder
from vqcodec.clip.decoding import open_container
from vqcodec.codec import coding
from vqcodec.codec.coding import Indices, code_tiles, decode_grid, encode_grid
from vqcodec.codec.kinds import sort_tiles
from vqcodec.codec.literal import encode_literal
from vqcodec.codec.transform import decode_indices
from vqcodec.container import Container, Header, Mode, parse, serialise
from vqcodec.entropy.coder import Encoder, Surpluses, Symbols, pack_fixed
from vqcodec.grid import whole
from vqcodec.image.drawing import decode_stored
from vqcodec.models.clip import ClipVqVae
from vqcodec.models.model import Model, PictureModel
from vqcodec.models.vqvae import VqVae
from vqcodec.prior import kernel
from vqcodec.prior.chooser import KnownIndices
from vqcodec.registry.load import parse_model

_backends: Any = torch.backends


@dataclass(frozen=True, kw_only=True)
class How:
    """What decoding is given, beside what holds for the whole process."""

    device: str = "cpu"
    arithmetic: type[np.float32] | type[np.float64] = np.float32
    """NumPy's, of the prior."""
    window: int | None = None
    """Side of the decoder's windows, in positions."""


@cache
def _load(path: Path, how: How) -> Model:
    data = path.read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    return parse_model(data, sha256=digest, device=how.device, dtype=how.arithmetic)


class _Recorder(Encoder):
    """An encoder that remembers all frequencies, also those of symbols that do not occur."""

    def __init__(self) -> None:
        super().__init__()
        self.tables = hashlib.sha256()

    def code(self, surpluses: Surpluses, symbols: Symbols) -> Symbols:
        self.tables.update(surpluses.astype("<u4").tobytes())
        return super().code(surpluses, symbols)


def check(sample: Sample, how: How) -> tuple[list[str], str]:
    """Return what differs from what is known, and the hash of all tables of frequencies.

    Goes from the file to indices, from these to the file, and to pixels.
    """
    model = _load(sample.model, how)
    container = parse(sample.data)
    header = container.header
    if isinstance(model, ClipVqVae):
        return _check_clip(sample, container, model, how)
    own = None if header.mode is Mode.LITERAL else model
    grid, stored = decode_stored(header, container.tiles, own)
    differs = []
    if hashlib.sha256(grid.astype("<u2").tobytes()).hexdigest() != sample.indices:
        differs.append("indices")
    indexed, literal = sort_tiles(header, container.tiles, range(header.tile_count))
    streams, tables = _encode(model, header, grid, indexed)
    for tile, stream in zip(literal, encode_literal(header, stored, literal), strict=True):
        streams[tile] = stream
    if header.mode is Mode.MIXED:
        streams = [container.tiles[tile][:1] + stream for tile, stream in enumerate(streams)]
    ways: dict[str, Sequence[bytes]] = {"bytes": streams}
    if isinstance(own, VqVae) and header.mode is not Mode.MIXED:  # it measures indices
        ways["bytes of compress"] = encode_grid(model, header, grid)[0]
    for name, tiles in ways.items():
        made = Container(header=header, chunks=container.chunks, tiles=tuple(tiles))
        if serialise(made) != sample.data:
            differs.append(name)
    *others, last = header.tiles()
    if others and not literal:  # which see the tiles beside them
        alone = decode_grid(model, header, container.tiles, [len(others)])
        if not np.array_equal(alone, grid[last]):
            differs.append("the last tile alone")
    if sample.pixels is not None or sample.pixels_sha256 is not None:
        pixels = stored
        if own is not None:
            drawn = decode_indices(cast(PictureModel, own), grid, header.quality, window=how.window)
            pixels = drawn[whole(header.shape)]
        for tile in literal:
            place = header.elements_of(header.tiles()[tile])
            pixels[place] = stored[place]
        differs += _pixels_differ(sample, pixels)
    return differs, tables


def _check_clip(
    sample: Sample, container: Container, model: ClipVqVae, how: How
) -> tuple[list[str], str]:
    """Do what `check` does with a clip; there the streams stand for the tables."""
    film = open_container(container, model, how.device)
    grid = film.indices()
    differs = []
    if hashlib.sha256(grid.astype("<u2").tobytes()).hexdigest() != sample.indices:
        differs.append("indices")
    coder = TileCoder(model, container.header.mode, film.description.actions)
    streams = coder.encode(grid, container.header)
    if streams != container.tiles:
        differs.append("bytes")
    return differs, hashlib.sha256(b"".join(streams)).hexdigest()


def _pixels_differ(sample: Sample, pixels: NDArray[np.uint8]) -> list[str]:
    """Say how a sample's pixels, (rows, columns, 3), differ from what is known of them."""
    if sample.pixels_sha256 is not None:
        same = hashlib.sha256(pixels.tobytes()).hexdigest() == sample.pixels_sha256
        return [] if same else ["pixels"]
    assert sample.pixels is not None
    expected = np.asarray(Image.open(sample.pixels).convert("RGB")).astype(int)
    most = int(np.abs(pixels - expected).max())
    return [f"pixels by {most}"] if most > sample.bound else []


def _encode(
    model: Model, header: Header, grid: Indices, indexed: Sequence[int]
) -> tuple[list[bytes], str]:
    """Return the streams of the known indices of some tiles, the others' being empty, and the
    hash of their tables of frequencies.
    """
    boxes, prior = header.tiles(), model.prior_of(header.quality)
    streams, tables = [b""] * len(boxes), [b""] * len(boxes)
    for batch in coding._batches(boxes, indexed, prior):
        known = [grid[boxes[tile]] for tile in batch]
        if header.mode is Mode.FIXED:
            for tile, row in zip(batch, known, strict=True):
                streams[tile] = pack_fixed(row.ravel(), model.codebook_size)
            continue
        coders = [_Recorder() for _ in batch]
        own = [boxes[tile] for tile in batch]
        flat = [tile.reshape(tile.shape[0] * tile.shape[1], -1) for tile in known]
        chooser = KnownIndices(prior.parts, np.concatenate(flat))
        code_tiles(prior, coders, own, np.empty_like(grid), chooser)
        for tile, coder in zip(batch, coders, strict=True):
            streams[tile], tables[tile] = coder.finish(), coder.tables.digest()
    return streams, hashlib.sha256(b"".join(tables)).hexdigest()


def _fp32_precision(value: str) -> None:
    _backends.fp32_precision = _backends.mkldnn.matmul.fp32_precision = value


def _tf32(value: bool) -> None:
    _backends.cuda.matmul.allow_tf32 = _backends.cudnn.allow_tf32 = value


def _default_dtype(value: str) -> None:
    torch.set_default_dtype(getattr(torch, value))


def _autocast(value: str) -> None:
    for device in ("cpu", "cuda"):
        torch.set_autocast_dtype(device, getattr(torch, value))
        torch.set_autocast_enabled(device, True)


def _batch(value: int) -> None:
    coding._BATCH_POSITIONS = value


PUT: dict[str, Callable[[Any], object]] = {
    "threads": processors.prepare,
    "matmul": torch.set_float32_matmul_precision,
    "fp32_precision": _fp32_precision,
    "tf32": _tf32,
    "default_dtype": _default_dtype,
    "autocast": _autocast,
    "onednn": _backends.mkldnn.set_flags,
    "batch": _batch,
    "deterministic": torch.use_deterministic_algorithms,
    "flush_denormal": torch.set_flush_denormal,
}
"""Settings of the whole process. The others are fields of `How`."""


def machine() -> list[str]:
    """Return what cases can need that this machine and its torch have."""
    here = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "mkl": _backends.mkl.is_available(),
        "oneDNN": _backends.mkldnn.is_available(),
        "fp32_precision": hasattr(_backends, "fp32_precision"),
    }
    cpu = Path("/proc/cpuinfo")
    kernels = [f"kernel {level}" for level in kernel.levels()]
    flags = re.search(r"^flags\s*:(.*)$", cpu.read_text() if cpu.exists() else "", re.MULTILINE)
    present = [name for name, has in here.items() if has]
    return [*kernels, *present, *(flags[1].split() if flags else [])]


def run(samples: Sequence[Sample], settings: dict[str, Any]) -> dict[str, Any]:
    """Put settings into force for the rest of the process and check the samples."""
    for name in settings.keys() & PUT.keys():
        PUT[name](settings[name])
    given = {name: value for name, value in settings.items() if name not in PUT}
    if "arithmetic" in given:
        given["arithmetic"] = getattr(np, given["arithmetic"])
    how = How(**given)
    differs, tables = [], {}
    for sample in samples:
        try:
            found, tables[sample.name] = check(sample, how)
        except Exception as error:
            found = [f"{type(error).__name__}: {error}"]
        differs += [f"{sample.name}: {what}" for what in found]
    return {"differs": differs, "tables": tables}


def main() -> None:
    """Run the case that the command line gives."""
    settings, files = json.loads(sys.argv[1]), "".join(sys.argv[2:3])
    samples = [sample for sample in (*frozen(), *vectors()) if files in sample.name]
    if not samples:
        sys.exit(f"no file's name contains {files!r}")
    found = run(samples, settings)
    simd = np.show_config(mode="dicts")["SIMD Extensions"]
    facts = {
        "machine": machine(),
        "numpy_dispatch": " ".join(simd.get("found", [])),
        "versions": {
            "Python": platform.python_version(),
            "torch": torch.__version__,
            "NumPy": np.__version__,
            **{name: version(name) for name in ("constriction", "onnxruntime")},
        },
        "capability": torch.backends.cpu.get_cpu_capability(),
        "threads": processors.threads(),
    }
    print("\n" + json.dumps(facts | found))


if __name__ == "__main__":
    main()
