"""How a command's process uses the machine: threads and memory."""

from __future__ import annotations

import ctypes
import sys

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4
"""Of glibc's malloc.h."""


def prepare(threads: int | None) -> None:
    """Set the number of threads (None: as many as torch likes), and keep freed memory.

    glibc hands a network layer's buffers back to the system as soon as the next layer has
    them no more, and gets them anew page by page: a sixth of the networks' time.
    """
    if sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # other C libraries have none
        if mallopt is not None:
            mallopt(_M_MMAP_MAX, 0)
            mallopt(_M_TRIM_THRESHOLD, (1 << 31) - 1)
    if threads is not None:
        import torch

        torch.set_num_threads(threads)
