"""The report page: one HTML file that shows results.json and never uses the network.

It is put together of the files in `pages`: a frame for all media, and what each adds.
"""

from __future__ import annotations

import base64
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

_PLACEHOLDER = re.compile(r"@@(STYLE|SECTIONS|METHOD|DATA|SCRIPT|FILES)@@")
_OWN_SCRIPTS = {"picture": ("script.js",), "sound": ("script.js", "spectrogram.js")}
"""Of each medium; they stand behind the first of those of all."""
_SCRIPTS = ("chart.js", "tables.js", "start.js")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One file that the page can show, in a format that browsers decode."""

    item: str
    """The name of one of the results' files."""
    codec: str | None
    """The name of one of the results' codecs; None is the original."""
    quality: float | None
    """As in the results' points; None for the original."""
    mime: str
    """Of the data, such as image/webp."""
    data: bytes
    exact: bool
    """False: browsers do not decode the codec, and what it decodes to was written with loss."""


def render(results: Mapping[str, Any], shown: Sequence[Shown]) -> str:
    """The whole page as HTML text. The order of `shown` is that of the page's menus."""
    keys: dict[bytes, str] = {}
    entries = [
        {
            "key": keys.setdefault(item.data, f"file-{len(keys)}"),
            "item": item.item,
            "codec": item.codec,
            "quality": item.quality,
            "mime": item.mime,
            "bytes": len(item.data),
            "exact": item.exact,
        }
        for item in shown
    ]
    medium = results["medium"]
    own = [f"{medium}/{name}" for name in _OWN_SCRIPTS[medium]]
    parts = {
        "STYLE": _part("frame.css") + _part(f"{medium}/style.css"),
        "SECTIONS": _part(f"{medium}/sections.html"),
        "METHOD": _part(f"{medium}/method.html"),
        "DATA": _embeddable({"results": results, "shown": entries}),
        "SCRIPT": "".join(map(_part, ("nodes.js", *own, *_SCRIPTS))),
        "FILES": "\n".join(_block(key, data) for data, key in keys.items()),
    }
    # One pass, so that a file that is named like a placeholder stays a name.
    return _PLACEHOLDER.sub(lambda match: parts[match[1]], _part("frame.html"))


def _part(name: str) -> str:
    return files("vqcodec_bench").joinpath("pages", name).read_text(encoding="utf-8")


def _block(key: str, data: bytes) -> str:
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
