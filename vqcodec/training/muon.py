"""Muon: momentum whose update is made orthogonal, for the weights of hidden layers.

Keller Jordan et al., "Muon: An optimizer for hidden layers in neural networks"
(2024); the rate is Adam's own, as updates are scaled to the root mean square of
Adam's, 0.2 (Liu et al., arXiv 2502.16982, section 2.2). What is no matrix stays
with Adam.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import torch
from torch import Tensor, nn

_MOMENTUM = 0.95
_RMS = 0.2
_ROUNDS = 5
_POLYNOMIAL = (3.4445, -4.7750, 2.0315)
"""Coefficients of x, x^3 and x^5: five rounds bring singular values between 0.01 and 1 near 1."""
_SIDE_MIN = 16
"""Narrower matrices are tables, such as one row per quality, not layers."""


class Muon(torch.optim.Optimizer):
    """The optimiser of matrices; a kernel (outputs, ...) counts as (outputs, the rest)."""

    def __init__(self, parameters: Iterable[nn.Parameter], lr: float = 1e-3) -> None:
        super().__init__(parameters, {"lr": lr})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Take one step along the gradients."""
        for group in self.param_groups:
            # Matrices of one shape share their products: many small ones would wait for each other.
            alike: defaultdict[torch.Size, list[tuple[Tensor, Tensor]]] = defaultdict(list)
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                state = self.state[parameter]
                if not state:
                    state["momentum"] = torch.zeros_like(parameter)
                momentum = state["momentum"].lerp_(parameter.grad, 1.0 - _MOMENTUM)
                ahead = parameter.grad.lerp(momentum, _MOMENTUM).flatten(1)
                alike[ahead.shape].append((parameter, ahead))
            for shape, pairs in alike.items():
                updates = orthogonal(torch.stack([ahead for _, ahead in pairs]))
                rate = group["lr"] * _RMS * max(shape) ** 0.5
                for (parameter, _), update in zip(pairs, updates, strict=True):
                    parameter.add_(update.view_as(parameter), alpha=-rate)


def orthogonal(matrices: Tensor) -> Tensor:
    """Bring the singular values of (B, n, m) near 1 by Newton-Schulz iteration, in bfloat16.

    Values end between about 0.7 and 1.2; the result is float32.
    """
    norms = matrices.norm(dim=(1, 2), keepdim=True).clamp_min(1e-7)
    x: Tensor = (matrices / norms).bfloat16()
    tall = x.shape[1] > x.shape[2]
    x = x.mT.contiguous() if tall else x
    first, third, fifth = _POLYNOMIAL
    for _ in range(_ROUNDS):
        gram = x @ x.mT
        both = torch.baddbmm(gram, gram, gram, beta=third, alpha=fifth)
        x = torch.baddbmm(x, both, x, beta=first)
    return (x.mT if tall else x).float()


def is_hidden(name: str, parameter: nn.Parameter) -> bool:
    """Tell whether Muon should train a parameter: a matrix or kernel, no table, not narrow."""
    if parameter.dim() < 2 or any(part in name for part in ("embedding", "codebook")):
        return False
    return min(parameter.shape[0], parameter[0].numel()) >= _SIDE_MIN
