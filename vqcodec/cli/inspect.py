"""`vqcodec inspect`."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from vqcodec.audio.inspection import SoundInspection
from vqcodec.audio.waveform import Tags
from vqcodec.batch.job import STREAM, Failure, Job, open_input, read_input
from vqcodec.cli.damage import remains_of
from vqcodec.cli.options import (
    Compute,
    compute_options,
    max_pixels_option,
    max_samples_option,
    model_option,
)
from vqcodec.cli.process import prepare
from vqcodec.cli.terminal import echo, report_failure, warnings_shown
from vqcodec.clip import jobs as clip_jobs
from vqcodec.clip.inspection import ClipInspection
from vqcodec.codec.beginnings import HEAD_BYTES, is_sound
from vqcodec.codec.inspection import Inspection
from vqcodec.container import Container, Limits, Medium, parse
from vqcodec.counting import counted
from vqcodec.errors import FormatError, NotVqcError, StillPictureError, VqcError
from vqcodec.image.inspection import PictureInspection
from vqcodec.media.inspection import describe, describe_remains
from vqcodec.media.jobs import head_of, is_of_clips, medium_of_source

if TYPE_CHECKING:
    from vqcodec.container.read import Remains
    from vqcodec.image.accounting import Inventory

_ANIMATED = ("GIF", "PNG", "WebP")
"""Formats whose pictures may move."""
_SALVAGE = "`vqcodec decompress --salvage` decodes the tiles that hold"


@click.command("inspect")
@click.argument("file", metavar="FILE")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--verify", is_flag=True, help="Of a .vqc file: also decode all tiles and metadata.")
@model_option
@compute_options()
@max_pixels_option
@max_samples_option
def command(
    file: str,
    as_json: bool,
    verify: bool,
    model: str | None,
    max_pixels: int,
    max_samples: int,
    compute: Compute,
) -> int:
    """Show what FILE ('-': stdin) consists of; sizes sum to the file's size.

    Of a .vqc file of a picture, sound or a clip that is each of its fields. Of a picture it is each
    part of its file, and what a .vqc file of it would keep; of sound, its length, format and tags;
    of video, and with a model of clips of an animated picture, its frames, and what would be lost.
    """
    limits = Limits(pixels=max_pixels)
    data = b""
    try:
        with warnings_shown(file):
            if is_sound(head_of(file, HEAD_BYTES)):
                return _inspect_sound(file, max_samples, as_json=as_json)
            data = read_input(file)
            try:
                container = parse(data, limits)
            except NotVqcError as error:
                return _inspect_source(file, data, model, max_pixels, error, as_json=as_json)
            found = describe(container, len(data), max_samples)
            digest = _verify(container, model, compute) if verify else None
    except VqcError as error:
        failure = Failure.of(error)
        remains = remains_of(data, failure.kind, limits)
        if remains is not None:
            failure = replace(failure, hint=_SALVAGE)
            if not as_json:
                _print_remains(remains, len(data), max_samples)
        report_failure(failure, file)
        return failure.code
    if as_json:
        extra = {} if digest is None else {"indices_sha256": digest}
        click.echo(json.dumps(found.as_dict() | extra, indent=2))  # ASCII, on many lines
    else:
        _print(found, digest)
    return 0


def _inspect_sound(path: str, max_samples: int, *, as_json: bool) -> int:
    """Print what is known of a file of sound."""
    from vqcodec.audio.reading import open_sound

    with open_input(path) as file:
        sound = open_sound(file, max_samples=max_samples)
    facts = {
        "format": sound.format,
        "seconds": sound.length / sound.rate,
        "rate": sound.rate,
        "samples": sound.length,
        "channels": sound.channels,
        "tags": sound.tags,
        "not_kept": sound.losses,
    }
    if as_json:
        click.echo(json.dumps(facts, indent=2))
        return 0
    channels = counted(sound.channels, "channel")
    echo(f"sound         {facts['seconds']:.2f} s, {channels} at {sound.rate} Hz")
    echo(f"format        {sound.format}")
    _print_tags(sound.tags)
    for loss in sound.losses:
        echo(f"not kept      {loss}")
    return 0


def _inspect_source(
    path: str,
    data: bytes,
    model: str | None,
    max_pixels: int,
    error: NotVqcError,
    *,
    as_json: bool,
) -> int:
    """Print what is known of a clip's or a picture's file; raise the error if it is neither."""
    from vqcodec.image.survey import survey

    inventory = survey(data)
    moves = inventory.format in _ANIMATED and is_of_clips(model)
    if medium_of_source(path, moves=moves) is Medium.CLIP:
        with suppress(StillPictureError):
            return _inspect_clip(path, max_pixels, as_json=as_json)
    return _inspect_picture(data, inventory, error, as_json=as_json)


def _inspect_clip(path: str, max_pixels: int, *, as_json: bool) -> int:
    """Print what is known of a clip. Raises: StillPictureError if it does not move."""
    reading = clip_jobs.Reading(max_pixels=max_pixels, mtime=False)
    clip = clip_jobs.Compression(reading=reading).survey(Job(path, STREAM))
    (height, width), timing = clip.size, clip.timing
    facts = {
        "bytes": clip.bytes,
        "width": width,
        "height": height,
        "frames": timing.frames,
        "seconds": timing.seconds,
        "frames_per_second": timing.frames / timing.seconds,
        "loops": timing.loops,
        "not_kept": clip.losses,
    }
    if as_json:
        click.echo(json.dumps(facts, indent=2))
        return 0
    _print_frames(timing.frames, width, height, timing.seconds, timing.loops)
    rate = 8 * clip.bytes / timing.seconds / 1000
    each = 8 * clip.bytes / timing.frames
    echo(f"size          {clip.bytes} bytes, {rate:.3f} kbit/s, {each:.1f} bits/frame")
    for loss in clip.losses:
        echo(f"not kept      {loss}")
    return 0


def _inspect_picture(
    data: bytes, inventory: Inventory, error: NotVqcError, *, as_json: bool
) -> int:
    """Print what a picture file consists of; raise the error if it is none that is known."""
    if inventory.format is None:
        error.args = ("neither a .vqc file nor sound, video or a picture whose parts are known",)
        raise error
    if as_json:
        click.echo(json.dumps(inventory.as_dict(), indent=2))
        return 0
    echo(f"{inventory.format} file of {len(data)} bytes")
    echo("")
    echo(f"{'bytes':>9}  {'in a .vqc file':22}part")
    for holding in inventory.holdings:
        note = f" ({holding.note})" if holding.note else ""
        echo(f"{holding.size:>9}  {holding.fate.value:22}{holding.name}{note}")
    echo(f"{sum(holding.size for holding in inventory.holdings):>9}")
    echo("")
    verdict = f"keep this file: {inventory.loss}" if inventory.loss else "delete this file"
    echo(f"compress --remove-source would {verdict}")
    return 0


def _verify(container: Container, model: str | None, compute: Compute) -> str:
    import hashlib

    prepare(compute.threads)
    from vqcodec.media.checking import check

    grid = check(container, model=model, device=compute.device)
    return hashlib.sha256(grid.astype("<u2").tobytes()).hexdigest()


def _print(found: Inspection, digest: str | None) -> None:
    _print_header(found)
    if found.literal_tiles:
        echo(f"exact pixels  in {found.literal_tiles} of {found.tiles} tiles")
    bits = found.bits_per_position
    echo(f"payload       {found.payload_bytes} bytes, {bits:.3f} bits/position")
    if digest is not None:
        echo(f"verified      every checksum holds; indices have SHA-256 {digest}")
    echo("")
    echo(f"{'offset':>9} {'bytes':>9}  field")
    for span in found.spans:
        echo(f"{span.offset:>9} {span.size:>9}  {span.name}")
    total = sum(span.size for span in found.spans)
    echo(f"{'sum':>9} {total:>9}")


def _print_remains(remains: Remains, size: int, max_samples: int) -> None:
    """Print what header and chunks say of a damaged file, as far as they hold, and what is lost."""
    with suppress(FormatError):
        _print_header(describe_remains(remains.container, size, max_samples))
    if remains.lost:
        tiles = remains.container.header.tile_count
        echo(f"lost          {len(remains.lost)} of {counted(tiles, 'tile')}")
    for sentence in remains.damage:
        echo(f"damaged       {sentence}")


def _print_header(found: Inspection) -> None:
    """Print what the header and chunks of a file say."""
    if isinstance(found, PictureInspection):
        _print_picture(found)
    elif isinstance(found, SoundInspection):
        _print_sound(found)
    elif isinstance(found, ClipInspection):
        _print_clip(found)
    name = found.model_name or "not installed"
    model = "none" if found.mode == "literal" else f"{found.model} ({name})"
    echo(f"model         {model}")
    grid = "x".join(map(str, found.grid))
    quality = f", quality {round(found.quality, 2):g}" if found.quality else ""
    echo(f"grid          {grid} in {counted(found.tiles, 'tile')}, mode {found.mode}{quality}")


def _print_picture(found: PictureInspection) -> None:
    echo(f"picture       {found.width}x{found.height} pixels")
    echo(f"size          {found.bytes} bytes, {found.ratio:.1f}x, {found.bpp:.4f} bpp")


def _print_sound(found: SoundInspection) -> None:
    channels = counted(found.channels, "channel")
    if found.coded_channels < found.channels:
        channels += f", {found.coded_channels} of them different"
    echo(f"sound         {found.seconds:.2f} s, {channels}, at {found.rate} Hz")
    echo(f"size          {found.bytes} bytes, {found.ratio:.1f}x, {found.kbps:.3f} kbit/s")
    if found.speakers:
        echo(f"speaker       {', '.join(found.speakers)}")
    _print_tags(found.tags)


def _print_clip(found: ClipInspection) -> None:
    _print_frames(found.frames, found.width, found.height, found.seconds, found.loops)
    echo(
        f"size          {found.bytes} bytes, {found.ratio:.1f}x, {found.kbps:.3f} kbit/s, "
        f"{found.bits_per_frame:.1f} bits/frame"
    )
    if found.actions:
        told = Counter(action or "unknown" for action in found.actions)
        named = ", ".join(f"{action} ({count})" for action, count in told.most_common())
        echo(f"actions       {named}")


def _print_frames(frames: int, width: int, height: int, seconds: float, loops: int) -> None:
    played = f"played {counted(loops, 'time')}" if loops else "played for ever"
    echo(
        f"clip          {counted(frames, 'frame')} of {width}x{height} pixels, "
        f"{seconds:.2f} s, {frames / seconds:.2f} frames/s, {played}"
    )


def _print_tags(tags: Tags) -> None:
    for name, text in tags:
        echo(f"{name.lower():13} {text}")
