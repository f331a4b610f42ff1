"""Units and ranges of the priors' integers, as format/SPEC.md, section "Prior", fixes them.

A number with `FRACTION_X` fractional bits is stored as the integer x * 2^FRACTION_X.
"""

from __future__ import annotations

EXACT_BOUND = 1 << 24
"""Every partial sum of a layer stays below this: the integers that float32 holds exactly."""
WEIGHT_MAX = 127
ACTIVATION_MAX = 127
"""Activations are integers 0..127 (after ReLU), embeddings -127..127."""
SHIFT_MAX = 20

FRACTION_EMBEDDING = 5
FRACTION_ACTIVATION = 4
FRACTION_STREAM = 8
FRACTION_LOGIT = 4
"""Logits are in units of 1/16 bit."""
STREAM_MAX = (1 << 15) - 1
"""The residual stream is clamped to -32767..32767."""

FRACTION_LATENT = 4
"""Fractional bits of what the latent prior reads of latents, as of its activations."""
FRACTION_SCALE = 4
SCALE_FIRST = -4 << FRACTION_SCALE
SCALE_COUNT = 1024
"""A scale is one of 1024, by the network's output in units of 1/16 from -4 on."""
MEAN_MAX = (1 << 15) - 1
"""Means are clamped to -32767..32767, in units of 1/256."""
FRACTION_PRECISION = 16
PRECISION_MAX = (1 << 21) - 1
"""Precisions are in units of 2^-16 bits per squared distance of 1."""

GROUP_SIZES = (1, 2, 4, 8)
"""Channels that a group of a product codebook may have."""
FRACTION_VECTOR = 5
"""Codewords are multiples of 1/32, -127.97 to 127.97."""
VECTOR_MAX = (1 << 12) - 1
BIAS_MAX = (1 << 12) - 1
LOGITS_MAX = 1 << 17
"""Most logits of a block at a position: what a decoder holds of a step at a time grows with
them.
"""
