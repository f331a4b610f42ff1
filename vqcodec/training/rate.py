"""The rate of latents that will be rounded, as a smooth function of what they are before.

Noise of the width of a rounding step is the usual stand-in: `bits(latents + noise, ...)`. It
charges silent latents too much: one that is always 0 costs .15 bit under noise and nothing when
rounded, a floor of .38 bits per pixel for 640 latents in each block of 16x16. Two candidates,
the integers below and above, know what silence costs.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from vqcodec.networks.latent_prior import bits


def candidate_bits(latents: Tensor, means: Tensor, scales: Tensor, temperature: float) -> Tensor:
    """Cost in bits of latents, elementwise, between those of the integers below and above.

    That above counts by p, which rises from 0 at the integer below to 1 at that above: a
    sigmoid around the middle, the steeper the lower the temperature. At integers the cost is
    exactly that of coding them. Gradients reach the latents through p.
    """
    below = latents.detach().floor()
    part = latents - below
    # A normalised sigmoid, written with the hyperbolic tangent, which is the same curve.
    reach = math.tanh(0.25 / temperature)
    above = 0.5 + torch.tanh((part - 0.5) / (2.0 * temperature)) / (2.0 * reach)
    return torch.lerp(bits(below, means, scales), bits(below + 1.0, means, scales), above)
