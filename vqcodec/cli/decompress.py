"""`vqcodec decompress`."""

from __future__ import annotations

from pathlib import PurePath

import click

from vqcodec.batch.job import STREAM
from vqcodec.batch.places import is_stdout
from vqcodec.cli.options import (
    Compute,
    Placing,
    Running,
    compute_options,
    inputs_argument,
    max_pixels_option,
    model_option,
    placing_options,
    running_options,
)
from vqcodec.cli.running import EXIT_SALVAGED, run_all
from vqcodec.cli.terminal import echo
from vqcodec.image.jobs import Decompression, change_by, is_vqc


class _Crop(click.ParamType):
    name = "X,Y,W,H"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, ...]:
        try:
            numbers = tuple(int(part) for part in str(value).split(","))
        except ValueError:
            numbers = ()
        if len(numbers) != 4:
            self.fail(f"{value!r} is not X,Y,W,H in pixels", param, ctx)
        return numbers


@click.command()
@inputs_argument
@placing_options("the picture")
@running_options
@click.option(
    "--format",
    "format_",
    type=click.Choice(["png", "jpg", "webp", "avif", "tiff"], case_sensitive=False),
    help="Format of the results; default: PNG, or what the suffix of -o asks for.",
)
@click.option(
    "--format-quality",
    type=click.IntRange(1, 100),
    help="Quality of a lossy format; WebP without it is lossless.",
)
@click.option("--crop", type=_Crop(), help="Decode only this part, in pixels.")
@click.option(
    "--salvage",
    is_flag=True,
    help="Of damaged files decode all tiles that hold, and paint the others grey. "
    f"What is lost is told on stderr, with exit code {EXIT_SALVAGED}.",
)
@click.option(
    "--mtime/--no-mtime",
    default=True,
    help="Give results the dates of the pictures' files, where these are stored. "
    "Default: give them.",
)
@model_option
@compute_options()
@max_pixels_option
def command(
    inputs: tuple[str, ...],
    placing: Placing,
    running: Running,
    format_: str | None,
    format_quality: int | None,
    crop: tuple[int, int, int, int] | None,
    salvage: bool,
    mtime: bool,
    model: str | None,
    compute: Compute,
    max_pixels: int,
) -> int:
    """Decompress .vqc files to pictures.

    IN is a .vqc file, a folder (every .vqc file in it) or '-' (stdin). The result
    is a PNG beside the input, or what --format or the suffix of -o asks for.
    """
    if salvage and crop:
        raise click.UsageError("--salvage and --crop exclude each other")
    outputs = placing.outputs()
    suffix = _suffix(outputs.output, format_)
    if change := change_by(suffix, format_quality):
        echo(f"vqcodec: warning: {change}", err=True)
    work = Decompression(
        model=model,
        device=compute.device,
        crop=crop,
        salvage=salvage,
        max_pixels=max_pixels,
        suffix=suffix,
        quality=format_quality,
        mtime=mtime,
    )
    return run_all(
        inputs, outputs, work, running, compute, suffix=suffix, is_input=is_vqc, advice={}
    )


def _suffix(output: str | None, format_: str | None) -> str:
    """Return the suffix of the format to write. Raises: click.UsageError for two formats."""
    chosen = "" if format_ is None else f".{format_.lower()}"
    if output is None or output == STREAM or is_stdout(output):
        return chosen or ".png"
    named = PurePath(output).suffix.lower()
    if chosen and named not in ("", chosen, {".jpg": ".jpeg", ".tiff": ".tif"}.get(chosen)):
        raise click.UsageError(f"-o {output} and --format {format_} name two formats")
    return chosen or named
