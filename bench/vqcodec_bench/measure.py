"""One codec at one quality on one file, and the cache of such results.

A result is kept under the hash of all that decides it: what the file holds, the
codec with its version and settings, the quality, the metrics' versions. Beside it
is kept what the page shows: the compressed file or, where browsers do not decode
it, what it decodes to.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from vqcodec.storage import write_whole
from vqcodec_bench.codec import Codec, Content
from vqcodec_bench.medium import Medium

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


def key_of(medium: Medium[Content], sha256: str, codec: Codec[Content], quality: float) -> str:
    """Return the cache's key of one result on the file of a hash."""
    about = (codec.name, codec.fingerprint(), float(quality))
    parts = [_FORMAT, sha256, *about, *medium.metric_versions()]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def measure(
    medium: Medium[Content], codec: Codec[Content], quality: float, content: Content
) -> tuple[Point, bytes]:
    """Compress and decompress one file; return what came of it, and what to show."""
    data = codec.encode(content, quality)
    decoded = medium.fit(content, codec.decode(data), delayed=codec.delayed)
    metrics = medium.compare(content, decoded)
    rate = medium.rate_of(len(data), content)
    point = {"bytes": len(data), medium.rate: rate, **metrics, **codec.details(data)}
    return point, data if codec.mime else medium.decoded_file(decoded)
