"""`vqcodec compress`."""

from __future__ import annotations

import io
import time
from functools import partial
from pathlib import Path

import click

from vqcodec.cli import files
from vqcodec.cli.options import (
    SIZE,
    compute_options,
    max_pixels_option,
    model_option,
    output_options,
)
from vqcodec.cli.process import prepare
from vqcodec.cli.progress import bar
from vqcodec.errors import SourceKeptError


@click.command()
@click.argument("inputs", metavar="IN...", nargs=-1, required=True)
@output_options("the .vqc file")
@model_option
@click.option(
    "--prior",
    type=click.Choice(["model", "none"]),
    default="model",
    show_default=True,
    help="'none' codes indices at fixed length, for comparison.",
)
@click.option(
    "-q",
    "--quality",
    type=float,
    help="From 1, smallest, to 8, finest; steps between count. Default: 5.",
)
@click.option("--target-size", type=SIZE, help="Best quality of at most this size, as in 40KB.")
@click.option("--target-bpp", type=float, help="Best quality of at most so many bits per pixel.")
@click.option("--target-psnr", type=float, help="Smallest file of at least this PSNR in dB.")
@click.option("--strip", is_flag=True, help="Drop ICC profile, EXIF and XMP.")
@click.option(
    "--verify/--no-verify",
    default=None,
    help="Decode each result from the disk before it gets its name. Default: with --remove-source.",
)
@click.option(
    "--remove-source",
    is_flag=True,
    help="Delete each picture whose result was verified and is on disk; "
    "with --skip-existing also one whose result an earlier run wrote.",
)
@compute_options
@max_pixels_option
def command(
    inputs: tuple[str, ...],
    output: str | None,
    directory: str | None,
    force: bool,
    skip_existing: bool,
    model: str | None,
    prior: str,
    quality: float | None,
    target_size: int | None,
    target_bpp: float | None,
    target_psnr: float | None,
    strip: bool,
    verify: bool | None,
    remove_source: bool,
    device: str,
    threads: int | None,
    max_pixels: int,
) -> int:
    """Compress pictures to .vqc files.

    IN is a picture, a folder (every picture in it) or '-' (stdin). The result is
    written beside the input, photo.png becoming photo.vqc.
    """
    wishes = (quality, target_size, target_bpp, target_psnr)
    if sum(wish is not None for wish in wishes) > 1:
        raise click.UsageError("-q and the --target options exclude each other")
    if remove_source and verify is False:
        raise click.UsageError("--remove-source and --no-verify exclude each other")
    jobs = files.plan(
        inputs,
        output=output,
        directory=directory,
        existing=files.Existing.wished(force=force, skip=skip_existing, remove=remove_source),
        suffix=".vqc",
        is_input=_readable,
    )
    if remove_source:
        files.refuse_removal(jobs)
    if not jobs:
        return 0

    from vqcodec.codec.search import Wish
    from vqcodec.image.pictures import open_image
    from vqcodec.image.pipeline import Encoded, confirm, encode
    from vqcodec.registry.load import load_model

    prepare(threads)
    loaded = load_model(model, device=device)
    wish = Wish(
        quality=quality, target_size=target_size, target_bpp=target_bpp, target_psnr=target_psnr
    )

    def check(job: files.Job, encoded: Encoded, written: bytes) -> None:
        with bar(f"verifying {job.target}") as progress:
            confirm(encoded, written, loaded, progress=progress)

    def work(job: files.Job) -> str:
        began = time.perf_counter()
        state = job.state() if remove_source else ()
        original = job.read()
        with (
            files.warnings_shown(job.source) as warned,
            bar(job.source) as progress,
            open_image(io.BytesIO(original), max_pixels) as image,
        ):
            pixels = image.width * image.height
            encoded = encode(
                image,
                loaded,
                wish,
                prior=prior == "model",
                strip=strip,
                max_pixels=max_pixels,
                progress=progress,
            )
        data = encoded.data
        job.write(data, partial(check, job, encoded) if verify or remove_source else None)
        if remove_source and warned:
            raise SourceKeptError(f"kept: {job.target} does not hold all of it")
        if remove_source:
            job.remove_source(state)
        seconds = time.perf_counter() - began
        return (
            f"{job.source} -> {job.target}: {len(original)} -> {len(data)} bytes, "
            f"{3 * pixels / len(data):.1f}x, {8 * len(data) / pixels:.3f} bpp, {seconds:.2f} s"
        )

    return files.run(jobs, work)


def _readable(path: Path) -> bool:
    from vqcodec.image.pictures import is_picture

    return is_picture(path)
