"""Mixed precision: bfloat16 where it is faster, float32 where it would be emulated."""

from __future__ import annotations

import torch

from vqcodec.engines.precision import lower_dtype


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """Return the context in which networks train; `precision` is that of the recipe."""
    return torch.autocast(
        device.type, torch.bfloat16, enabled=lower_dtype(device, precision) == torch.bfloat16
    )
