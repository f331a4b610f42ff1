"""`vqcodec sample`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePath
from typing import IO, Any

import click

from vqcodec.batch.job import STREAM, Job, read_input
from vqcodec.cli.options import Compute, compute_options, max_pixels_option
from vqcodec.cli.process import prepare
from vqcodec.cli.progress import bar
from vqcodec.cli.terminal import echo, warn, warnings_shown
from vqcodec.container import Medium
from vqcodec.counting import counted
from vqcodec.errors import PictureError
from vqcodec.registry.store import find

_GAP_SECONDS = 0.5
"""Of silence, between samples of sound."""


class _Size(click.ParamType):
    name = "WxH"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int]:
        found = re.fullmatch(r"(\d{1,9})[xX](\d{1,9})", str(value))
        if found is None:
            self.fail(f"{value!r} is no width and height in pixels like 128x96", param, ctx)
        return int(found[1]), int(found[2])


@click.command("sample")
@click.argument("model", metavar="[NAME|FILE]", required=False)
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    required=True,
    type=click.Path(allow_dash=True, readable=False),
    help="Write the pictures here, in rows, or the sound, one after the other; '-' is stdout, as "
    "PNG or WAV.",
)
@click.option("-f", "--force", is_flag=True, help="Overwrite an existing file.")
@click.option(
    "-n",
    "--count",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="How many pictures, or pieces of sound.",
)
@click.option(
    "--size",
    type=_Size(),
    help="Width and height in pixels. Default: 128x128, or the model's largest.",
)
@click.option(
    "--seconds",
    type=click.FloatRange(min=0.0, min_open=True),
    help="Of sound: how long. Default: 5.",
)
@click.option(
    "--speaker",
    metavar="NAME",
    help="Of sound: in whose voice, of those whom the model knows (`models show`). Default: the "
    "first one's.",
)
@click.option("-q", "--quality", type=float, help="As for compress.")
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="A seed draws the same on every machine.",
)
@click.option(
    "--temperature",
    type=float,
    default=1.0,
    show_default=True,
    help="Below 1 samples are likelier and more alike, above 1 wilder.",
)
@click.option(
    "--like",
    metavar="PICTURE",
    type=click.Path(exists=True, dir_okay=False),
    help="Keep the upper part of this picture, and draw the rest.",
)
@click.option(
    "--rows",
    type=click.IntRange(min=0),
    help="How many rows of indices of that picture are kept. Default: half.",
)
@click.option(
    "--label",
    metavar="NAME",
    help="Draw pictures of one class, of those that the model knows (`models show`).",
)
@compute_options()
@max_pixels_option
def command(
    model: str | None,
    output: str,
    force: bool,
    count: int,
    size: tuple[int, int] | None,
    seconds: float | None,
    speaker: str | None,
    quality: float | None,
    seed: int,
    temperature: float,
    like: str | None,
    rows: int | None,
    label: str | None,
    compute: Compute,
    max_pixels: int,
) -> None:
    """Draw pictures, or sound, that a model makes by itself.

    Indices are drawn one after the other as the model's prior expects them, and become pixels or
    samples as those of a file do. NAME or FILE is the model, by default that of compress for
    pictures.
    """
    known = find(model)
    of_sound = {"seconds": seconds, "speaker": speaker}
    of_pictures = {"size": size, "like": like, "rows": rows, "label": label}
    is_sound = known.medium is Medium.SOUND
    for name, value in (of_pictures if is_sound else of_sound).items():
        if value is not None:
            raise click.UsageError(f"--{name} is not for the model {known.name}")
    common = {
        "count": count,
        "quality": quality,
        "seed": seed,
        "temperature": temperature,
        "device": compute.device,
    }
    job = Job(STREAM, output, overwrite=force)
    prepare(compute.threads)
    if is_sound:
        told = _draw_sound(job, model, common, {k: v for k, v in of_sound.items() if v is not None})
    else:
        told = _draw_pictures(job, model, common, {**of_pictures, "max_pixels": max_pixels})
    if output != STREAM:
        echo(f"{output}: {count} x {told}")


def _draw_pictures(
    job: Job, model: str | None, common: Mapping[str, Any], own: Mapping[str, Any]
) -> str:
    """Write pictures, and return how large one is."""
    import numpy as np

    from vqcodec.image.picture import Picture
    from vqcodec.image.sampling import sample, sheet
    from vqcodec.image.writing import format_of, write_picture

    format_name = format_of(job.target)
    like = own["like"]
    with warnings_shown(like or "samples"), bar("drawing") as progress:
        try:
            given = {**own, "like": None if like is None else read_input(like)}
            pictures = sample(model, **common, **given, progress=progress)
        except PictureError as error:  # which only that picture has
            error.args = (f"{like}: {error}",)
            raise
    drawn = Picture(pixels=np.asarray(sheet(pictures)))
    job.write(write_picture(drawn, format_name))
    width, height = pictures[0].size
    return f"{width}x{height} pixels"


def _draw_sound(
    job: Job, model: str | None, common: Mapping[str, Any], own: Mapping[str, Any]
) -> str:
    """Write sound, and return how long one piece is."""
    import numpy as np

    from vqcodec.audio.sampling import sample_audio
    from vqcodec.audio.writing import require_format, write_sound

    suffix = ".wav" if job.target == STREAM else PurePath(job.target).suffix.lower()
    require_format(suffix)
    with bar("drawing") as progress:
        samples, rate = sample_audio(model, **common, **own, progress=progress)
    gap = round(_GAP_SECONDS * rate)
    sound = np.pad(samples, ((0, 0), (0, gap))).reshape(-1, 1)[:-gap]
    cut = 0

    def write(file: IO[bytes]) -> None:
        nonlocal cut
        cut = write_sound(file, suffix, [sound], rate=rate, channels=1)

    with warnings_shown(job.target):
        job.write_by(write)
    if cut:
        warn(job.target, f"cut at full scale: {counted(cut, 'sample')}")
    return counted(samples.shape[1] / rate, "second")
