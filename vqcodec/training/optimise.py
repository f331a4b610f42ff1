"""What moves the weights: the optimisers of a module, and its moving average.

Both know their state by the names of parameters, so that a checkpoint holds it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from vqcodec.training.config import ScheduleConfig
from vqcodec.training.muon import Muon, is_hidden

_Groups: TypeAlias = "defaultdict[float, list[nn.Parameter]]"
"""Parameters by how many times the rate they learn at."""
_FACTOR = "factor"
"""Name of that in what an optimiser keeps of a group."""


class Optimisers:
    """Adam for all parameters, or Muon for hidden layers and Adam for the rest."""

    def __init__(self, module: nn.Module, schedule: ScheduleConfig) -> None:
        """Raises ValueError if the schedule has a rate for parameters that there are not."""
        self._module = module
        self._clip = schedule.clip
        muon = schedule.optimiser == "muon"
        hidden: _Groups = defaultdict(list)
        rest: _Groups = defaultdict(list)
        for name, parameter in module.named_parameters():
            groups = hidden if muon and is_hidden(name, parameter) else rest
            groups[_factor(name, schedule.rates)].append(parameter)
        names = [name for name, _ in module.named_parameters()]
        for prefix in schedule.rates:
            if not any(name.startswith(prefix) for name in names):
                raise ValueError(f"train.*.rates.{prefix}: no parameter's name begins so")
        # A step of an optimiser that is not `capturable` cannot become part of a CUDA graph.
        on_gpu = all(parameter.is_cuda for group in rest.values() for parameter in group)
        adam = torch.optim.Adam(_told(rest), fused=True, capturable=on_gpu)
        self._all: list[torch.optim.Optimizer] = [adam]
        if hidden:
            self._all.append(Muon(_told(hidden)))

    def step(self, loss: Tensor, rate: float | Tensor) -> Tensor:
        """Take one step against the gradient of `loss`; return the gradient's norm, ().

        A `rate` on a GPU, (), is read there: the host need not wait.
        """
        for optimiser in self._all:
            optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(self._module.parameters(), self._clip)
        for optimiser in self._all:
            for group in optimiser.param_groups:
                group["lr"] = rate * group[_FACTOR]
            optimiser.step()
        return norm

    def tensors(self) -> dict[str, Tensor]:
        """Return the state as `key.parameter`."""
        return {
            f"{key}.{name}": value
            for name, parameter in self._module.named_parameters()
            for optimiser in self._all
            for key, value in optimiser.state.get(parameter, {}).items()
        }

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Undo `tensors`."""
        parameters = dict(self._module.named_parameters())
        owner = {
            parameter: optimiser
            for optimiser in self._all
            for group in optimiser.param_groups
            for parameter in group["params"]
        }
        for full, value in tensors.items():
            key, _, name = full.partition(".")
            parameter = parameters[name]
            # The fused optimiser walks through memory: moments must be laid out as
            # the parameter is (channels last), which the file does not keep.
            like = parameter if value.dim() else torch.empty((), device=parameter.device)
            moment = torch.empty_like(like, requires_grad=False).copy_(value)
            owner[parameter].state[parameter][key] = moment


def _factor(name: str, rates: Mapping[str, float]) -> float:
    """Return how many times the rate a parameter learns at; the longest prefix counts."""
    known = [prefix for prefix in rates if name.startswith(prefix)]
    return rates[max(known, key=len)] if known else 1.0


def _told(groups: _Groups) -> list[dict[str, Any]]:
    """Return groups as optimisers take them."""
    return [{"params": group, _FACTOR: factor} for factor, group in groups.items()]


class Average:
    """Exponential moving average of a module's parameters; with decay 0 it does nothing."""

    def __init__(self, module: nn.Module, decay: float) -> None:
        self._parameters = dict(module.named_parameters()) if decay else {}
        self._decay = decay
        self.tensors = {name: p.detach().clone() for name, p in self._parameters.items()}
        """The average, by the names of the parameters."""

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Follow the parameters after step `step`, at first more closely."""
        if self._parameters:
            decay = min(self._decay, (1.0 + step) / (10.0 + step))
            latest: list[Tensor] = list(self._parameters.values())
            torch._foreach_lerp_(list(self.tensors.values()), latest, 1.0 - decay)

    @torch.no_grad()
    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Take an average over."""
        for name, value in self.tensors.items():
            value.copy_(tensors[name])

    @torch.no_grad()
    def swap(self) -> None:
        """Exchange the parameters and their average."""
        for name, parameter in self._parameters.items():
            latest = parameter.detach().clone()
            parameter.copy_(self.tensors[name])
            self.tensors[name].copy_(latest)

    @contextmanager
    def swapped(self) -> Iterator[None]:
        """Let the module hold the average for a while."""
        self.swap()
        try:
            yield
        finally:
            self.swap()
