"""`vqcodec train`."""

from __future__ import annotations

import math
import sys
import time
from contextlib import nullcontext
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from vqcodec import processors
from vqcodec.cli.options import Compute, compute_options
from vqcodec.cli.process import prepare
from vqcodec.cli.terminal import echo, warnings_shown
from vqcodec.training.shipped import find_recipe, recipe_names

_LINE_SECONDS = 60.0
"""Between lines of progress where stderr is no terminal."""


class _Recipe(click.ParamType[Path]):
    """The name of a recipe that is shipped, or a file."""

    name = "recipe"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """Find the file."""
        try:
            return find_recipe(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Complete names, and files as the shell does."""
        names = [name for name in recipe_names() if name.startswith(incomplete)]
        return [*map(CompletionItem, names), CompletionItem(incomplete, type="file")]


@click.command("train")
@click.argument("recipe", metavar="RECIPE", type=_Recipe())
@click.option(
    "--data",
    metavar="DIR",
    required=True,
    multiple=True,
    type=click.Path(exists=True, file_okay=False),
    help="Folder of pictures, or of sound for a model of speech, to train on; may be repeated.",
)
@click.option(
    "--out",
    metavar="MODEL.safetensors",
    required=True,
    type=click.Path(dir_okay=False, readable=False),
    help="The model file to write.",
)
@click.option(
    "--validation",
    metavar="DIR",
    type=click.Path(exists=True, file_okay=False),
    help="Folder of those to validate on; default: some of --data are held out.",
)
@click.option(
    "--run",
    metavar="DIR",
    type=click.Path(file_okay=False),
    help="Folder of checkpoints and logs; default: MODEL.run beside MODEL.",
)
@click.option("--resume", is_flag=True, help="Continue from the run's checkpoints.")
@click.option("-f", "--force", is_flag=True, help="Overwrite an existing model file.")
@click.option(
    "--set", "settings", metavar="a.b=c", multiple=True, help="Override a setting of the recipe."
)
@compute_options("auto")
def command(
    recipe: Path,
    data: tuple[str, ...],
    out: str,
    validation: str | None,
    run: str | None,
    resume: bool,
    force: bool,
    settings: tuple[str, ...],
    compute: Compute,
) -> int:
    """Train a model by a recipe on a folder of pictures or of sound.

    RECIPE is a .toml file, or the name of one that is shipped: 'custom' makes the default model
    of pictures your own, by pictures of one kind; 'small' trains a small model from nothing.

    Ctrl-C writes a checkpoint; --resume goes on exactly where it stopped. The log is
    log.jsonl in the run's folder, and TensorBoard files where it is installed. Several
    GPUs train together under torchrun -m vqcodec train ..., with a process for each.
    """
    if not out.endswith(".safetensors"):
        raise click.UsageError("--out must end in .safetensors")
    if Path(out).exists() and not force:
        raise click.UsageError(f"{out} exists, and files made with it need it; -f overwrites it")
    overrides = dict(_split(setting) for setting in settings)
    folder = Path(run) if run else Path(out).with_suffix(".run")
    if not resume and any(folder.glob("*.safetensors")):
        raise click.UsageError(
            f"{folder} holds a run; --resume continues it, --run starts elsewhere"
        )

    if not find_spec("torch"):
        raise click.UsageError("training needs torch: pip install 'vqcodec[train]'")
    prepare(compute.threads)
    processors.load_torch()
    import torch

    from vqcodec.engines.devices import pick_device
    from vqcodec.training.architectures import load_recipe
    from vqcodec.training.distributed import joined, rank
    from vqcodec.training.loop import InterruptedRunError
    from vqcodec.training.run import train

    parsed = load_recipe(recipe, overrides)
    reporter = _Reporter()
    with joined(torch.device(pick_device(compute.device))) as place:
        first = rank() == 0
        try:
            with warnings_shown(", ".join(data)) if first else nullcontext():
                written = train(
                    parsed,
                    data=[Path(folder) for folder in data],
                    validation=Path(validation) if validation else None,
                    out=Path(out),
                    run=folder,
                    resume=resume,
                    device=place,
                    reporter=reporter,
                )
            stopped = False
        except InterruptedRunError:
            stopped = True
    reporter.close()
    if first and stopped:
        echo(f"vqcodec: stopped; checkpoint in {folder}, --resume continues", err=True)
    elif first and written != Path(out):
        echo(f"{written}: the recipe's stages have ended; none of them makes a model")
    elif first:
        echo(f"{out}: {Path(out).stat().st_size} bytes; use it with --model {out}")
    return 130 if stopped else 0


class _Reporter:
    """A progress bar per stage, or lines where nobody watches, and a line per validation."""

    def __init__(self) -> None:
        self._shown: _Bar | _Lines | None = None

    def start(self, stage: str, step: int, steps: int) -> None:
        self.close()
        self._shown = (_Bar if sys.stderr.isatty() else _Lines)(stage, step, steps)

    def step(self, stage: str, step: int, metrics: dict[str, float]) -> None:
        if self._shown is not None:
            shown = {k: f"{v:.3f}" for k, v in metrics.items() if k in ("loss", "psnr", "bits")}
            self._shown.step(step, shown)

    def validation(self, stage: str, step: int, metrics: dict[str, float]) -> None:
        figures = ", ".join(f"{name} {value:.3f}" for name, value in metrics.items())
        echo(f"{stage} step {step}: {figures}", err=True)

    def close(self) -> None:
        if self._shown is not None:
            self._shown.close()


class _Bar:
    """A progress bar of a stage."""

    def __init__(self, stage: str, step: int, steps: int) -> None:
        from tqdm import tqdm

        self._bar = tqdm(total=steps, initial=step, desc=stage)

    def step(self, step: int, shown: dict[str, str]) -> None:
        self._bar.set_postfix(shown, refresh=False)
        self._bar.update(1)

    def close(self) -> None:
        self._bar.close()


class _Lines:
    """A line a minute."""

    def __init__(self, stage: str, step: int, steps: int) -> None:
        self._stage, self._first, self._steps = stage, step, steps
        self._begun = self._told = time.monotonic()

    def step(self, step: int, shown: dict[str, str]) -> None:
        now = time.monotonic()
        if now - self._told < _LINE_SECONDS:
            return
        self._told = now
        each = (now - self._begun) / (step - self._first)
        left = math.ceil(each * (self._steps - step) / 60.0)
        figures = "".join(f", {name} {value}" for name, value in shown.items())
        echo(
            f"{self._stage}: step {step} of {self._steps}, {each:.2f} s each, "
            f"{left} min left{figures}",
            err=True,
        )

    def close(self) -> None:
        pass


def _split(setting: str) -> tuple[str, str]:
    key, equals, value = setting.partition("=")
    if not equals or not key:
        raise click.UsageError(f"--set {setting}: expected a.b=c")
    return key, value
