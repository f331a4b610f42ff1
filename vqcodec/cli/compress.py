"""`vqcodec compress`."""

from __future__ import annotations

import io
import time
from pathlib import Path

import click

from vqcodec.cli import files
from vqcodec.cli.options import (
    SIZE,
    compute_options,
    max_pixels_option,
    model_option,
    output_options,
    use_threads,
)
from vqcodec.cli.progress import bar


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
@compute_options
@max_pixels_option
def command(
    inputs: tuple[str, ...],
    output: str | None,
    directory: str | None,
    force: bool,
    model: str | None,
    prior: str,
    quality: float | None,
    target_size: int | None,
    target_bpp: float | None,
    target_psnr: float | None,
    strip: bool,
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
    jobs = files.plan(
        inputs, output=output, directory=directory, force=force, suffix=".vqc", is_input=_readable
    )

    from vqcodec.codec.pictures import open_image
    from vqcodec.codec.pipeline import compress
    from vqcodec.registry.load import load_model

    use_threads(threads)
    loaded = load_model(model, device=device)

    def work(job: files.Job) -> str:
        began = time.perf_counter()
        original = job.read()
        with bar(job.source) as progress, open_image(io.BytesIO(original), max_pixels) as image:
            pixels = image.width * image.height
            data = compress(
                image,
                model=loaded,
                quality=quality,
                target_size=target_size,
                target_bpp=target_bpp,
                target_psnr=target_psnr,
                prior=prior == "model",
                strip=strip,
                max_pixels=max_pixels,
                progress=progress,
            )
        job.write(data)
        seconds = time.perf_counter() - began
        return (
            f"{job.source} -> {job.target}: {len(original)} -> {len(data)} bytes, "
            f"{3 * pixels / len(data):.1f}x, {8 * len(data) / pixels:.3f} bpp, {seconds:.2f} s"
        )

    return files.run(jobs, work)


def _readable(path: Path) -> bool:
    from vqcodec.codec.pictures import is_picture

    return is_picture(path)
