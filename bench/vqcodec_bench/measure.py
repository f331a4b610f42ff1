"""One codec at one quality on one picture, and the cache of such results.

A result is kept under the hash of all that decides it: the picture's pixels, the
codec with its version and settings, the quality, the metrics' versions. Beside it
is kept what the page shows: the compressed file or, where browsers do not decode
it, the decoded picture as a WebP of quality 95.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from PIL import Image

from vqcodec import metrics
from vqcodec.container.layout import Limits
from vqcodec.image import reading
from vqcodec.metrics import Pixels
from vqcodec.storage import write_whole
from vqcodec_bench.peers import Codec

_FORMAT = 1
Point = dict[str, Any]
"""A row of results.json's "points"; metrics that do not apply are None."""


class Cache:
    """A folder of results by hash."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def get(self, key: str) -> Point | None:
        """Return the result of a key, or None."""
        try:
            point: Point = json.loads((self.folder / f"{key}.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return point if self.shown(key).exists() else None

    def put(self, key: str, point: Point, shown: bytes) -> None:
        """Keep a result and what the page shows of it."""
        write_whole(self.shown(key), shown, overwrite=True)
        write_whole(self.folder / f"{key}.json", json.dumps(point).encode(), overwrite=True)

    def shown(self, key: str) -> Path:
        """Return the file that the page shows."""
        return self.folder / f"{key}.shown"


def read_picture(path: Path) -> Pixels:
    """Read a picture upright as RGB, as `vqcodec compress` does. Raises PictureError, OSError."""
    return reading.read_picture(path.read_bytes(), max_pixels=Limits().pixels).picture.pixels


def picture_hash(pixels: Pixels) -> str:
    """Hash a picture's pixels and shape."""
    return hashlib.sha256(f"{pixels.shape}".encode() + pixels.tobytes()).hexdigest()


def key_of(picture_sha256: str, codec: Codec, quality: float) -> str:
    """Return the cache's key of one result."""
    about = (codec.name, codec.fingerprint(), float(quality))
    parts = [_FORMAT, picture_sha256, *about, *_metric_versions()]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def measure(codec: Codec, quality: float, pixels: Pixels) -> tuple[Point, bytes]:
    """Compress and decompress one picture; return what came of it, and what to show.

    A metric that the picture is too small for is None.
    """
    data = codec.encode(pixels, quality)
    decoded = codec.decode(data)
    if decoded.shape != pixels.shape:
        raise ValueError(f"{codec.name} returned {decoded.shape} for {pixels.shape}")
    point = {
        "bytes": len(data),
        "bpp": metrics.bits_per_pixel(len(data), pixels),
        "psnr": metrics.psnr(pixels, decoded),
        "ms_ssim": _unless_small(metrics.ms_ssim, pixels, decoded),
        "ssimulacra2": _unless_small(metrics.ssimulacra2, pixels, decoded),
        **codec.details(data),
    }
    return point, data if codec.mime else webp(decoded, quality=95)


def webp(pixels: Pixels, **options: Any) -> bytes:
    """Write a picture for browsers."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "WEBP", method=2, **options)
    return file.getvalue()


def _unless_small(
    metric: Callable[[Pixels, Pixels], float], original: Pixels, decoded: Pixels
) -> float | None:
    try:
        with _pillow_unlimited():
            return metric(original, decoded)
    except metrics.TooSmallError:
        return None


@contextmanager
def _pillow_unlimited() -> Iterator[None]:
    """Lift Pillow's limit on pixels, for metrics that open files with it.

    The limit is a global variable; the processes that measure have no other threads.
    """
    before = Image.MAX_IMAGE_PIXELS
    Image.MAX_IMAGE_PIXELS = None
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS = before


@lru_cache
def _metric_versions() -> tuple[str, ...]:
    """Name what decides the metrics' values, our own lines included."""
    own = hashlib.sha256(Path(metrics.__file__).read_bytes()).hexdigest()
    return (own, *(version(name) for name in ("pytorch-msssim", "ssimulacra2")))
