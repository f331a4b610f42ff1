"""`vqcodec decompress`."""

from __future__ import annotations

import io
import time
from pathlib import Path

import click

from vqcodec.cli import EXIT_SALVAGED, files
from vqcodec.cli.options import (
    compute_options,
    max_pixels_option,
    model_option,
    output_options,
)
from vqcodec.cli.process import prepare
from vqcodec.cli.progress import bar


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
@click.argument("inputs", metavar="IN...", nargs=-1, required=True)
@output_options("the picture")
@click.option("--crop", type=_Crop(), help="Decode only this part, in pixels.")
@click.option(
    "--salvage",
    is_flag=True,
    help="Of damaged files decode all tiles that hold, and paint the others grey. "
    f"What is lost is told on stderr, with exit code {EXIT_SALVAGED}.",
)
@model_option
@compute_options
@max_pixels_option
def command(
    inputs: tuple[str, ...],
    output: str | None,
    directory: str | None,
    force: bool,
    skip_existing: bool,
    crop: tuple[int, int, int, int] | None,
    salvage: bool,
    model: str | None,
    device: str,
    threads: int | None,
    max_pixels: int,
) -> int:
    """Decompress .vqc files to pictures.

    IN is a .vqc file, a folder (every .vqc file in it) or '-' (stdin). The result
    is a PNG beside the input, or what the suffix of -o asks for.
    """
    if salvage and crop:
        raise click.UsageError("--salvage and --crop exclude each other")
    jobs = files.plan(
        inputs,
        output=output,
        directory=directory,
        existing=files.Existing.wished(force=force, skip=skip_existing, remove=False),
        suffix=".png",
        is_input=_is_vqc,
    )
    if not jobs:
        return 0

    from vqcodec.image.pictures import format_of, save_image
    from vqcodec.image.pipeline import decompress
    from vqcodec.image.salvage import salvage as recover
    from vqcodec.registry.load import load_model

    formats = {job.target: format_of(job.target) for job in jobs}
    prepare(threads)
    loaded = None if model is None else load_model(model, device=device)
    losses: list[str] = []

    def work(job: files.Job) -> str:
        began = time.perf_counter()
        data = job.read()
        lost: tuple[str, ...] = ()
        with bar(job.source) as progress:
            if salvage:
                found = recover(
                    data, model=loaded, device=device, max_pixels=max_pixels, progress=progress
                )
                image, lost = found.image, found.losses
            else:
                image = decompress(
                    data,
                    model=loaded,
                    device=device,
                    crop=crop,
                    max_pixels=max_pixels,
                    progress=progress,
                )
        for loss in lost:
            files.warn(job.source, loss)
        losses.extend(lost)
        buffer = io.BytesIO()
        save_image(image, buffer, formats[job.target])
        job.write(buffer.getvalue())
        seconds = time.perf_counter() - began
        size = f"{image.width}x{image.height}"
        return f"{job.source} -> {job.target}: {size} pixels, {seconds:.2f} s"

    return files.run(jobs, work) or (EXIT_SALVAGED if losses else 0)


def _is_vqc(path: Path) -> bool:
    return path.suffix.lower() == ".vqc"
