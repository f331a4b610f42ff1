"""Mixed precision: bfloat16 where it is faster, float32 where it would be emulated."""

from __future__ import annotations

import torch


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """Return the context in which networks train; `precision` is that of the recipe."""
    return torch.autocast(
        device.type, torch.bfloat16, enabled=lower_dtype(device, precision) == torch.bfloat16
    )


def lower_dtype(device: torch.device, precision: str) -> torch.dtype:
    """Return the dtype of what need not be exact, bfloat16 or float32."""
    low = precision == "bfloat16" or (precision == "auto" and _has_bfloat16(device))
    return torch.bfloat16 if low else torch.float32


def _has_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    # No public question exists for processors; without an answer float32 is safe.
    names = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    questions = [getattr(torch.cpu, name, None) for name in names]
    return device.type == "cpu" and any(bool(ask()) for ask in questions if ask is not None)
