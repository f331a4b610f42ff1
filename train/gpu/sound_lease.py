"""Train speech for some minutes, with all that a GPU gives.

    PYTHONPATH=. python3 train/gpu/sound_lease.py train/speech.toml /tmp/parcel --out $OUT \
        --minutes 5 2 2

takes a folder with `checkpoint` (as `slim` writes it, of the first stage), `sounds` and
`validation`, trains the first stage on from there, and the stages after it, for so many minutes
each. Each stage leaves its checkpoint in a folder of its name, and from the second on a model. The
clock says where in the recipe's schedule a step is (`lease`).
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lease import Lease, Span
from pack import CHECKPOINT, VALIDATION
from slim import load_slim
from sound_shelf import SoundShelf
from torch import Tensor

from vqcodec.errors import ModelCorruptError
from vqcodec.training.adversarial import AdversarialStage
from vqcodec.training.architectures import load_recipe
from vqcodec.training.codebooks import start_all
from vqcodec.training.config_speech import SpeechRecipe
from vqcodec.training.product import ProductStage
from vqcodec.training.run_speech import write_model
from vqcodec.training.sounds import Recordings, open_recordings
from vqcodec.training.speech import SpeechTransformStage
from vqcodec.training.speech_medium import SpeechMedium

SOUNDS = "sounds"
"""Folder of a parcel."""
_CODEBOOKS = "codebooks.safetensors"
_MODEL = "model.safetensors"
_FACTOR_MAX = 2.0
_RESERVE = 8.0
"""Seconds of each stage kept for its last validation and checkpoint."""


class ParcelMedium(SpeechMedium):
    """Crops lie on the device, drawn from one sequence of random numbers, whatever their step."""

    def __init__(
        self,
        recipe: SpeechRecipe,
        recordings: Recordings,
        validation: Sequence[Path],
        device: torch.device,
    ) -> None:
        super().__init__(recipe, recordings, validation, device)
        self._levels = recipe.data.levels
        self._rng = np.random.default_rng([recipe.seed, 10])
        self._shelf = SoundShelf(recordings, recipe.data.speeds, device)

    def batch(self, count: int, length: int, rng: np.random.Generator) -> Tensor:
        """Draw samples on the device: float32 (count, length)."""
        numbers = np.array([self._recordings.draw(self._rng) for _ in range(count)])
        return self._shelf.crops(numbers, length, self._levels, self._rng)


def enlarged(recipe: SpeechRecipe, batch: int) -> SpeechRecipe:
    """Return the recipe with batches of another size, and rates that fit them."""
    changed: dict[str, Any] = {}
    for name, settings in recipe.train.stages.items():
        factor = min(_FACTOR_MAX, (batch / settings.batch) ** 0.5)
        rate = settings.learning_rate * factor
        changed[name] = replace(settings, batch=batch, learning_rate=rate)
    return replace(recipe, train=replace(recipe.train, **changed))


def stages_of(
    recipe: SpeechRecipe, medium: SpeechMedium, parcel: Path, device: torch.device
) -> Iterator[SpeechTransformStage | ProductStage | AdversarialStage]:
    """Yield the stages, each made of what the one before has trained by then."""
    yield SpeechTransformStage(recipe, medium, device)
    settings = recipe.train.product
    (parcel / _CODEBOOKS).unlink(missing_ok=True)
    began = time.monotonic()
    codebooks = start_all(
        recipe,
        settings,
        medium,
        None,
        parcel / _CODEBOOKS,
        lambda done: print(f"codebooks of {done} qualities", flush=True),
    )
    print(f"codebooks: {time.monotonic() - began:.0f} s", flush=True)
    product = ProductStage(recipe, settings, medium, codebooks, device)
    yield product
    if recipe.train.adversarial:
        codebooks = product.codebooks
        yield AdversarialStage(recipe, recipe.train.adversarial, medium, codebooks, device)


def train(options: argparse.Namespace, given: SpeechRecipe) -> None:
    """Train a stage for each number of minutes, and write the models of those with codebooks.

    Raises: ModelCorruptError or ValueError if the parcel is not whole or of another recipe;
    FloatingPointError when training diverges.
    """
    device, parcel = torch.device(options.device), options.parcel
    torch.manual_seed(given.seed)
    began = time.monotonic()
    recipe = enlarged(given, options.batch)
    recordings, held_out = open_recordings(
        [parcel / SOUNDS], parcel / VALIDATION, recipe.data, parcel
    )
    medium = ParcelMedium(recipe, recordings, held_out, device)
    manifest, weights = load_slim(parcel / CHECKPOINT)
    medium.networks.load_state_dict(weights)
    print(f"ready after {time.monotonic() - began:.0f} s", flush=True)
    start, end = options.start or manifest.step, 0.0
    stages = stages_of(recipe, medium, parcel, device)
    for minutes, stage in zip(options.minutes, stages, strict=False):
        end += 60.0 * minutes
        seconds = end - (time.monotonic() - began) - _RESERVE
        span = Span(start=start, until=stage.schedule.steps, seconds=seconds, steps=options.steps)
        folder = options.out / stage.name
        lease = Lease(stage, span, 1.0, parcel, folder, device)
        step = lease.run()
        print(f"{stage.name}: steps {start} to {step}, {lease.steps} taken", flush=True)
        start = 0
        if isinstance(stage, AdversarialStage):
            stage.settle()
        if not isinstance(stage, SpeechTransformStage):
            model = write_model(recipe, medium, stage.codebooks)
            (folder / _MODEL).write_bytes(model)


def main() -> None:
    """Train as the command line says."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("recipe", type=Path)
    parser.add_argument("parcel", type=Path, help="folder with all that was packed")
    parser.add_argument("--out", type=Path, required=True, help="folder for what the stages leave")
    parser.add_argument(
        "--minutes", type=float, nargs="+", required=True, help="time for everything, by stage"
    )
    parser.add_argument("--start", type=int, help="step that the first stage counts from")
    parser.add_argument("--steps", type=int, help="take at most so many steps, as in a rehearsal")
    parser.add_argument("--batch", type=int, default=48, help="crops per step")
    parser.add_argument("--device", default="cuda")
    options = parser.parse_args()
    given = load_recipe(options.recipe)
    if not isinstance(given, SpeechRecipe):
        parser.error(f"{options.recipe} is not a recipe of speech")
    torch.backends.cudnn.benchmark = True
    try:
        train(options, given)
    except (OSError, ModelCorruptError, ValueError, FloatingPointError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
