"""`vqcodec sample`."""

from __future__ import annotations

import re

import click

from vqcodec.batch.job import STREAM, Job
from vqcodec.cli.options import Compute, compute_options, max_pixels_option
from vqcodec.cli.process import prepare
from vqcodec.cli.progress import bar
from vqcodec.cli.terminal import echo, warnings_shown


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
    type=click.Path(allow_dash=True),
    help="Write the pictures here, in rows; '-' is stdout, as PNG.",
)
@click.option("-f", "--force", is_flag=True, help="Overwrite an existing file.")
@click.option(
    "-n",
    "--count",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="How many pictures.",
)
@click.option(
    "--size",
    type=_Size(),
    help="Width and height in pixels. Default: 128x128, or the model's largest.",
)
@click.option("-q", "--quality", type=float, help="As for compress.")
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="A seed draws the same pictures on every machine.",
)
@click.option(
    "--temperature",
    type=float,
    default=1.0,
    show_default=True,
    help="Below 1 pictures are likelier and more alike, above 1 wilder.",
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
@compute_options()
@max_pixels_option
def command(
    model: str | None,
    output: str,
    force: bool,
    count: int,
    size: tuple[int, int] | None,
    quality: float | None,
    seed: int,
    temperature: float,
    like: str | None,
    rows: int | None,
    compute: Compute,
    max_pixels: int,
) -> None:
    """Draw pictures that a model makes by itself.

    Indices are drawn one after the other as the model's prior expects them, and become pixels as
    those of a file do. NAME or FILE is the model, by default that of compress.
    """
    import numpy as np

    from vqcodec.image.picture import Picture
    from vqcodec.image.sampling import sample, sheet
    from vqcodec.image.writing import format_of, write_picture

    format_name = format_of(output)
    prepare(compute.threads)
    with warnings_shown(like or "samples"), bar("drawing") as progress:
        pictures = sample(
            model,
            count=count,
            size=size,
            quality=quality,
            seed=seed,
            temperature=temperature,
            like=like,
            rows=rows,
            max_pixels=max_pixels,
            device=compute.device,
            progress=progress,
        )
    drawn = Picture(pixels=np.asarray(sheet(pictures)))
    Job(STREAM, output, overwrite=force).write(write_picture(drawn, format_name))
    if output != STREAM:
        width, height = pictures[0].size
        echo(f"{output}: {count} x {width}x{height} pixels")
