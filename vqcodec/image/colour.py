"""What numbers mean as colours: profiles made of PNG's and video's statements, and their use."""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from PIL import Image, ImageCms

Curve: TypeAlias = tuple[float, ...]
"""Parameters g, a, b, c, d of ICC.1:2022, section 10.18: (a x + b)^g from d on and c x below;
g alone for x^g.
"""
Chromaticities: TypeAlias = tuple[float, ...]
"""x and y of white, red, green and blue."""

SRGB_CURVE: Curve = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
SRGB_CHROMATICITIES: Chromaticities = (0.3127, 0.329, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06)
_BT709_CURVE: Curve = (1 / 0.45, 1 / 1.099, 0.099 / 1.099, 1 / 4.5, 0.081)
_D65 = SRGB_CHROMATICITIES[:2]
_PRIMARIES: dict[int, Chromaticities] = {
    1: SRGB_CHROMATICITIES,
    5: (*_D65, 0.64, 0.33, 0.29, 0.6, 0.15, 0.06),
    6: (*_D65, 0.63, 0.34, 0.31, 0.595, 0.155, 0.07),
    7: (*_D65, 0.63, 0.34, 0.31, 0.595, 0.155, 0.07),
    9: (*_D65, 0.708, 0.292, 0.17, 0.797, 0.131, 0.046),
    11: (0.314, 0.351, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06),
    12: (*_D65, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06),
}
"""Of ITU-T H.273, table 2."""
_TRANSFERS: dict[int, Curve] = {
    **dict.fromkeys((1, 6, 14, 15), _BT709_CURVE),
    4: (2.2,),
    5: (2.8,),
    8: (1.0,),
    13: SRGB_CURVE,
}
"""Of ITU-T H.273, table 3, those whose whitest value is the screen's white."""
_BRADFORD = np.array(
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
)
_D50 = np.array([0.9642, 1.0, 0.8249])
_SPACES = {"RGB": "RGB ", "L": "GRAY", "CMYK": "CMYK", "LAB": "Lab "}


@dataclass(frozen=True, slots=True, kw_only=True)
class PngColours:
    """What the chunks of a PNG file say of its colours besides a profile."""

    gamma: bytes | None = None
    """Data of gAMA."""
    chromaticities: bytes | None = None
    """Data of cHRM."""
    srgb: bool = False
    """Whether there is an sRGB chunk."""

    def profile(self) -> bytes | None:
        """Return an ICC profile that says the same, None where the colours are sRGB.

        An sRGB chunk counts before the others (PNG, third edition, section 13.13), whose
        values for sRGB are those that the specification recommends beside it. Without
        gAMA the curve is sRGB's, without cHRM the primaries are. Raises ValueError for
        numbers that are no colours.
        """
        if self.srgb or (self.gamma is None and self.chromaticities is None):
            return None
        colours, curve = SRGB_CHROMATICITIES, SRGB_CURVE
        if self.chromaticities is not None:
            colours = tuple(v / 100_000 for v in struct.unpack(">8I", self.chromaticities))
        if self.gamma is not None:
            curve = (100_000 / max(int.from_bytes(self.gamma, "big"), 1),)
        usual = abs(curve[0] - 1 / 0.45455) < 1e-6 if self.gamma is not None else True
        if usual and self.chromaticities is not None and _same(colours, SRGB_CHROMATICITIES):
            return None
        return rgb_profile(colours, curve)


def _same(one: Chromaticities, other: Chromaticities) -> bool:
    return bool(np.allclose(one, other, atol=1.5e-4, rtol=0.0))


def cicp_profile(cicp: bytes) -> bytes | None:
    """Return an ICC profile for the 4 bytes of a cICP chunk, None if there is none that says the
    same (HDR).
    """
    colours, curve = _PRIMARIES.get(cicp[0]), _TRANSFERS.get(cicp[1])
    return None if colours is None or curve is None else rgb_profile(colours, curve)


def rgb_profile(chromaticities: Chromaticities, curve: Curve) -> bytes:
    """Make an ICC profile (ICC.1:2022, version 4.4) of primaries and one curve.

    Raises ValueError for numbers that are no colours.
    """
    points = np.array(chromaticities).reshape(4, 2)
    if not (points[:, 1] > 0.0).all() or not 0.05 <= curve[0] <= 30.0:
        raise ValueError("chromaticities or a gamma that are no colours")
    xyz = np.stack([points[:, 0] / points[:, 1], np.ones(4), (1 - points.sum(1)) / points[:, 1]])
    white, primaries = xyz[:, 0], xyz[:, 1:]
    if abs(np.linalg.det(primaries)) < 1e-6:
        raise ValueError("primaries that span no colours")
    cones = np.diag((_BRADFORD @ _D50) / (_BRADFORD @ white))
    adapted = np.linalg.inv(_BRADFORD) @ cones @ _BRADFORD
    columns = adapted @ (primaries * np.linalg.solve(primaries, white))
    if not (np.abs(columns) < 100).all() or not (np.abs(adapted) < 100).all():
        raise ValueError("primaries that span no colours")
    form = 3 if len(curve) > 1 else 0
    trc = b"para" + struct.pack(">IHH", 0, form, 0) + _fixed(curve)
    text = "Chromaticities and gamma"
    tags = {
        b"desc": _text(text),
        b"cprt": _text("CC0"),
        b"wtpt": b"XYZ \0\0\0\0" + _fixed(_D50),
        b"chad": b"sf32\0\0\0\0" + _fixed(adapted.ravel()),
        **{
            name: b"XYZ \0\0\0\0" + _fixed(column)
            for name, column in zip((b"rXYZ", b"gXYZ", b"bXYZ"), columns.T, strict=True)
        },
        **dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), trc),
    }
    return _profile(tags)


def _profile(tags: dict[bytes, bytes]) -> bytes:
    start = 128 + 4 + 12 * len(tags)
    table, data, places = bytearray(), bytearray(), dict[bytes, int]()
    for name, tag in tags.items():
        if tag not in places:  # the three curves are one
            places[tag] = start + len(data)
            data += tag + bytes(-len(tag) % 4)
        table += name + struct.pack(">II", places[tag], len(tag))
    head = struct.pack(">I4sI4s4s4s", start + len(data), b"", 0x04400000, b"mntr", b"RGB ", b"XYZ ")
    head += struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp"
    head = head.ljust(68, b"\0") + _fixed(_D50)
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + bytes(table + data)


def _fixed(values: object) -> bytes:
    """Write numbers as s15Fixed16."""
    rounded = np.rint(np.asarray(values, dtype=np.float64) * 65536)
    return rounded.astype(">i4").tobytes()


def _text(text: str) -> bytes:
    data = text.encode("utf-16-be")
    return b"mluc" + struct.pack(">III2s2sII", 0, 1, 12, b"en", b"US", len(data), 28) + data


def fits(icc: bytes, mode: str) -> bool:
    """Tell whether a profile is one of pixels of that Pillow mode (RGB, L, CMYK or LAB)."""
    return icc[16:20].decode("latin-1") == _SPACES.get(mode)


def to_srgb(image: Image.Image, icc: bytes | None) -> Image.Image:
    """Convert a picture of mode L, RGB, CMYK or LAB to sRGB, through a profile of such pixels.

    Without a profile LAB is CIE L*a*b*. Raises ValueError if the profile is unusable.
    """
    try:
        source = ImageCms.ImageCmsProfile(
            ImageCms.createProfile("LAB") if icc is None else io.BytesIO(icc)
        )
        srgb = ImageCms.createProfile("sRGB")
        converted = ImageCms.profileToProfile(image, source, srgb, outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, TypeError) as error:
        raise ValueError("the colour profile is unusable") from error
    assert converted is not None  # only in-place conversion returns none
    return converted
