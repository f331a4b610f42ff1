"""Progress bars on stderr, only where a person watches."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from vqcodec.batch.job import Progress
from vqcodec.cli.terminal import escaped


@contextmanager
def bar(title: str) -> Iterator[Progress]:
    """Yield a function that takes the part done, 0 to 1, or None if stderr is no terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from tqdm import tqdm

    form = "{desc} {percentage:3.0f}% |{bar}| {elapsed}<{remaining}"
    with tqdm(total=1.0, desc=escaped(title)[-40:], leave=False, bar_format=form) as shown:

        def update(part: float) -> None:
            shown.update(part - shown.n)

        yield update


@contextmanager
def file_bar(count: int) -> Iterator[Callable[[], None]]:
    """Yield a function to be called whenever one of so many files is done. A single file has
    a bar of its own.
    """
    if count < 2 or not sys.stderr.isatty():
        yield lambda: None
        return
    from tqdm import tqdm

    with tqdm(total=count, unit="file", leave=False) as shown:

        def advance() -> None:
            shown.update()

        yield advance
