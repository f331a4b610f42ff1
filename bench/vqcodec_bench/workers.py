"""Processes that measure. Ctrl-C is the parent's to handle; they never hear of it."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from types import TracebackType
from typing import Any

from vqcodec import processors
from vqcodec.batch.run import sigint_blocked

_MOST = 61
"""Windows waits for no more processes than this."""


class Workers:
    """Fresh processes, as forked ones would inherit torch's threads, which do not survive it."""

    def __init__(self, count: int, start: Callable[..., None] | None = None, *arguments: Any):
        """`start` is called with `arguments` in each process first."""
        context = multiprocessing.get_context("spawn")
        self._pool = ProcessPoolExecutor(
            min(count, _MOST), context, initializer=start, initargs=arguments
        )

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """Have a function called in a process; the first call starts the processes."""
        with sigint_blocked():  # processes inherit it from their first moment on
            return self._pool.submit(function, *arguments)

    def __enter__(self) -> Workers:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Wait for what is being computed and drop what is not."""
        self._pool.shutdown(wait=True, cancel_futures=True)


def limit_threads(count: int) -> None:
    """Have this process compute with so many threads, before it has loaded what computes."""
    os.environ["OMP_NUM_THREADS"] = str(count)  # read by torch when it is loaded
    processors.prepare(count)
