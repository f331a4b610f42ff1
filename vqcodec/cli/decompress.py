"""`vqcodec decompress`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import click

from vqcodec.audio import jobs as sound_jobs
from vqcodec.batch.found import Found
from vqcodec.batch.job import EXPECTED, Failure, Job
from vqcodec.batch.listing import list_files
from vqcodec.cli.damage import remains_of
from vqcodec.cli.options import (
    Compute,
    Placing,
    Running,
    compute_options,
    inputs_argument,
    max_pixels_option,
    max_samples_option,
    model_option,
    placing_options,
    ray_option,
    running_options,
    speaker_option,
)
from vqcodec.cli.running import EXIT_SALVAGED, run_all
from vqcodec.cli.terminal import echo
from vqcodec.clip import jobs as clip_jobs
from vqcodec.container.layout import Medium
from vqcodec.image import jobs as picture_jobs
from vqcodec.media.formats import CLIPS, FRAMES, PICTURES, SOUND, formats_of
from vqcodec.media.jobs import Decompression, is_vqc, medium_at


class _Crop(click.ParamType):
    name = "X,Y,W,H|FROM,TO"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[float, ...]:
        parts = str(value).split(",")
        numbers: tuple[float, ...]
        try:
            numbers = tuple(map(float if len(parts) == 2 else int, parts))
        except ValueError:
            numbers = ()
        if len(numbers) not in (2, 4):
            self.fail(f"{value!r} is not X,Y,W,H in pixels or FROM,TO in seconds", param, ctx)
        return numbers


@click.command("decompress")
@inputs_argument
@placing_options("the picture, sound or clip")
@running_options
@ray_option
@click.option(
    "--format",
    "format_",
    type=click.Choice([*PICTURES, *SOUND, *CLIPS], case_sensitive=False),
    help="Format of the results; default: PNG, WAV and, of clips, WebP, or what the suffix of -o "
    "asks for. 'frames' is a folder; video needs ffmpeg.",
)
@click.option(
    "--format-quality",
    type=click.IntRange(1, 100),
    help="Quality of pictures in a lossy format; WebP without it is lossless.",
)
@click.option("--crop", type=_Crop(), help="Decode only this part, in pixels or seconds.")
@click.option(
    "--thumbnail",
    type=click.IntRange(min=1),
    metavar="SIZE",
    help="Shrink pictures to at most so many pixels a side.",
)
@click.option(
    "--salvage",
    is_flag=True,
    help="Of damaged files decode all tiles that hold; the others are grey, silent, or stand "
    "still. "
    f"What is lost is told on stderr, with exit code {EXIT_SALVAGED}.",
)
@click.option(
    "--mtime/--no-mtime",
    default=True,
    help="Give results the dates of the files that were compressed, where these are stored. "
    "Default: give them.",
)
@speaker_option
@click.option(
    "--actions-out",
    metavar="FILE",
    type=click.Path(dir_okay=False, readable=False),
    help="Of one clip: write a text with a line for each frame, the action that led to it.",
)
@model_option
@compute_options()
@max_pixels_option
@max_samples_option
def command(
    inputs: tuple[str, ...],
    placing: Placing,
    running: Running,
    address: str | None,
    format_: str | None,
    format_quality: int | None,
    crop: tuple[float, ...] | None,
    thumbnail: int | None,
    salvage: bool,
    mtime: bool,
    speaker: str | None,
    actions_out: str | None,
    model: str | None,
    compute: Compute,
    max_pixels: int,
    max_samples: int,
) -> int:
    """Decompress .vqc files to pictures, sound and clips.

    IN is a .vqc file, a folder (every .vqc file in it) or '-' (stdin). The result
    is a PNG, WAV or animated WebP beside the input, or what --format or the suffix of -o asks for.
    A clip is written into a folder where -o ends with a slash.
    """
    if salvage and crop:
        raise click.UsageError("--salvage and --crop exclude each other")
    outputs = placing.outputs()
    if actions_out is not None and (len(inputs) > 1 or Path(inputs[0]).is_dir()):
        raise click.UsageError("--actions-out takes the actions of one clip")
    if address is not None and format_ == FRAMES:
        raise click.UsageError("--ray and --format frames exclude each other")
    named, folder = outputs.output, (outputs.output or "").rstrip("/" + os.sep)
    is_folder = folder not in ("", named) and medium_at(inputs[0]) is Medium.CLIP
    if is_folder and format_ in (None, FRAMES):
        # A folder's name names no format, whatever follows a dot in it.
        outputs, format_, named = replace(outputs, output=folder), FRAMES, None
    media = {Medium.PICTURE} if address is not None else _media(inputs)
    formats = formats_of(named, format_, media)
    changes = tuple(formats.changes(media, format_quality))
    shared: dict[str, Any] = {
        "model": model,
        "device": compute.device,
        "salvage": salvage,
        "mtime": mtime,
    }
    work = Decompression(
        picture_jobs.Decompression(
            **shared,
            crop=cast("tuple[int, int, int, int]", crop) if crop and len(crop) == 4 else None,
            max_pixels=max_pixels,
            suffix=formats.picture,
            quality=format_quality,
            thumbnail=thumbnail,
        ),
        sound_jobs.Decompression(
            **shared,
            crop=crop if crop and len(crop) == 2 else None,
            speaker=speaker,
            max_samples=max_samples,
            suffix=formats.sound,
        ),
        clip_jobs.Decompression(
            **shared,
            crop=crop if crop and len(crop) == 2 else None,
            max_pixels=max_pixels,
            suffix=formats.clip,
            actions=actions_out,
        ),
    )

    if address is not None:
        from vqcodec.cli.cluster import run_cluster

        for change in changes:
            echo(f"vqcodec: warning: {change}", err=True)
        return run_cluster(
            inputs,
            placing,
            running,
            work,
            compute,
            address,
            suffix=formats.picture,
            is_input=is_vqc,
        )

    def look(source: str, target: Path) -> Found:
        from vqcodec.media.results import look

        return look(work, source, target)

    return run_all(
        inputs,
        outputs,
        work,
        running,
        compute,
        suffix_of=lambda source: formats.of(medium_at(source)),
        is_input=is_vqc,
        advice={},
        look=look,
        warnings=changes,
        help_with=(lambda *_: "") if salvage else _help_with,
    )


def _media(inputs: Sequence[str]) -> set[Medium]:
    """Return the media of all .vqc files among inputs, and in folders that are inputs."""
    listings = (list_files(text, is_vqc) for text in inputs)
    found = {medium_at(source) for listing in listings for source, _ in listing.files}
    return {medium for medium in found if medium is not None}


def _help_with(job: Job, failure: Failure) -> str:
    """Name the option that helps with a damaged file, if enough of it is left."""
    try:
        damaged = remains_of(job.read(), failure.kind) is not None
    except EXPECTED:
        return ""
    return "--salvage decodes the tiles that hold" if damaged else ""
