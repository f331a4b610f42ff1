"""`vqcodec compress`."""

from __future__ import annotations

import click

from vqcodec.cli.options import (
    SIZE,
    Compute,
    Placing,
    Running,
    compute_options,
    grouped,
    inputs_argument,
    max_pixels_option,
    model_option,
    placing_options,
    running_options,
)
from vqcodec.cli.running import run_all
from vqcodec.codec.effort import HIGHEST, LOWEST, TUNES, Effort
from vqcodec.codec.search import Wish
from vqcodec.image.jobs import ADVICE, Compression, Reading, Removal, is_picture


@click.command()
@inputs_argument
@placing_options("the .vqc file")
@running_options
@model_option
@click.option(
    "--prior",
    type=click.Choice(["model", "none"]),
    default="model",
    show_default=True,
    help="'none' codes indices at fixed length, for comparison.",
)
@grouped(
    "wish",
    Wish,
    click.option(
        "-q",
        "--quality",
        type=float,
        help="From 1, smallest, to 8, finest; steps between count. Default: 5.",
    ),
    click.option("--target-size", type=SIZE, help="Best quality of at most this size, as in 40KB."),
    click.option(
        "--target-bpp", type=float, help="Best quality of at most so many bits per pixel."
    ),
    click.option("--target-psnr", type=float, help="Smallest file of at least this PSNR in dB."),
    click.option(
        "--lossless",
        is_flag=True,
        help="Store all pixels exactly. Without it this is done where it takes fewer bytes.",
    ),
)
@grouped(
    "effort",
    Effort,
    click.option(
        "--effort",
        type=click.IntRange(LOWEST, HIGHEST),
        default=LOWEST,
        show_default=True,
        help="Above 1 the indices are refined for better pixels in fewer bytes: half a minute at "
        "2, many minutes at 9. Needs torch.",
    ),
    click.option(
        "--tune",
        type=click.Choice(list(TUNES)),
        default="both",
        show_default=True,
        help="What refinement calls better pixels.",
    ),
)
@grouped(
    "reading",
    Reading,
    click.option(
        "--strip",
        is_flag=True,
        help="Drop all metadata: colour profile, EXIF, XMP, texts, density, date.",
    ),
    click.option(
        "--range",
        "value_range",
        type=float,
        nargs=2,
        metavar="LOW HIGH",
        help="Values of black and white in pictures of real or 32-bit numbers.",
    ),
    click.option(
        "--mtime/--no-mtime",
        default=True,
        help="Store the date of the picture's file. Default: store it.",
    ),
    max_pixels_option,
)
@grouped(
    "removal",
    Removal,
    click.option(
        "--verify/--no-verify",
        default=None,
        help="Decode each result from the disk before it gets its name. "
        "Default: with --remove-source.",
    ),
    click.option(
        "--remove-source",
        is_flag=True,
        help="Delete each picture whose result was verified, is on disk and holds all of it; "
        "with --skip-existing also one whose result an earlier run wrote.",
    ),
    click.option(
        "--allow-larger",
        is_flag=True,
        help="Let --remove-source delete pictures whose results are larger.",
    ),
)
@compute_options()
def command(
    inputs: tuple[str, ...],
    placing: Placing,
    running: Running,
    model: str | None,
    prior: str,
    wish: Wish,
    effort: Effort,
    reading: Reading,
    removal: Removal,
    compute: Compute,
) -> int:
    """Compress pictures to .vqc files.

    IN is a picture, a folder (every picture in it) or '-' (stdin). The result is
    written beside the input, photo.png becoming photo.vqc. Where photo.jpg is an input
    too, they become photo.png.vqc and photo.jpg.vqc.
    """
    work = Compression(
        model=model,
        device=compute.device,
        prior=prior == "model",
        wish=wish,
        effort=effort,
        reading=reading,
        removal=removal,
    )
    return run_all(
        inputs,
        placing.outputs(remove_source=removal.remove_source),
        work,
        running,
        compute,
        suffix=".vqc",
        is_input=is_picture,
        advice=ADVICE,
        removes_sources=removal.remove_source,
    )
