"""Parts of a picture, such as tiles, that are worked on at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any, TypeVar

from vqcodec import processors

_T = TypeVar("_T")


def in_threads(
    work: Callable[..., _T],
    *each: Sequence[Any],
    most: int | None = None,
    unwanted: Event | None = None,
) -> Iterator[_T]:
    """Work on parts, as many at once as there are threads; yield what comes of each in order.

    `work` is given one of each of the sequences. There are at most `most` parts at once (None: no
    limit), which share the threads.

    If anything is raised, what has begun is waited for. Work that takes long may look at
    `unwanted` meanwhile, which is then set.
    """
    threads, parts = processors.threads(), len(each[0])
    count = min(threads, parts, most or parts)
    if count <= 1:
        yield from map(work, *each)
        return
    with ThreadPoolExecutor(count, "", processors.take_share, (threads // count,)) as pool:
        try:
            yield from pool.map(work, *each)
        except BaseException:
            if unwanted is not None:
                unwanted.set()
            raise
