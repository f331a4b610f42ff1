"""Devices that networks run on."""

from __future__ import annotations

from importlib.util import find_spec

from vqcodec import processors

DEVICES = ("cpu", "cuda", "mps", "auto")
TORCH_HINT = "pip install 'vqcodec[torch]'"


def pick_device(device: str) -> str:
    """Resolve the name of a device: 'cpu', 'cuda', 'mps', or 'auto' for the best there is.

    All but the first are torch's; 'auto' without torch is 'cpu'. Raises ValueError for one that
    is not there.
    """
    if device not in DEVICES:
        raise ValueError(f"device {device!r} is none of {', '.join(DEVICES)}")
    if device == "cpu":
        return device
    if not find_spec("torch"):
        if device == "auto":
            return "cpu"
        raise ValueError(f"device {device!r} needs torch: {TORCH_HINT}")
    processors.load_torch()
    import torch

    there = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    present = [name for name, is_there in there.items() if is_there]
    if device == "auto":
        return present[0]
    if device not in present:
        raise ValueError(
            f"device {device!r} is not available; this machine has: {', '.join(present)}"
        )
    return device
