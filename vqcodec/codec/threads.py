"""Tiles that are coded at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from vqcodec import processors

_T = TypeVar("_T")


def in_threads(code: Callable[..., _T], *each: Sequence[Any]) -> Iterator[_T]:
    """Code tiles, as many at once as there are threads; yield what comes of each in order.

    `code` is given one of each of the sequences.
    """
    tiles = len(each[0])
    count = min(processors.threads(), tiles) if tiles > 1 else 1
    if count == 1:
        yield from map(code, *each)
        return
    with ThreadPoolExecutor(count) as pool:
        yield from pool.map(code, *each)
