"""Tiles that are coded at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from vqcodec import processors
from vqcodec.engines.layers import Box

_T = TypeVar("_T")
_U = TypeVar("_U")


def in_threads(
    code: Callable[[_T, Box], _U], tiles: Sequence[_T], boxes: Sequence[Box]
) -> Iterator[_U]:
    """Code tiles, as many at once as there are threads; yield what comes of each in order."""
    count = min(processors.threads(), len(tiles)) if len(tiles) > 1 else 1
    if count == 1:
        yield from map(code, tiles, boxes)
        return
    with ThreadPoolExecutor(count) as pool:
        yield from pool.map(code, tiles, boxes)
