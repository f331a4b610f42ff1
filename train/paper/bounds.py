"""Bounds of the likelihood, as arXiv 1711.00937, section 4.1, compares them.

All are in nats, of pictures (B, ...): larger is better. Bits per dimension of a picture of N
samples (32 * 32 * 3 for CIFAR-10) are -bound / (N ln 2).
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

_LOG_SCALE_MIN = -7.0


def log_logistic(levels: Tensor, means: Tensor, log_scales: Tensor) -> Tensor:
    """Return log p of samples, integers 0..255, elementwise: the mass of a logistic distribution
    in the cell of width 1 around each; the first and the last cell are without end (Salimans et
    al., arXiv 1701.05517, section 2.1).

    `means` are on the scale 0..255, `log_scales` that of the logistic, on the same.
    """
    scales = torch.exp(-log_scales.clamp_min(_LOG_SCALE_MIN))
    upper, lower = (levels + 0.5 - means) * scales, (levels - 0.5 - means) * scales
    inner = torch.sigmoid(upper) - torch.sigmoid(lower)
    # Where both ends lie far out the difference is 0; the density times the width is right there.
    centre = (levels - means) * scales
    density = centre - log_scales.clamp_min(_LOG_SCALE_MIN) - 2.0 * F.softplus(centre)
    middle = torch.where(inner > 1e-5, torch.log(inner.clamp_min(1e-12)), density)
    first, last = F.logsigmoid(upper), -F.softplus(lower)
    return torch.where(levels == 0.0, first, torch.where(levels == 255.0, last, middle))


def gaussian_divergence(means: Tensor, log_variances: Tensor) -> Tensor:
    """Return KL(N(mean, variance) || N(0, 1)), elementwise (Kingma and Welling, arXiv 1312.6114,
    appendix B).
    """
    return 0.5 * (means.square() + log_variances.exp() - 1.0 - log_variances)


def uniform_prior(latents: int, size: int) -> Tensor:
    """Return log p of each of `size` indices of each latent, all alike: (latents, size)."""
    return torch.full((latents, size), -math.log(size))


def fitted_prior(counts: Tensor) -> Tensor:
    """Return log p of indices (latents, K) that were counted so often: each latent has a
    distribution of its own. Half is added to every count, so that none is impossible (Krichevsky
    and Trofimov, 1981).
    """
    raised = counts + 0.5
    return torch.log(raised / raised.sum(1, keepdim=True))


def log_prior(indices: Tensor, prior: Tensor) -> Tensor:
    """Return log p(z) of indices (B, latents, ...) under log p of each, (latents, K): (B,).

    Of an encoder that is sure of its indices -log p(z) is KL(q || p) (arXiv 1711.00937, section
    3.1).
    """
    by_latent = indices.transpose(0, 1).flatten(1)
    found = prior.gather(1, by_latent).view(indices.transpose(0, 1).shape)
    return found.transpose(0, 1).flatten(1).sum(1)


def multi_sample_bound(weights: Tensor) -> Tensor:
    """Return log (1/S sum_s w_s), (B,), of log weights (B, S): log p(x, z_s) - log q(z_s | x) of
    samples z_s from q (Burda et al., arXiv 1509.00519, eq. 8).
    """
    return torch.logsumexp(weights, 1) - math.log(weights.shape[1])


def vimco(weights: Tensor, log_q: Tensor) -> Tensor:
    """Return what has the gradient of the multi-sample bound, (B,), by VIMCO (Mnih and Rezende,
    arXiv 1602.06725, eq. 5 to 8).

    Log weights (B, S) pass gradients to p and q; `log_q` (B, S) is log q(z_s | x). Each sample is
    rewarded by how much better the bound is than with the mean of the others in its place.
    """
    samples = weights.shape[1]
    bound = multi_sample_bound(weights)
    known = weights.detach()
    others = (known.sum(1, keepdim=True) - known) / (samples - 1)  # geometric mean of the weights
    own = torch.eye(samples, dtype=torch.bool, device=weights.device)
    replaced = torch.where(own, others[:, :, None], known[:, None, :])  # (B, S, S)
    baselines = torch.logsumexp(replaced, 2) - math.log(samples)
    rewards = bound.detach()[:, None] - baselines
    return bound + (rewards * log_q).sum(1)
