"""Muon: momentum whose update is made orthogonal, for the weights of hidden layers.

Keller Jordan et al., "Muon: An optimizer for hidden layers in neural networks"
(2024); the rate is Adam's own, as updates are scaled to the root mean square of
Adam's, 0.2 (Liu et al., arXiv 2502.16982, section 2.2). What is no matrix stays
with Adam.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.optim.optimizer import ParamsT

_MOMENTUM = 0.95
_RMS = 0.2
_ROUNDS = 5
_POLYNOMIAL = (3.4445, -4.7750, 2.0315)
"""Coefficients of x, x^3 and x^5: five rounds bring singular values between 0.01 and 1 near 1."""
_SIDE_MIN = 16
"""Narrower matrices are tables, such as one row per quality, not layers."""


class Muon(torch.optim.Optimizer):
    """The optimiser of matrices; a kernel (outputs, ...) counts as (outputs, the rest)."""

    def __init__(self, parameters: ParamsT, lr: float | Tensor = 1e-3) -> None:
        super().__init__(parameters, {"lr": lr})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Take one step along the gradients."""
        for group in self.param_groups:
            # Matrices of one shape share their products: many small ones would wait for each other.
            alike: defaultdict[torch.Size, list[nn.Parameter]] = defaultdict(list)
            for parameter in group["params"]:
                if parameter.grad is not None:
                    alike[parameter.flatten(1).shape].append(parameter)
            for shape, parameters in alike.items():
                rate = group["lr"] * _RMS * max(shape) ** 0.5
                updates = orthogonal(self._directions(parameters)).mul_(-rate)
                for parameter, update in zip(parameters, updates, strict=True):
                    _in_order(parameter, parameter).view(shape).add_(update)

    def _directions(self, parameters: Sequence[nn.Parameter]) -> Tensor:
        """Let the momentum of parameters of one shape follow their gradients; return where to go
        from there (Nesterov), bfloat16 (B, n, m).
        """
        for parameter in parameters:
            if not self.state[parameter]:
                self.state[parameter]["momentum"] = torch.zeros_like(parameter)
        gradients = [p.grad for p in parameters if p.grad is not None]
        momenta: list[Tensor] = [self.state[parameter]["momentum"] for parameter in parameters]
        torch._foreach_lerp_(momenta, gradients, 1.0 - _MOMENTUM)
        ahead = torch._foreach_lerp(gradients, momenta, _MOMENTUM)
        return torch.stack(
            [
                _in_order(one, p).flatten(1).bfloat16()
                for one, p in zip(ahead, parameters, strict=True)
            ]
        )


def _in_order(values: Tensor, parameter: Tensor) -> Tensor:
    """Return values of a parameter's shape with the axes in the order that the parameter's have in
    memory. The order of a matrix's columns does not matter to what is orthogonal, and any other
    one costs copies.
    """
    last = parameter.dim() == 4 and parameter.is_contiguous(memory_format=torch.channels_last)
    return values.permute(0, 2, 3, 1) if last else values


def orthogonal(matrices: Tensor) -> Tensor:
    """Bring the singular values of (B, n, m) near 1 by Newton-Schulz iteration, in bfloat16.

    Values end between about 0.7 and 1.2; the result is bfloat16.
    """
    x = matrices.bfloat16()
    x = x / x.norm(dim=(1, 2), keepdim=True).clamp_min(1e-7)
    tall = x.shape[1] > x.shape[2]
    x = x.mT.contiguous() if tall else x
    first, third, fifth = _POLYNOMIAL
    for _ in range(_ROUNDS):
        gram = x @ x.mT
        polynomial = torch.baddbmm(gram, gram, gram, beta=third, alpha=fifth)
        polynomial.diagonal(dim1=1, dim2=2).add_(first)
        x = polynomial @ x
    result: Tensor = x.mT if tall else x
    return result


def is_hidden(name: str, parameter: nn.Parameter) -> bool:
    """Tell whether Muon should train a parameter: a matrix or kernel, no table, not narrow."""
    if parameter.dim() < 2 or any(part in name for part in ("embedding", "codebook")):
        return False
    return min(parameter.shape[0], parameter[0].numel()) >= _SIDE_MIN
