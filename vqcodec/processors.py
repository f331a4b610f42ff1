"""The processors that this process may use, and how threads share them with others."""

from __future__ import annotations

import ctypes
import math
import os
import sys
import threading
from importlib import import_module
from pathlib import Path

_threads: int | None = None
"""What `prepare` was told, None for all that are granted."""
_share = threading.local()
"""`count` of a thread that `take_share` was called in."""
_ours = False
"""Whether `prepare` was called."""
_CONTROL_GROUPS = Path("/sys/fs/cgroup")
_MEMBERSHIP = Path("/proc/self/cgroup")
_WAITING = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "0", "KMP_BLOCKTIME": "0"}
"""Settings of the OpenMP libraries that torch comes with, GNU's and LLVM's: threads that wait
for work sleep. If they ask again and again, as they do by default, each thread of another
process makes them wait for a whole time slice, thousands of times in a picture.
"""
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4
"""Of glibc's malloc.h."""


def granted() -> int:
    """Return how many processors this process may use, at least 1.

    That is what the operating system, Python's own setting and the control group of a
    container leave; a group's part of a processor counts as a whole one.
    """
    if hasattr(os, "process_cpu_count"):  # Python 3.13
        count = os.process_cpu_count()
    elif hasattr(os, "sched_getaffinity"):
        count = len(os.sched_getaffinity(0))
    else:
        count = os.cpu_count()
    return max(1, math.ceil(min(count or 1, _quota())))


def threads() -> int:
    """Return how many threads may work at once on what this thread does."""
    return getattr(_share, "count", None) or _threads or granted()


def take_share(count: int) -> None:
    """Let what this thread does be worked on by so many threads at once, as others work beside."""
    _share.count = count


def prepare(threads: int | None) -> None:
    """Make a process, which is all ours, ready to work on pictures: set its threads (None: all
    that are granted) and keep freed memory.

    glibc hands a network layer's buffers back to the system as soon as the next layer has
    them no more, and gets them anew page by page: a sixth of the networks' time.
    """
    if sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # other C libraries have none
        if mallopt is not None:
            mallopt(_M_MMAP_MAX, 0)
            mallopt(_M_TRIM_THRESHOLD, (1 << 31) - 1)
    global _threads, _ours
    _threads, _ours = threads, True
    if "torch" in sys.modules:
        _set_torch_threads()


def load_torch() -> None:
    """Import torch, its threads set to sleep while they wait unless the user set them.

    Calling it again is free. A torch that is loaded already stays as it is. Processes that
    are forked later have torch on one thread: the others do not survive a fork, and
    waiting for them would never end.
    """
    if "torch" not in sys.modules:
        added = {} if _WAITING.keys() & os.environ.keys() else _WAITING
        os.environ.update(added)
        try:
            import_module("torch")  # the libraries read their settings while they are loaded
        finally:
            for name in added:
                del os.environ[name]
        if _ours:
            _set_torch_threads()
    _survive_forks()


def _set_torch_threads() -> None:
    import torch

    # By itself torch respects OMP_NUM_THREADS, but no control group.
    torch.set_num_threads(_threads or min(torch.get_num_threads(), granted()))


_forks_are_safe = False


def _survive_forks() -> None:
    global _forks_are_safe
    if _forks_are_safe or not hasattr(os, "register_at_fork"):
        return
    import torch

    os.register_at_fork(after_in_child=lambda: torch.set_num_threads(1))
    _forks_are_safe = True


def _quota() -> float:
    """Return how many processors' time the control groups grant, infinite without a limit.

    A group's limit holds for all groups in it, so those above ours count too.
    """
    try:
        memberships = [line.split(":", 2) for line in _MEMBERSHIP.read_text().splitlines()]
    except OSError:
        return math.inf
    quotas = [math.inf]
    for _, controllers, path in memberships:
        if controllers and "cpu" not in controllers.split(","):
            continue
        root = _CONTROL_GROUPS / controllers  # version 2 of control groups names none
        # Inside a container the path may be the host's, and all that can be seen the root.
        own = Path(os.path.normpath(f"{root}/{path}"))
        quotas += [_quota_of(group) for group in (own, *own.parents) if group.is_relative_to(root)]
        quotas.append(_quota_of(root))
    return min(quotas)


def _quota_of(group: Path) -> float:
    try:
        quota, period = (group / "cpu.max").read_text().split()
    except OSError:
        try:
            quota = (group / "cpu.cfs_quota_us").read_text().strip()
            period = (group / "cpu.cfs_period_us").read_text()
        except OSError:
            return math.inf  # a group without limits, or one that cannot be seen from here
    return math.inf if quota in ("max", "-1") else int(quota) / int(period)
