"""Samples as one of 256 classes: the mu-law companding of ITU-T G.711, as WaveNet has it.

arXiv 1609.03499, section 2.2: f(x) = sign(x) ln(1 + mu |x|) / ln(1 + mu) with mu = 255, rounded.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

CLASSES = 256
SILENCE = CLASSES // 2
"""The class of 0."""
_MU = CLASSES - 1.0


def classes_of(samples: Tensor) -> Tensor:
    """Map samples in -1..1, what is beyond being cut, to classes int64 0..255."""
    cut = samples.clamp(-1.0, 1.0)
    companded = cut.sign() * torch.log1p(_MU * cut.abs()) / math.log1p(_MU)
    return (companded * SILENCE + SILENCE).round().clamp_max(_MU).long()


def samples_of(classes: Tensor) -> Tensor:
    """Map classes to float32 samples in -1..1."""
    companded = (classes.float() - SILENCE) / SILENCE
    return companded.sign() * torch.expm1(companded.abs() * math.log1p(_MU)) / _MU
