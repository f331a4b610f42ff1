"""Weights of photo-2 and of speech-1 between runs, small enough to be kept with the project.

A checkpoint holds float32 weights, moments and averages, 340 MB of photo-2. What another run
begins with, with fresh moments, is the weights alone: two files in a folder,
`analysis.safetensors` with the gains and `synthesis.safetensors` with the prior, of photo-2 about
15 MiB each. Convolutions inside
blocks, most of the weights, are integers -127..127 with a scale for each output channel
(`NAME` int8, `NAME.scale` float32); everything else is float16, gains float32.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor, nn

from vqcodec.errors import ModelCorruptError
from vqcodec.storage import write_whole

_FILES = {"analysis": ("analysis.", "gains."), "synthesis": ("synthesis.", "prior.")}
_SCALE = ".scale"
_LEVELS = 127


def read_average(checkpoint: Path) -> dict[str, Tensor]:
    """Return the averaged weights of a checkpoint of the training loop, or its weights if it has
    no average.

    Raises ModelCorruptError if it is no checkpoint.
    """
    try:
        with safe_open(checkpoint, framework="pt") as file:
            names = list(file.keys())
            kept = [name for name in names if name.startswith("average.")]
            kept = kept or [name for name in names if name.startswith("module.")]
            tensors = {name.partition(".")[2]: file.get_tensor(name) for name in kept}
    except SafetensorError as error:
        raise ModelCorruptError(f"{checkpoint}: not a checkpoint: {error}") from error
    if not tensors:
        raise ModelCorruptError(f"{checkpoint}: not a checkpoint of a training run")
    return tensors


def save_weights(weights: Mapping[str, Tensor], folder: Path) -> None:
    """Write the weights, by their names in `Photo` or `Speech`, to the folder."""
    for name, prefixes in _FILES.items():
        tensors: dict[str, Tensor] = {}
        for key, value in weights.items():
            if key.startswith(prefixes):
                tensors |= _packed(key, value.detach().cpu().float())
        write_whole(folder / f"{name}.safetensors", save(tensors), overwrite=True)


def holds_weights(folder: Path) -> bool:
    """Tell whether a path is a folder of weights, and not a model's name or file."""
    return all((folder / f"{name}.safetensors").is_file() for name in _FILES)


def load_weights(module: nn.Module, folder: Path) -> None:
    """Read weights of a module of the same parts from the folder.

    Raises ModelCorruptError if they are not there or those of other networks.
    """
    weights: dict[str, Tensor] = {}
    try:
        for name in _FILES:
            tensors = load_file(folder / f"{name}.safetensors")
            weights |= {key: _unpacked(key, tensors) for key in tensors if not _is_scale(key)}
        module.load_state_dict(weights)
    except (OSError, SafetensorError, RuntimeError, KeyError, IndexError) as error:
        raise ModelCorruptError(f"{folder}: no weights for this recipe: {error}") from error


def _is_scale(key: str) -> bool:
    return key.endswith(_SCALE)


def _packed(key: str, value: Tensor) -> dict[str, Tensor]:
    """Return what stands for a tensor in the file."""
    if key.endswith((".first.weight", ".second.weight")) and value.dim() == 4:
        scale = (value.abs().amax((1, 2, 3)) / _LEVELS).clamp_min(torch.finfo(torch.float32).tiny)
        levels = (value / scale[:, None, None, None]).round()
        return {key: levels.to(torch.int8).contiguous(), key + _SCALE: scale}
    return {key: (value if key.startswith("gains.") else value.half()).contiguous()}


def _unpacked(key: str, tensors: Mapping[str, Tensor]) -> Tensor:
    """Undo `_packed`."""
    value = tensors[key].float()
    if tensors[key].dtype == torch.int8:
        value = value * tensors[key + _SCALE][:, None, None, None]
    return value
