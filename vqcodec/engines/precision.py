"""Precisions of torch: float32 whatever the program around asked for, and bfloat16."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

_backends: Any = torch.backends
# Since torch 2.9 each operation has a setting of its own, and that is what counts. The older
# settings are put with it, as torch refuses to work where the two say different things.
_OPERATIONS: tuple[Any, ...] = (
    (
        _backends.cuda.matmul,
        _backends.cudnn.conv,
        _backends.cudnn.rnn,
        _backends.mkldnn.matmul,
        _backends.mkldnn.conv,
    )
    if hasattr(_backends, "fp32_precision")
    else ()
)


@contextmanager
def full_precision() -> Iterator[None]:
    """Compute float32 products and convolutions in float32: no TF32, bfloat16 or autocast."""
    each = [operation.fp32_precision for operation in _OPERATIONS]
    try:
        matmul: str | None = torch.get_float32_matmul_precision()
    except RuntimeError:  # the program around uses the settings of operations alone
        matmul = None
    try:
        convolution: bool | None = torch.backends.cudnn.allow_tf32
    except RuntimeError:
        convolution = None
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.allow_tf32 = False
    for operation in _OPERATIONS:
        operation.fp32_precision = "ieee"
    try:
        with torch.autocast("cpu", enabled=False), torch.autocast("cuda", enabled=False):
            yield
    finally:
        if matmul is not None:
            torch.set_float32_matmul_precision(matmul)
        if convolution is not None:
            torch.backends.cudnn.allow_tf32 = convolution
        for operation, precision in zip(_OPERATIONS, each, strict=True):
            operation.fp32_precision = precision


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
