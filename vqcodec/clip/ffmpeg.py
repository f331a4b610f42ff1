"""Video, read and written by the program ffmpeg (5.1 or later), if it is there.

Only raw pixels go through the pipe, frame by frame. Files are hostile: ffmpeg may read no other
formats than video's own, no playlists that name further files, and has ten minutes.
"""

from __future__ import annotations

import math
import re
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain, pairwise
from pathlib import Path
from typing import IO

import numpy as np

from vqcodec.clip.footage import Pixels, Shown
from vqcodec.clip.timing import Timing
from vqcodec.errors import ClipError, ClipSizeError, MissingPackageError
from vqcodec.grid import Size

_SECONDS = 600.0
_FORMATS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpeg,mpegvideo,mpegts,ogg,asf"
_TOLD = 300
"""Characters of what ffmpeg says is wrong."""
_FRAME = re.compile(r"0, *-?\d+, *(-?\d+), *(\d+), *(\d+),")
"""Of a line of framecrc: presentation time, duration and size in bytes."""
_RATE_MAX = 120
"""Frames per second of which a video may have more than the clip has frames."""
_RATE_USUAL = Fraction(60)


@dataclass(frozen=True, slots=True, kw_only=True)
class Video:
    """A video file, as `vqcodec.clip.footage.Footage`."""

    path: Path
    size: Size
    """Height and width."""
    durations: tuple[Fraction, ...]
    modified: int | None = None
    loops: int = 1
    actions: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        """Number of frames."""
        return len(self.durations)

    def frames(self) -> Iterator[Shown]:
        """Yield all frames. Raises: ClipError if it cannot be read."""
        arguments = [*_input(self.path), "-c:v", "rawvideo", "-f", "rawvideo", "-"]
        each = 3 * math.prod(self.size)
        with _running(arguments, writes=False) as output:
            for duration in self.durations:
                data = output.read(each)
                if len(data) != each:
                    raise ClipError("the video has fewer frames than it told")
                yield np.frombuffer(data, np.uint8).reshape(*self.size, 3), duration


def open_video(path: Path, *, max_pixels: int, modified: int | None = None) -> Video:
    """Read when the frames of a video are shown.

    Raises: ClipError if it cannot be read; ClipSizeError if its frames have more than `max_pixels`
    in all; MissingPackageError.
    """
    arguments = [*_input(path), "-c:v", "rawvideo", "-f", "framecrc", "-"]
    size, base, times = (0, 0), Fraction(1), []
    last = 0
    with _running(arguments, writes=False) as output:
        for line in output:
            text = line.decode(errors="replace").strip()
            if found := re.fullmatch(r"#tb 0: (\d+)/(\d+)", text):
                base = Fraction(int(found[1]), max(1, int(found[2])))
            elif found := re.fullmatch(r"#dimensions 0: (\d+)x(\d+)", text):
                size = (int(found[2]), int(found[1]))
            elif found := _FRAME.match(text):
                times.append(int(found[1]))
                last = int(found[2])
                if len(times) * math.prod(size) > max_pixels:
                    told = f"the frames have more than {max_pixels} pixels in all"
                    raise ClipSizeError(told)
    if not times or not all(size):
        raise ClipError("the video has no frames")
    ends = [*times[1:], times[-1] + max(last, 1)]
    ticks = [max(end - start, 1) for start, end in zip(times, ends, strict=True)]
    durations = tuple(own * base for own in ticks)
    return Video(path=path, size=size, durations=durations, modified=modified)


def write_video(
    file: IO[bytes], suffix: str, frames: Iterable[Pixels], timing: Timing, span: range
) -> None:
    """Write the frames of a span as video to a file that is open for writing.

    Where they are shown for different times, they are repeated. Raises: ClipError;
    MissingPackageError.
    """
    rate, repeats = _repeats(timing, span)
    shown = zip(frames, repeats, strict=True)
    first, count = next(shown)
    height, width, _ = first.shape
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"clip{suffix}"
        arguments = [
            *("-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}"),
            *("-framerate", str(rate), "-i", "pipe:0"),
            # Colours are stored for blocks of 2x2 pixels.
            *("-vf", "pad=ceil(iw/2)*2:ceil(ih/2)*2", "-pix_fmt", "yuv420p", "-crf", "18"),
            f"file:{path}",
        ]
        with _running(arguments, writes=True) as pipe:
            for pixels, repeats_of_it in chain([(first, count)], shown):
                for _ in range(repeats_of_it):
                    pipe.write(pixels.tobytes())
        with path.open("rb") as made:
            shutil.copyfileobj(made, file)


def _repeats(timing: Timing, span: range) -> tuple[Fraction, list[int]]:
    """Return frames per second, and how often each frame of a span comes."""
    durations = timing.durations(span)
    if len(set(durations)) == 1:
        return 1 / durations[0], [1] * len(durations)
    exact = Fraction(timing.scale, math.gcd(*timing.ticks[span.start : span.stop]))
    rate = exact if exact <= _RATE_MAX else _RATE_USUAL
    edges, total = [0], Fraction(0)
    for own in durations:
        total += own
        edges.append(max(round(total * rate), edges[-1] + 1))
    return rate, [stop - start for start, stop in pairwise(edges)]


def _input(path: Path) -> list[str]:
    """Return what makes ffmpeg read the first stream of pictures in a file, every frame once."""
    return [
        *("-format_whitelist", _FORMATS, "-protocol_whitelist", "file"),
        *("-i", f"file:{path}", "-map", "0:v:0", "-fps_mode", "passthrough"),
        *("-pix_fmt", "rgb24"),
    ]


@contextmanager
def _running(arguments: Sequence[str], *, writes: bool) -> Iterator[IO[bytes]]:
    """Run ffmpeg, and give what it reads or, if it only reads files, what it writes.

    Raises: MissingPackageError; ClipError with its own words if it fails.
    """
    program = shutil.which("ffmpeg")
    if program is None:
        raise MissingPackageError(
            "video needs the program ffmpeg",
            hint="install it, as with `apt install ffmpeg` or `brew install ffmpeg`",
        )
    command = [program, "-v", "error", "-nostdin", *arguments]
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(  # noqa: S603 (files are named as such, not as options)
            command,
            stdin=subprocess.PIPE if writes else subprocess.DEVNULL,
            stdout=subprocess.DEVNULL if writes else subprocess.PIPE,
            stderr=said,
        )
        pipe = process.stdin if writes else process.stdout
        assert pipe is not None
        alarm = threading.Timer(_SECONDS, process.kill)
        alarm.daemon = True
        alarm.start()
        try:
            with suppress(BrokenPipeError), pipe:  # why, the program says
                yield pipe
            failed = process.wait()
        except BaseException:
            process.kill()
            process.wait()
            raise
        finally:
            alarm.cancel()
        if failed:
            said.seek(0)
            raise ClipError(f"ffmpeg failed: {_printable(said.read(1 << 12))}")


def _printable(said: bytes) -> str:
    """Return the last line of what a program said, without what moves a terminal's cursor."""
    lines = said.decode(errors="replace").strip().splitlines() or ["it did not say why"]
    return "".join(sign if sign.isprintable() else "?" for sign in lines[-1])[:_TOLD]
