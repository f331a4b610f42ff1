"""The codecs of pictures that are compared, one class each."""

from __future__ import annotations

import io
import re
from abc import abstractmethod
from typing import Any

import numpy as np
from PIL import Image, features

from vqcodec.container import Medium as Kind
from vqcodec.container.layout import Limits
from vqcodec.image.opening import open_image
from vqcodec.metrics import Pixels
from vqcodec_bench.codec import Codec, MissingPeerError, OwnCodec, package


class _Pillow(Codec[Pixels]):
    """A format that Pillow writes."""

    _format: str
    _feature: str
    _library: str

    def version(self) -> str:
        if not features.check(self._feature):
            raise MissingPeerError(f"this Pillow was built without {self._library}")
        return f"{self._library} {features.version(self._feature)}, {package('pillow')}"

    def fingerprint(self) -> str:
        return f"{self.version()} {self._options(0)}"

    def encode(self, pixels: Pixels, quality: float) -> bytes:
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, self._format, **self._options(quality))
        return file.getvalue()

    def decode(self, data: bytes) -> Pixels:
        return np.asarray(open_image(io.BytesIO(data), Limits().pixels).convert("RGB"))

    @abstractmethod
    def _options(self, quality: float) -> dict[str, Any]:
        """Return what Pillow's writer is told."""


class Jpeg(_Pillow):
    """JPEG by libjpeg-turbo."""

    name = "jpeg"
    label = "JPEG"
    settings = "4:2:0, optimised Huffman tables, progressive"
    qualities = (5, 10, 20, 30, 45, 60, 75, 85, 92)
    mime = "image/jpeg"
    _format = "JPEG"
    _feature = "libjpeg_turbo"
    _library = "libjpeg-turbo"

    def _options(self, quality: float) -> dict[str, Any]:
        return {
            "quality": int(quality),
            "subsampling": "4:2:0",
            "optimize": True,
            "progressive": True,
        }


class JpegPlain(Jpeg):
    """JPEG with the settings of the published curve, to check against it."""

    name = "jpeg-plain"
    label = "JPEG, plain"
    settings = "4:2:0, the standard's Huffman tables"

    def _options(self, quality: float) -> dict[str, Any]:
        return {"quality": int(quality), "subsampling": "4:2:0"}


class Webp(_Pillow):
    """WebP, lossy, by libwebp."""

    name = "webp"
    label = "WebP"
    settings = "lossy, method 6"
    qualities = (1, 5, 15, 30, 45, 60, 75, 85, 92)
    mime = "image/webp"
    _format = "WEBP"
    _feature = "webp"
    _library = "libwebp"

    def _options(self, quality: float) -> dict[str, Any]:
        return {"quality": int(quality), "method": 6}


class WebpMethod4(Webp):
    """WebP with the settings of the published curve, to check against it."""

    name = "webp-4"
    label = "WebP, method 4"
    settings = "lossy, method 4"

    def _options(self, quality: float) -> dict[str, Any]:
        return {"quality": int(quality), "method": 4}


class Avif(_Pillow):
    """AVIF by libavif and libaom."""

    name = "avif"
    label = "AVIF"
    settings = "speed 4, 4:4:4, 8 bits, libavif's own tuning"
    qualities = (10, 20, 30, 40, 50, 60, 70, 80)
    mime = "image/avif"
    _format = "AVIF"
    _feature = "avif"
    _library = "libavif"

    def version(self) -> str:
        about = super().version()
        from PIL import _avif

        # "dav1d [dec]:1.5.3, aom [enc]:3.14.1"
        found = re.search(r"aom \[[^\]]*enc[^\]]*\]:([^,]+)", _avif.codec_versions())
        if not found:
            raise MissingPeerError("this Pillow's libavif was built without libaom's encoder")
        return f"libaom {found[1]}, {about}"

    def _options(self, quality: float) -> dict[str, Any]:
        return {
            "quality": int(quality),
            "codec": "aom",
            "speed": 4,
            "subsampling": "4:4:4",
            "max_threads": self.threads,
        }


class AvifPsnr(Avif):
    """AVIF tuned for PSNR, as encoders of the published curve were; its own tuning gives up
    PSNR for what looks better.
    """

    name = "avif-psnr"
    label = "AVIF, tuned for PSNR"
    settings = "speed 4, 4:4:4, 8 bits, tune=psnr"

    def _options(self, quality: float) -> dict[str, Any]:
        return {**super()._options(quality), "advanced": {"tune": "psnr"}}


class JpegXl(_Pillow):
    """JPEG XL by libjxl."""

    name = "jxl"
    label = "JPEG XL"
    settings = "lossy (VarDCT), effort 7"
    qualities = (10, 20, 30, 45, 60, 75, 85, 92)
    _format = "JXL"

    def version(self) -> str:
        try:
            import pillow_jxl
        except ImportError as error:
            raise MissingPeerError("pillow-jxl-plugin is not installed") from error
        del pillow_jxl  # imported for what it tells Pillow
        return f"{package('pillow-jxl-plugin')}, {package('pillow')}"

    def encode(self, pixels: Pixels, quality: float) -> bytes:
        self.version()
        return super().encode(pixels, quality)

    def decode(self, data: bytes) -> Pixels:
        self.version()
        return super().decode(data)

    def _options(self, quality: float) -> dict[str, Any]:
        return {"quality": int(quality), "effort": 7, "num_threads": self.threads}


class Jpeg2000(_Pillow):
    """JPEG 2000 by OpenJPEG."""

    name = "jp2"
    label = "JPEG 2000"
    settings = "irreversible 9/7 wavelet, colour transform"
    scale = "compression ratio"
    qualities = (200, 120, 80, 50, 32, 20, 13, 9)
    span = (1, 10_000)
    _format = "JPEG2000"
    _feature = "jpg_2000"
    _library = "OpenJPEG"

    def _options(self, quality: float) -> dict[str, Any]:
        return {
            "quality_mode": "rates",
            "quality_layers": [quality],
            "irreversible": True,
            "mct": 1,
        }


class Vqcodec(OwnCodec[Pixels]):
    """vqcodec with one of its models of pictures."""

    kind = Kind.PICTURE

    def encode(self, pixels: Pixels, quality: float) -> bytes:
        from vqcodec import compress

        model = self._loaded()
        chosen = quality if model.qualities else None
        return compress(pixels, model=model, quality=chosen, prior=self.prior)

    def decode(self, data: bytes) -> Pixels:
        from vqcodec import decompress

        return np.asarray(decompress(data, model=self._loaded()))


PEERS: dict[str, type[_Pillow]] = {
    peer.name: peer
    for peer in (Jpeg, Webp, Avif, JpegXl, Jpeg2000, JpegPlain, WebpMethod4, AvifPsnr)
}
"""Peers whose rate and distortion can be measured, by name."""
USUAL = ("jpeg", "webp", "avif", "jxl", "jp2")
"""Those that are measured by default."""
