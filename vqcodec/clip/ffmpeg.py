"""Video, read and written by the program ffmpeg (5.1 or later), if it is there.

Only raw pixels go through the pipe, frame by frame. Files are hostile: ffmpeg may read no other
formats than video's own, no playlists that name further files, and is killed when it has been
waited for ten minutes in all.
"""

from __future__ import annotations

import io
import math
import re
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import chain, pairwise
from pathlib import Path
from typing import IO

import numpy as np

from vqcodec.clip.footage import Pixels, Shown
from vqcodec.clip.streams import losses_of
from vqcodec.clip.timing import Timing
from vqcodec.counting import counted
from vqcodec.errors import ClipError, ClipSizeError, MissingPackageError
from vqcodec.grid import Size

_SECONDS = 600.0
_FORMATS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpeg,mpegvideo,mpegts,ogg,asf"
_TOLD, _LAST_BYTES = 300, 1 << 12
"""Characters of what ffmpeg says is wrong, and bytes at whose end it says so."""
_FRAME = re.compile(r"0, *-?\d+, *(-?\d+), *(\d+), *(\d+),")
"""Of a line of framecrc: presentation time, duration and size in bytes."""
_RATE_MAX = 120
"""Frames per second of which a video may have more than the clip has frames."""
_RATE_USUAL = Fraction(60)
_FRAMES_MAX = 1 << 20
"""Of a video that repeats frames: 4.8 hours at the usual rate."""


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
    losses: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        """Number of frames."""
        return len(self.durations)

    def frames(self) -> Iterator[Shown]:
        """Yield all frames. Raises: ClipError if it cannot be read."""
        arguments = [*_input(self.path), "-c:v", "rawvideo", "-f", "rawvideo", "-"]
        each = 3 * math.prod(self.size)
        with _running(arguments, writes=False) as program:
            for duration in self.durations:
                with program.waited_for():
                    data = program.pipe.read(each)
                if len(data) != each:
                    raise ClipError("the video has fewer frames than it told")
                yield np.frombuffer(data, np.uint8).reshape(*self.size, 3), duration


def open_video(path: Path, *, max_pixels: int, modified: int | None = None) -> Video:
    """Read when the frames of a video are shown.

    Raises: ClipError if it cannot be read; ClipSizeError if its frames have more than `max_pixels`
    in all; MissingPackageError.
    """
    with tempfile.TemporaryFile() as said:  # of a hostile file it may be much
        size, durations = _shown(path, said, max_pixels)
        said.seek(0)
        lines = (line.decode(errors="replace") for line in said)
        losses = losses_of(lines, float(sum(durations)))
    return Video(path=path, size=size, durations=durations, modified=modified, losses=losses)


def _shown(path: Path, said: IO[bytes], max_pixels: int) -> tuple[Size, tuple[Fraction, ...]]:
    """Return the size of frames, and for how long each is shown, in seconds. What ffmpeg tells of
    the file is written to `said`.
    """
    arguments = [*_input(path), "-c:v", "rawvideo", "-f", "framecrc", "-"]
    size, base, times = (0, 0), Fraction(1), []
    last = 0
    with _running(arguments, writes=False, said=said) as program, program.waited_for():
        for line in program.pipe:
            text = line.decode(errors="replace").strip()
            if found := re.fullmatch(r"#tb 0: (\d+)/(\d+)", text):
                base = Fraction(int(found[1]), max(1, int(found[2])))
            elif found := re.fullmatch(r"#dimensions 0: (\d+)x(\d+)", text):
                size = (int(found[2]), int(found[1]))
            elif found := _FRAME.match(text):
                times.append(int(found[1]))
                last = int(found[2])
                if len(times) * math.prod(size) > max_pixels:
                    message = f"the frames have more than {max_pixels} pixels in all"
                    raise ClipSizeError(message)
    if not times or not all(size):
        raise ClipError("the video has no frames")
    ends = [*times[1:], times[-1] + max(last, 1)]
    ticks = [max(end - start, 1) for start, end in zip(times, ends, strict=True)]
    return size, tuple(count * base for count in ticks)


def write_video(
    file: IO[bytes], suffix: str, frames: Iterable[Pixels], timing: Timing, span: range
) -> None:
    """Write the frames of a span as video to a file that is open for writing.

    Where they are shown for different times, they are repeated. Raises: ClipError, also if that
    takes too many frames; MissingPackageError.
    """
    rate, repeats = _repeats(timing, span)
    shown = zip(frames, repeats, strict=True)
    first, times = next(shown)
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
        with _running(arguments, writes=True) as program:
            for pixels, count in chain([(first, times)], shown):
                with program.waited_for():
                    for _ in range(count):
                        program.pipe.write(pixels.tobytes())
        with path.open("rb") as made:
            shutil.copyfileobj(made, file)


def _repeats(timing: Timing, span: range) -> tuple[Fraction, list[int]]:
    """Return frames per second, and how often each frame of a span comes. Raises: ClipError."""
    durations = timing.durations(span)
    if len(set(durations)) == 1:
        return 1 / durations[0], [1] * len(durations)
    exact = Fraction(timing.scale, math.gcd(*timing.ticks[span.start : span.stop]))
    rate = exact if exact <= _RATE_MAX else _RATE_USUAL
    edges, total = [0], Fraction(0)
    for duration in durations:
        total += duration
        edges.append(max(round(total * rate), edges[-1] + 1))
    if edges[-1] > _FRAMES_MAX:
        raise ClipError(f"video of these times would have {counted(edges[-1], 'frame')}")
    return rate, [stop - start for start, stop in pairwise(edges)]


def _input(path: Path) -> list[str]:
    """Return what makes ffmpeg read the first stream of pictures in a file, every frame once."""
    return [
        *("-format_whitelist", _FORMATS, "-protocol_whitelist", "file"),
        *("-i", f"file:{path}", "-map", "0:V:0?", "-fps_mode", "passthrough"),
        *("-pix_fmt", "rgb24"),
    ]


@dataclass(slots=True)
class _Program:
    """A program that runs, and the pipe to or from it."""

    process: subprocess.Popen[bytes]
    pipe: IO[bytes]
    seconds: float = field(default_factory=lambda: _SECONDS)
    """How long it may still be waited for."""

    @contextmanager
    def waited_for(self) -> Iterator[None]:
        """Kill the program if what is done meanwhile, which waits for it, takes too long."""
        alarm = threading.Timer(self.seconds, self.process.kill)
        alarm.daemon = True
        began = time.monotonic()
        alarm.start()
        try:
            yield
        finally:
            alarm.cancel()
            self.seconds = max(0.0, self.seconds - (time.monotonic() - began))


@contextmanager
def _running(
    arguments: Sequence[str], *, writes: bool, said: IO[bytes] | None = None
) -> Iterator[_Program]:
    """Run ffmpeg, with a pipe to it if it `writes` a file, else from it. It has ended afterwards.

    With a file `said` it writes there what it does, each line with its level.

    Raises: MissingPackageError; ClipError with its own words if it fails.
    """
    path = shutil.which("ffmpeg")
    if path is None:
        raise MissingPackageError(
            "video needs the program ffmpeg",
            hint="install it, as with `apt install ffmpeg` or `brew install ffmpeg`",
        )
    level = "error" if said is None else "level+info"
    command = [path, "-v", level, "-nostats", "-nostdin", *arguments]
    with tempfile.TemporaryFile() if said is None else nullcontext(said) as said:
        process = subprocess.Popen(  # noqa: S603 (files are named as such, not as options)
            command,
            stdin=subprocess.PIPE if writes else subprocess.DEVNULL,
            stdout=subprocess.DEVNULL if writes else subprocess.PIPE,
            stderr=said,
        )
        pipe = process.stdin if writes else process.stdout
        assert pipe is not None
        program = _Program(process, pipe)
        try:
            with suppress(BrokenPipeError):  # why, the program says
                yield program
            with program.waited_for():
                with suppress(BrokenPipeError):
                    pipe.close()
                failed = process.wait()
        except BaseException:
            process.kill()
            process.wait()
            with suppress(BrokenPipeError):
                pipe.close()
            raise
        if failed:
            said.seek(max(0, said.seek(0, io.SEEK_END) - _LAST_BYTES))
            raise ClipError(f"ffmpeg failed: {_printable(said.read())}")


def _printable(said: bytes) -> str:
    """Return the last line of what a program said is wrong, without its level and what moves a
    terminal's cursor.
    """
    lines = said.decode(errors="replace").strip().splitlines()
    wrong = [line for line in lines if not line.startswith("[info]")] or ["it did not say why"]
    told = wrong[-1].removeprefix("[fatal] ").removeprefix("[error] ")
    return "".join(sign if sign.isprintable() else "?" for sign in told)[:_TOLD]
