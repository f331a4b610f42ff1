"""How the transform begins: as the Karhunen-Loève transform of 16x16 blocks.

Blocks of the networks begin as the identity, so what is left is a chain of linear maps.
Each stage takes the principal components of 4x4, 2x2 and 2x2 blocks of what the
stage before gives, on crops of the training pictures, and the synthesis takes them back.
From random weights the fine components, small in the loss, are learnt last and
slowly; this way they are there from the first step. Gains begin at the steps that
are best at high rate.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vqcodec.networks.transform import Analysis, Gains, Synthesis

_RATIOS = (4, 2, 2)


@torch.no_grad()
def start_as_blocks(
    analysis: Analysis, synthesis: Synthesis, gains: Gains, pixels: Tensor, lambdas: Tensor
) -> None:
    """Set the linear layers by pixels (B, 3, H, W) in 0..1, and the gains by lambda (Q,)."""
    down = [layer for layer in analysis.layers if isinstance(layer, nn.Conv2d)]
    up = [layer for layer in synthesis.layers if isinstance(layer, nn.Conv2d)]
    features = 2.0 * pixels - 1.0
    for number, ratio in enumerate(_RATIOS):
        features = _stage(features, ratio, down[number], up[-1 - number])
    count = features.shape[1]
    kept = min(count, down[-1].weight.shape[0])
    for layer, outputs in ((down[-1], kept), (up[0], count)):
        layer.weight[:outputs] = 0.0
        layer.bias[:outputs] = 0.0  # type: ignore[index]
        middle = layer.kernel_size[0] // 2
        layer.weight[range(kept), range(kept), middle, middle] = 1.0
    _set_details(analysis, synthesis, 2.0 * pixels - 1.0)
    gains.octaves.copy_(best_octaves(lambdas)[:, None].expand_as(gains.octaves))


def best_octaves(lambdas: Tensor) -> Tensor:
    """Return log2 of the gain that is best for orthonormal components at high rate, (Q,)."""
    # At high rate a component with step s has an error of s^2 / 12, which is 127.5^2 / 768 of
    # the MSE on 0..255, and -1 / (2 ln 2) of an error's relative change in bits, of which 256
    # are one bit per pixel: lambda balances them at this step.
    errors = 3.0 / (2.0 * math.log(2.0) * 127.5**2 * lambdas)
    return -torch.log2((12.0 * errors).sqrt())


def _set_details(analysis: Analysis, synthesis: Synthesis, pictures: Tensor) -> None:
    """Let details be the principal components of 16x16 blocks of what the networks leave out."""
    first, *_ = (layer for layer in synthesis.details if isinstance(layer, nn.Conv2d))
    first.weight.zero_()
    left = pictures - synthesis.layers(analysis.layers(pictures))
    basis, _ = _components(blocks(left, 16))
    basis = basis[:, : first.weight.shape[1]]
    analysis.details.weight.copy_(basis.T.view_as(analysis.details.weight))
    analysis.details.bias.copy_(-blocks(pictures, 16).mean(0) @ basis)  # type: ignore[union-attr]
    first.weight[:, :, 0, 0] = basis


def blocks(features: Tensor, ratio: int) -> Tensor:
    """Return the blocks of features (B, C, H, W) as rows of C ratio^2 numbers."""
    return F.pixel_unshuffle(features, ratio).permute(0, 2, 3, 1).flatten(0, 2)


def _components(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Return the principal components (n, n) of rows (m, n), the largest first, and the mean."""
    exact = rows.double()
    mean = exact.mean(0)
    _, vectors = torch.linalg.eigh((exact - mean).T @ (exact - mean))
    return vectors.flip(1).float(), mean.float()


def _stage(features: Tensor, ratio: int, down: nn.Conv2d, up: nn.Conv2d) -> Tensor:
    """Set one stage of both directions; return the components, (B, k, H / ratio, W / ratio)."""
    inputs = features.shape[1]
    rows = blocks(features, ratio)
    basis, mean = _components(rows)
    kept = min(len(basis), down.weight.shape[0])
    basis = basis[:, :kept]  # (inputs ratio^2, kept)

    margin = (down.kernel_size[0] - ratio) // 2
    inside = slice(margin, margin + ratio)
    down.weight[:kept] = 0.0
    down.weight[:kept, :inputs, inside, inside] = basis.T.view(kept, inputs, ratio, ratio)
    down.bias[:kept] = -mean @ basis  # type: ignore[index]

    middle = up.kernel_size[0] // 2
    up.weight[: len(basis)] = 0.0
    up.weight[: len(basis), :kept, middle, middle] = basis
    up.bias[: len(basis)] = mean  # type: ignore[index]
    flat: Tensor = (rows - mean) @ basis
    high, wide = (side // ratio for side in features.shape[2:])
    return flat.view(-1, high, wide, kept).permute(0, 3, 1, 2)
