"""`vqcodec compress`."""

from __future__ import annotations

from typing import Any

import click

from vqcodec.audio import jobs as sound_jobs
from vqcodec.batch.removal import Removal
from vqcodec.cli.options import (
    BITRATE,
    SIZE,
    Compute,
    Placing,
    Running,
    compute_options,
    grouped,
    inputs_argument,
    max_pixels_option,
    max_samples_option,
    model_option,
    placing_options,
    ray_option,
    running_options,
    speaker_option,
)
from vqcodec.cli.running import run_all
from vqcodec.clip import jobs as clip_jobs
from vqcodec.codec.effort import HIGHEST, LOWEST, TUNES, Effort
from vqcodec.codec.search import Wish
from vqcodec.image import jobs as picture_jobs
from vqcodec.media.jobs import Compression, is_clip_or_sound, is_input, is_of_clips


@click.command("compress")
@inputs_argument
@placing_options("the .vqc file")
@running_options
@ray_option
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
        help="From 1, smallest, to 12, finest, of sound to 6; steps between count. "
        "Default: 7.5, of sound 4.",
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
    click.option(
        "--target-bitrate",
        type=BITRATE,
        help="Of sound: best quality of at most so many bits per second, as in 2.4k.",
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
        help="Above 1 the indices of pictures are refined for better pixels in fewer bytes: a "
        "minute at 2, many minutes at 9. Needs torch.",
    ),
    click.option(
        "--tune",
        type=click.Choice(list(TUNES)),
        default="both",
        show_default=True,
        help="What refinement, with --effort above 1, calls better pixels.",
    ),
)
@speaker_option
@click.option(
    "--clip",
    "as_clip",
    is_flag=True,
    help="Take a folder of numbered frames as one clip, and a still picture as a clip of one "
    "frame. A model of clips takes animated pictures and video without it.",
)
@click.option(
    "--fps",
    type=click.FloatRange(0.01, 1000.0),
    help="Frames per second of a folder of frames. Default: durations.txt in the folder, or as the "
    "model's clips have.",
)
@click.option(
    "--actions",
    metavar="FILE",
    type=click.Path(dir_okay=False),
    help="Of a clip: a text with a line for each frame, the action that led to it, of those that "
    "the model knows. Default: actions.txt in a folder of frames.",
)
@click.option(
    "--steadiness",
    type=click.FloatRange(min=0.0),
    help="Of a clip: how readily parts of a frame stay as in the frame before. 0 follows it most "
    "closely, more makes smaller files. Default: 2.",
)
@click.option(
    "--strip",
    is_flag=True,
    help="Drop all metadata: colour profile, EXIF, XMP, texts, density, tags, date.",
)
@click.option(
    "--range",
    "value_range",
    type=float,
    nargs=2,
    metavar="LOW HIGH",
    help="Values of black and white in pictures of real or 32-bit numbers.",
)
@click.option(
    "--mtime/--no-mtime",
    default=True,
    help="Store the date of the file. Default: store it.",
)
@max_pixels_option
@max_samples_option
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
        help="Delete each file whose result was verified, is on disk and holds all of it; "
        "with --skip-existing also one whose result an earlier run wrote.",
    ),
    click.option(
        "--allow-larger",
        is_flag=True,
        help="Let --remove-source delete files whose results are larger.",
    ),
    click.option(
        "--allow-lossy",
        is_flag=True,
        help="Let --remove-source delete sound and clips, of which results only keep about what "
        "is heard and seen.",
    ),
)
@compute_options()
def command(
    inputs: tuple[str, ...],
    placing: Placing,
    running: Running,
    address: str | None,
    model: str | None,
    prior: str,
    wish: Wish,
    effort: Effort,
    speaker: str | None,
    as_clip: bool,
    fps: float | None,
    actions: str | None,
    steadiness: float | None,
    strip: bool,
    value_range: tuple[float, float] | None,
    mtime: bool,
    max_pixels: int,
    max_samples: int,
    removal: Removal,
    compute: Compute,
) -> int:
    """Compress pictures, sound and clips to .vqc files.

    IN is a picture, sound or a clip, a folder (every picture and sound in it) or '-' (stdin).
    Which it is, is found from how the file begins. With a model of clips animated GIF, WebP and
    PNG are clips, and so is video, where ffmpeg is installed. The result is written beside the
    input, photo.png becoming photo.vqc. Where photo.jpg is an input too, they become photo.png.vqc
    and photo.jpg.vqc.
    """
    shared: dict[str, Any] = {
        "model": model,
        "device": compute.device,
        "prior": prior == "model",
        "wish": wish,
        "removal": removal,
    }
    picture = picture_jobs.Reading(
        max_pixels=max_pixels, value_range=value_range, strip=strip, mtime=mtime
    )
    sound = sound_jobs.Reading(max_samples=max_samples, strip=strip, mtime=mtime)
    clip = clip_jobs.Reading(
        max_pixels=max_pixels, fps=fps, actions=actions, still=as_clip, strip=strip, mtime=mtime
    )
    moves = as_clip or is_of_clips(model)
    work = Compression(
        picture_jobs.Compression(**shared, effort=effort, reading=picture),
        sound_jobs.Compression(**shared, speaker=speaker, reading=sound),
        clip_jobs.Compression(**shared, steadiness=steadiness, reading=clip),
        moves,
    )
    takes = is_clip_or_sound if moves else is_input
    if address is not None:
        from vqcodec.cli.cluster import run_cluster

        if removal.remove_source:
            raise click.UsageError("--ray and --remove-source exclude each other")
        if as_clip:
            raise click.UsageError("--ray and --clip exclude each other")
        return run_cluster(
            inputs, placing, running, work, compute, address, suffix=".vqc", is_input=takes
        )
    return run_all(
        inputs,
        placing.outputs(remove_source=removal.remove_source),
        work,
        running,
        compute,
        suffix_of=lambda _: ".vqc",
        is_input=takes,
        advice=picture_jobs.ADVICE,
        removes_sources=removal.remove_source,
        folders_are_files=as_clip,
    )
