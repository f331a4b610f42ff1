"""What can be trained: a row for each architecture, loaded when it is used."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from vqcodec.tables import from_table
from vqcodec.training.config import PhotoRecipe, Recipe
from vqcodec.training.config_clip import ClipRecipe
from vqcodec.training.config_custom import CustomRecipe
from vqcodec.training.config_deep import DeepPhotoRecipe
from vqcodec.training.config_sound_vqvae import SoundVqVaeRecipe, WaveNetDecoderRecipe
from vqcodec.training.config_speech import SpeechRecipe
from vqcodec.training.config_two_stage import TwoStageRecipe
from vqcodec.training.start import Run

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

AnyRecipe = (
    Recipe
    | TwoStageRecipe
    | ClipRecipe
    | PhotoRecipe
    | DeepPhotoRecipe
    | CustomRecipe
    | SpeechRecipe
    | SoundVqVaeRecipe
    | WaveNetDecoderRecipe
)

_ROWS = {
    "vqvae-pixelcnn-1": "vqcodec.training.run_vqvae",
    "vqvae-two-stage-1": "vqcodec.training.run_two_stage",
    "vqvae-clip-1": "vqcodec.training.run_clip",
    "photo-1": "vqcodec.training.run_photo",
    "photo-2": "vqcodec.training.run_deep_photo",
    "custom": "vqcodec.training.run_custom",
    "speech-1": "vqcodec.training.run_speech",
    "vqvae-wavenet-1": "vqcodec.training.run_sound_vqvae",
    "wavenet-decoder-1": "vqcodec.training.run_wavenet_decoder",
}
"""For each architecture the module with the dataclass of its recipes, `RECIPE`, and its stages,
`train_stages`."""


def load_recipe(path: Path, overrides: Mapping[str, str] | None = None) -> AnyRecipe:
    """Read a recipe. Its key `architecture` says what it makes.

    `overrides` maps dotted keys to TOML values, as in {"train.prior.steps": "9"}.

    Raises: ValueError for anything that is not a recipe, naming the key.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: not TOML: {error}") from error
    for dotted, text in (overrides or {}).items():
        _override(table, dotted, text)
    recipe: AnyRecipe = from_table(_row(table.get("architecture")).RECIPE, table)
    return recipe


def stages_of(recipe: AnyRecipe) -> Callable[[AnyRecipe, Run], bytes | Path]:
    """Return what trains a recipe: it returns a model's file; or, of a recipe whose stages make
    no model, the path of the last checkpoint.
    """
    stages: Callable[[AnyRecipe, Run], bytes | Path] = _row(recipe.architecture).train_stages
    return stages


def _row(architecture: object) -> Any:
    if not isinstance(architecture, str) or architecture not in _ROWS:
        known = ", ".join(map(repr, _ROWS))
        found = "missing" if architecture is None else repr(architecture)
        raise ValueError(f"architecture is {found}; it must be one of {known}")
    return import_module(_ROWS[architecture])


def _override(table: dict[str, Any], dotted: str, text: str) -> None:
    """Set the value of a dotted key, a text where it is not TOML."""
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text
    *parents, leaf = dotted.split(".")
    inner = table
    for parent in parents:
        inner = inner.setdefault(parent, {})
        if not isinstance(inner, dict):
            raise ValueError(f"{dotted}: {parent} is not a table")
    inner[leaf] = value
