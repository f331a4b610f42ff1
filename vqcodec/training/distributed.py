"""Training by several processes, on several GPUs or machines, as `torchrun` starts them.

Each process holds the whole network and draws a share of every batch. Gradients are
averaged and counts added up, so all take the same step and, on like hardware, hold
equal networks. Process 0 alone writes files and reports. A process on its own is
process 0 of 1, for which nothing here does anything.

Functions that exchange something must be called in all processes, in one order.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

Loss = Callable[[Tensor, int], tuple[Tensor, dict[str, float]]]
"""Maps a batch and its step to the scalar to minimise and figures to log."""

# Process 0 may index pictures for hours while the others wait, which is no fault.
# They need not notice the end of a process either: torchrun does.
_PATIENCE = timedelta(days=7)


@contextmanager
def joined(device: torch.device) -> Iterator[torch.device]:
    """Join the processes that torchrun started with this one; yield the device to train on.

    On CUDA that is the GPU of the process's number on its machine. Without torchrun
    it is `device`.

    Raises: ValueError for several processes on anything but CPU and CUDA, or for more
    processes than GPUs.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield device
        return
    if device.type == "cuda":
        number, count = int(os.environ["LOCAL_RANK"]), torch.cuda.device_count()
        if number >= count:
            raise ValueError(f"more processes than the {count} GPUs of this machine")
        device = torch.device("cuda", number)
        torch.cuda.set_device(device)
    elif device.type != "cpu":
        raise ValueError(f"several processes train on 'cuda' or 'cpu', not on {device.type!r}")
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=_PATIENCE)
    wait()
    yield device
    # Not after an error: the others may be inside an exchange that would keep us here,
    # while torchrun, once this process has ended, ends them.
    dist.destroy_process_group()


def rank() -> int:
    """Return the number of this process, 0..size() - 1."""
    return dist.get_rank() if _together() else 0


def size() -> int:
    """Return how many processes train together."""
    return dist.get_world_size() if _together() else 1


def share(batch: int, key: str) -> int:
    """Return how many examples of a batch each process draws.

    Raises: ValueError, naming the recipe's `key`, if that is no whole number.
    """
    if batch % size():
        raise ValueError(f"{key} must be a multiple of {size()}, the number of processes")
    return batch // size()


def parallel(module: nn.Module, loss: Loss) -> Loss:
    """Return `loss`, whose gradients with regard to the module are averaged over processes.

    All processes take the weights and buffers of process 0. `loss` must use no other
    parameters.
    """
    if size() == 1:
        return loss
    # Some steps leave parameters without gradient: those before the codebook starts, or
    # of parts that no example of the share touches.
    network = DistributedDataParallel(_Forward(module, loss), find_unused_parameters=True)
    return lambda batch, step: network(batch, step)


class _Forward(nn.Module):
    """A loss as a forward pass, which is what DistributedDataParallel knows."""

    def __init__(self, module: nn.Module, loss: Loss) -> None:
        super().__init__()
        self.module = module
        self._loss = loss

    def forward(self, batch: Tensor, step: int) -> tuple[Tensor, dict[str, float]]:
        return self._loss(batch, step)


def wait() -> None:
    """Wait until every process has come here."""
    any_of(False)


def any_of(flag: bool) -> bool:
    """Tell whether the flag is set in any process."""
    return _reduced([int(flag)], dist.ReduceOp.MAX)[0] > 0 if size() > 1 else flag


def agree(value: int, what: str) -> None:
    """Make sure that a number is the same in all processes. Raises ValueError if it is not."""
    if size() > 1:
        highest, lowest = _reduced([value, -value], dist.ReduceOp.MAX)
        if highest != -lowest:
            raise ValueError(
                f"{what} is not the same for all processes: on every machine "
                "they need the same pictures, and one folder for the run"
            )


def means(figures: Mapping[str, float]) -> dict[str, float]:
    """Return the figures' means over processes."""
    if size() == 1:
        return dict(figures)
    sums = _reduced(list(figures.values()), dist.ReduceOp.SUM)
    return {name: total / size() for name, total in zip(figures, sums, strict=True)}


def gathered(rows: Tensor) -> Tensor:
    """Join rows (n, ...) of all processes, n alike, in their order: (size() * n, ...)."""
    if size() == 1:
        return rows
    parts = [torch.empty_like(rows) for _ in range(size())]
    dist.all_gather(parts, rows.contiguous())
    return torch.cat(parts)


def take_first(module: nn.Module) -> None:
    """Take over, in place, what process 0 has in a module."""
    if size() > 1:
        for value in module.state_dict().values():
            dist.broadcast(value, 0)


def _together() -> bool:
    return dist.is_available() and dist.is_initialized()


def _reduced(values: list[int] | list[float], how: dist.ReduceOp.RedOpType) -> list[float]:
    device = "cuda" if dist.get_backend() == "nccl" else "cpu"
    message = torch.tensor(values, dtype=torch.float64, device=device)
    dist.all_reduce(message, how)
    result: list[float] = message.tolist()  # on a GPU this waits for the exchange
    return result
