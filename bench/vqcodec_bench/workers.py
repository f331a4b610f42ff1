"""Processes that measure. Ctrl-C is the parent's to handle; they never hear of it."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import resource_tracker
from types import TracebackType
from typing import Any

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


@contextmanager
def sigint_blocked() -> Iterator[None]:
    """Hold back Ctrl-C: processes that start meanwhile never hear it, this one afterwards."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    resource_tracker.ensure_running()  # when it starts, it lets the signal through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
