"""Weights of photo-2 and of speech-1 between runs, small enough to be kept with the project.

A checkpoint holds float32 weights, moments and averages, 340 MB of photo-2. What another run
begins with, with fresh moments, is the weights alone: files in a folder,
`analysis.safetensors` with the gains and `synthesis.safetensors` with the prior, of photo-2 about
15 MiB each, and from `product` on `codebooks.safetensors`. Convolutions inside
blocks, most of the weights, are integers -127..127 with a scale for each output channel
(`NAME` int8, `NAME.scale` float32). What scales others is float32: gains, codewords, vectors of
numbers such as biases and units of integers. Everything else is float16.
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

_FILES = {
    "analysis": ("analysis.", "gains."),
    "synthesis": ("synthesis.", "prior."),
    "codebooks": ("codebooks.",),
}
_LAST = "codebooks"
"""The file that there is only once there are codebooks."""
_NETWORKS = "networks."
"""What names of networks begin with in checkpoints that hold codebooks too."""
_SCALE = ".scale"
_LEVELS = 127


def read_average(checkpoint: Path) -> dict[str, Tensor]:
    """Return the averaged weights of a checkpoint of the training loop, or its weights if it has
    no average, with what does not learn: named `analysis.`, `synthesis.`, `gains.`, `prior.` and
    `codebooks.`.

    Raises ModelCorruptError if it is no checkpoint.
    """
    parts: dict[str, dict[str, Tensor]] = {"module": {}, "average": {}}
    try:
        with safe_open(checkpoint, framework="pt") as file:
            for full in file.keys():  # noqa: SIM118
                part, _, name = full.partition(".")
                if part in parts:
                    parts[part][name.removeprefix(_NETWORKS)] = file.get_tensor(full)
    except SafetensorError as error:
        raise ModelCorruptError(f"{checkpoint}: not a checkpoint: {error}") from error
    if not parts["module"]:
        raise ModelCorruptError(f"{checkpoint}: not a checkpoint of a training run")
    return parts["module"] | parts["average"]


def save_weights(weights: Mapping[str, Tensor], folder: Path) -> None:
    """Write the weights, named as by `read_average`, to the folder."""
    for name, prefixes in _FILES.items():
        tensors: dict[str, Tensor] = {}
        for key, value in weights.items():
            if key.startswith(prefixes):
                tensors |= _packed(key, value.detach().cpu())
        path = folder / f"{name}.safetensors"
        if tensors or name != _LAST:
            write_whole(path, save(tensors), overwrite=True)
        else:
            path.unlink(missing_ok=True)


def holds_weights(folder: Path) -> bool:
    """Tell whether a path is a folder of weights, and not a model's name or file."""
    return all((folder / f"{name}.safetensors").is_file() for name in _FILES if name != _LAST)


def read_weights(folder: Path) -> dict[str, Tensor]:
    """Undo `save_weights`. Raises ModelCorruptError if there are no weights."""
    weights: dict[str, Tensor] = {}
    try:
        for name in _FILES:
            path = folder / f"{name}.safetensors"
            if name == _LAST and not path.exists():
                continue
            tensors = load_file(path)
            weights |= {key: _unpacked(key, tensors) for key in tensors if not _is_scale(key)}
    except (OSError, SafetensorError, KeyError, IndexError) as error:
        raise ModelCorruptError(f"{folder}: no weights: {error}") from error
    return weights


def load_weights(module: nn.Module, folder: Path) -> None:
    """Read weights of a module of the same networks from the folder.

    Raises ModelCorruptError if they are not there or those of other networks.
    """
    weights = read_weights(folder)
    try:
        module.load_state_dict(
            {key: value for key, value in weights.items() if not key.startswith(_FILES[_LAST])}
        )
    except RuntimeError as error:
        raise ModelCorruptError(f"{folder}: no weights for this recipe: {error}") from error


def is_delicate(key: str, value: Tensor) -> bool:
    """Tell whether a tensor must keep all its digits: half of them would change what others mean,
    or it holds whole numbers.
    """
    scales = value.dim() <= 1 or key.startswith("gains.") or key.endswith(".vectors")
    return scales or not value.is_floating_point()


def _is_scale(key: str) -> bool:
    return key.endswith(_SCALE)


def _packed(key: str, value: Tensor) -> dict[str, Tensor]:
    """Return what stands for a tensor in the file."""
    if key.endswith((".first.weight", ".second.weight")) and value.dim() == 4:
        scale = (value.abs().amax((1, 2, 3)) / _LEVELS).clamp_min(torch.finfo(torch.float32).tiny)
        levels = (value / scale[:, None, None, None]).round()
        return {key: levels.to(torch.int8).contiguous(), key + _SCALE: scale}
    return {key: (value if is_delicate(key, value) else value.half()).contiguous()}


def _unpacked(key: str, tensors: Mapping[str, Tensor]) -> Tensor:
    """Undo `_packed`."""
    value = tensors[key]
    if key + _SCALE in tensors:
        return value.float() * tensors[key + _SCALE][:, None, None, None]
    return value.float() if value.is_floating_point() else value
