"""Time steps of training on a GPU, with networks of random weights and crops of noise.

    PYTHONPATH=. python3 train/gpu/probe.py train/photo-2.toml --batches 32 48 96

Prints seconds per step, with and without CUDA graphs, for the stages that can have them: all but
`product`.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from graphs import TransformSteps
from torch import Tensor

from vqcodec.engines.precision import lower_dtype
from vqcodec.training.architectures import load_recipe
from vqcodec.training.config import DataConfig
from vqcodec.training.config_deep import DeepPhotoRecipe, DeepTransformTraining
from vqcodec.training.data import Pictures
from vqcodec.training.deep import DeepTransformStage
from vqcodec.training.deep_medium import DeepPhotoMedium
from vqcodec.training.exact import to_integers
from vqcodec.training.growth import blank
from vqcodec.training.optimise import Optimisers

_CALIBRATION = 8
"""Crops."""


def steps_of(
    recipe: DeepPhotoRecipe, name: str, device: torch.device, crops: Tensor
) -> TransformSteps:
    """Return what takes steps of a stage that is not `product`."""
    settings = recipe.train.stages[name]
    assert isinstance(settings, DeepTransformTraining)
    networks = blank(recipe.transform, recipe.latent_prior, lower_dtype(device, "auto"))
    reals = name == "transform"
    made = networks if reals else to_integers(recipe.transform, networks, crops[:_CALIBRATION])
    unread = Pictures([Path("none")], DataConfig())
    medium = DeepPhotoMedium(recipe, settings, made, unread, [], [], device)
    settings = replace(settings, decoder_steps=0)
    stage = DeepTransformStage(name, settings, 0, medium, device)
    return TransformSteps(stage, Optimisers(stage.module, settings), device)


def seconds(take: Callable[[], object], device: torch.device, count: int) -> float:
    """Return the time of a call, after a few."""
    for _ in range(6):
        take()
    _wait(device)
    began = time.perf_counter()
    for _ in range(count):
        take()
    _wait(device)
    return (time.perf_counter() - began) / count


def main() -> None:
    """Time as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--batches", type=int, nargs="+", default=[48])
    parser.add_argument("--count", type=int, default=20, help="steps to time")
    parser.add_argument("--device", default="cuda")
    options = parser.parse_args()
    recipe = load_recipe(options.recipe)
    if not isinstance(recipe, DeepPhotoRecipe):
        sys.exit(f"{options.recipe} is not a recipe of photo-2")
    torch.backends.cudnn.benchmark = True
    device = torch.device(options.device)
    for name, settings in recipe.train.stages.items():
        if not isinstance(settings, DeepTransformTraining):
            continue
        for batch in options.batches:
            shape = (batch, 3, settings.crop, settings.crop)
            noise = torch.randint(256, shape, dtype=torch.uint8)
            crops = noise.to(device).contiguous(memory_format=torch.channels_last)
            steps = steps_of(recipe, name, device, noise)
            for graphs in (False, True) if device.type == "cuda" else (False,):
                steps.use_graphs(graphs)
                last = settings.steps - 1
                took = seconds(lambda: steps.take(crops, last, 1e-6), device, options.count)  # noqa: B023
                print(f"{name}, {batch} crops, graphs {graphs}: {took:.4f} s a step", flush=True)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


if __name__ == "__main__":
    main()
