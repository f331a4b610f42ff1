"""Pictures, as the benchmark sees them: 8-bit RGB, upright."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from PIL import Image

from vqcodec import metrics as measures
from vqcodec.container.layout import Limits
from vqcodec.errors import MissingPackageError
from vqcodec.image import reading
from vqcodec.metrics import Pixels
from vqcodec_bench.codec import Codec
from vqcodec_bench.comparisons import agreement, bd_rates_published, ratios
from vqcodec_bench.learned import LEARNED, CompressAi
from vqcodec_bench.medium import Medium, Metric, Row
from vqcodec_bench.peers import PEERS, USUAL, Vqcodec
from vqcodec_bench.published import is_kodak, published
from vqcodec_bench.summary import grouped

_NEEDED = ("matplotlib", "bjontegaard", "ssimulacra2", "pytorch_msssim")


class Pictures(Medium[Pixels]):
    """See `Medium`."""

    noun = "picture"
    rate = "bpp"
    rate_label = "bits per pixel, whole file"
    widest = 1.5
    metrics: Mapping[str, Metric] = {
        "psnr": Metric(label="PSNR", axis="PSNR (dB)", places=2),
        "ms_ssim": Metric(label="MS-SSIM", axis="MS-SSIM (dB)", places=4),
        "ssimulacra2": Metric(label="SSIMULACRA2", axis="SSIMULACRA2", places=2),
    }
    peers: Mapping[str, type[Codec[Pixels]]] = PEERS
    usual = USUAL
    own = Vqcodec
    packages = (
        *("vqcodec", "torch", "constriction", "numpy", "pillow"),
        *("pytorch-msssim", "ssimulacra2", "bjontegaard"),
    )
    timed_rate = 0.25  # that of the model `paper`
    timed_unit = "mp_per_s"
    timed_threads = None
    timed_files = 1
    untrained = tuple(CompressAi(name) for name in LEARNED)
    page_files = 24
    page_mime = "image/webp"
    decoded_exactly = False

    def requirements(self) -> dict[str, str]:
        lacking = [name for name in _NEEDED if find_spec(name) is None]
        if lacking:
            hint = 'pip install "vqcodec[bench]"'
            raise MissingPackageError(f"{', '.join(lacking)} not installed", hint=hint)
        return {}

    def read(self, path: Path) -> Pixels:
        return reading.read_picture(path.read_bytes(), max_pixels=Limits().pixels).picture.pixels

    def digest(self, content: Pixels) -> str:
        return hashlib.sha256(f"{content.shape}".encode() + content.tobytes()).hexdigest()

    def describe(self, content: Pixels) -> Row:
        height, width = content.shape[:2]
        return {"width": width, "height": height}

    def amount(self, content: Pixels) -> float:
        return len(content) * len(content[0]) / 1e6

    def rate_of(self, size: int, content: Pixels) -> float:
        return measures.bits_per_pixel(size, content)

    def fit(self, original: Pixels, decoded: Pixels, *, delayed: bool) -> Pixels:
        if decoded.shape != original.shape:
            raise ValueError(f"{original.shape} came back as {decoded.shape}")
        return decoded

    def compare(self, original: Pixels, decoded: Pixels) -> dict[str, float | None]:
        return {
            "psnr": measures.psnr(original, decoded),
            "ms_ssim": _unless_small(measures.ms_ssim, original, decoded),
            "ssimulacra2": _unless_small(measures.ssimulacra2, original, decoded),
        }

    def metric_versions(self) -> tuple[str, ...]:
        return _metric_versions()

    def original_file(self, content: Pixels) -> bytes:
        return _webp(content, lossless=True)

    def decoded_file(self, content: Pixels) -> bytes:
        return _webp(content, quality=95)

    def conclusions(
        self, codecs: Sequence[Codec[Pixels]], results: Mapping[str, Any]
    ) -> dict[str, Any]:
        by_codec = grouped(results["curves"], codecs)
        others = published() if is_kodak(results["pictures"]) else []
        ours = {codec.name: by_codec[codec.name] for codec in codecs if codec.ours}
        return {
            "bd_rate_published": bd_rates_published(ours, others),
            "ratios": ratios(codecs, by_codec),
            "agreement": agreement(by_codec, others),
            "published": others,
        }


def _webp(pixels: Pixels, **options: Any) -> bytes:
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
    except measures.TooSmallError:
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
    own = hashlib.sha256(Path(measures.__file__).read_bytes()).hexdigest()
    return (own, *(version(name) for name in ("pytorch-msssim", "ssimulacra2")))
