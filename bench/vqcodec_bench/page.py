"""The report page: one HTML file that shows results.json and never uses the network."""

from __future__ import annotations

import base64
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

_PLACEHOLDER = re.compile(r"@@(DATA|IMAGES)@@")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One file that the slider can show, in a format that browsers decode."""

    picture: str
    """The name of one of the results' pictures."""
    codec: str | None
    """The name of one of the results' codecs; None is the original."""
    quality: float | None
    """As in the results' points; None for the original."""
    mime: str
    """image/jpeg, image/webp, image/avif or image/png."""
    data: bytes
    exact: bool
    """False: a near-lossless WebP of the decoded picture, as browsers do not decode the codec."""


def render(results: Mapping[str, Any], shown: Sequence[Shown]) -> str:
    """The whole page as HTML text. The order of `shown` is that of the slider's menus."""
    keys: dict[bytes, str] = {}
    entries = [
        {
            "key": keys.setdefault(item.data, f"image-{len(keys)}"),
            "picture": item.picture,
            "codec": item.codec,
            "quality": item.quality,
            "mime": item.mime,
            "bytes": len(item.data),
            "exact": item.exact,
        }
        for item in shown
    ]
    parts = {
        "DATA": _embeddable({"results": results, "shown": entries}),
        "IMAGES": "\n".join(_image(key, data) for data, key in keys.items()),
    }
    template = files("vqcodec_bench").joinpath("page.html").read_text(encoding="utf-8")
    # One pass, so that a picture that is named like a placeholder stays a name.
    return _PLACEHOLDER.sub(lambda match: parts[match[1]], template)


def _image(key: str, data: bytes) -> str:
    """A script block that browsers keep as text: nothing is decoded before it is shown."""
    text = base64.b64encode(data).decode("ascii")
    return f'<script type="text/plain" data-key="{key}">{text}</script>'


def _embeddable(value: object) -> str:
    """JSON that cannot end the script element around it. It is ASCII, U+2028 and U+2029 too."""
    text = json.dumps(_plain(value), allow_nan=False, separators=(",", ":"))
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _plain(value: object) -> object:
    """`value` as JSON can hold it: an infinite PSNR becomes null, as JSON has no infinity."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
