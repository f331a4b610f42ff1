"""Animated pictures and folders of frames, read by Pillow frame by frame.

Pillow's readers raise almost anything for damaged files, hence the broad handlers: what is read
comes from outside, and one bad clip must not end a batch.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import IO

import numpy as np
from PIL import GifImagePlugin, Image, ImageFile, ImageOps, PngImagePlugin, WebPImagePlugin

from vqcodec.clip.ending import has_more
from vqcodec.clip.footage import Pixels, Shown
from vqcodec.clip.timing import from_milliseconds
from vqcodec.counting import counted
from vqcodec.errors import ClipError, ClipSizeError, StillPictureError

ACTIONS_FILE = "actions.txt"
"""In a folder of frames: of each a line with the action that led to it, or nothing."""
DURATIONS_FILE = "durations.txt"
"""In a folder of frames: of each a line with the milliseconds that it is shown."""
_STILLS = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp"})
_STILL_FORMATS = ("BMP", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
"""What files of a folder may be, whatever their names are: others, such as EPS, Pillow has read by
programs.
"""
_READERS: dict[bytes, Callable[[IO[bytes]], ImageFile.ImageFile]] = {
    b"GIF8": GifImagePlugin.GifImageFile,
    b"RIFF": WebPImagePlugin.WebPImageFile,
    b"\x89PNG": PngImagePlugin.PngImageFile,
}
_UNSAID = Fraction(1, 10)
"""Seconds that a frame is shown which says none, as browsers have it."""
_MORE = "further pictures or other data after the picture's end"
_WIDE = ("I", "F")
_TEXT_MAX = 1 << 22


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Animation:
    """An animated picture, as `vqcodec.clip.footage.Footage`."""

    file: IO[bytes]
    count: int
    loops: int
    modified: int | None = None
    actions: tuple[str, ...] = ()
    _lost: set[str] = field(default_factory=set)

    @property
    def losses(self) -> tuple[str, ...]:
        """What is not kept."""
        return tuple(self._lost)

    def frames(self) -> Iterator[Shown]:
        """Yield all frames. Raises: ClipError if it cannot be read."""
        image = _opened(self.file)
        size = image.size
        for number in range(_first(image), self.count + _first(image)):
            try:
                image.seek(number)
                if image.size != size:  # before memory is taken for it
                    raise ClipError("the frames are of several sizes")
                image.load()
                pixels = _pixels(image, self._lost)
                told = float(image.info.get("duration", 0) or 0)
            except (MemoryError, ClipError):
                raise
            except Exception as error:
                raise ClipError(f"frame {number} cannot be read, or is damaged") from error
            yield pixels, from_milliseconds(told) if told > 0 else _UNSAID


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """Pictures of a folder in the order of the numbers in their names, as
    `vqcodec.clip.footage.Footage`.
    """

    paths: tuple[Path, ...]
    durations: tuple[Fraction, ...]
    actions: tuple[str, ...]
    max_pixels: int
    loops: int = 0
    modified: int | None = None
    _lost: set[str] = field(default_factory=set)

    @property
    def count(self) -> int:
        """Number of frames."""
        return len(self.paths)

    @property
    def losses(self) -> tuple[str, ...]:
        """What is not kept."""
        return tuple(self._lost)

    @property
    def bytes(self) -> int:
        """Size of the files of all frames. Raises: OSError."""
        return sum(path.stat().st_size for path in self.paths)

    def frames(self) -> Iterator[Shown]:
        """Yield all frames. Raises: ClipError if one cannot be read."""
        for path, duration in zip(self.paths, self.durations, strict=True):
            try:
                with (
                    path.open("rb") as file,
                    Image.open(file, formats=_STILL_FORMATS) as image,
                ):
                    if image.width * image.height > self.max_pixels:
                        message = f"{path.name} has more than {self.max_pixels} pixels"
                        raise ClipSizeError(message)
                    # An MPO file is a photograph, with smaller copies or another view.
                    if image.format != "MPO" and getattr(image, "n_frames", 1) > 1:
                        raise ClipError(f"{path.name} has several frames itself")
                    pixels = _pixels(ImageOps.exif_transpose(image), self._lost)
            except (MemoryError, ClipError):
                raise
            except Exception as error:
                raise ClipError(f"{path.name} cannot be read, or is damaged") from error
            yield pixels, duration


def open_animation(
    file: IO[bytes], *, max_pixels: int, modified: int | None = None, still: bool = False
) -> Animation:
    """Open an animated GIF, WebP or PNG; a still picture only if `still`.

    Raises: ClipError if it is none, or damaged; ClipSizeError if its frames have more than
    `max_pixels` in all.
    """
    image = _opened(file)
    try:
        count = max(getattr(image, "n_frames", 1) - _first(image), 1)
    except MemoryError:
        raise
    except Exception as error:
        raise ClipError("the animation is damaged") from error
    if count < 2 and not still:
        raise StillPictureError("it is a still picture")
    if count * image.width * image.height > max_pixels:
        raise ClipSizeError(f"the frames have more than {max_pixels} pixels in all")
    lost = {_MORE} if has_more(file) else set()
    if _first(image):
        lost.add("a picture outside the animation")
    return Animation(file=file, count=count, loops=_loops(image), modified=modified, _lost=lost)


def open_folder(
    folder: Path,
    *,
    fps: float | None = None,
    usual_fps: float,
    max_pixels: int,
    modified: int | None = None,
) -> Folder:
    """Open a folder of frames. They are shown `fps` to a second; if it is None, for as long as the
    folder says, or else `usual_fps` to a second.

    Raises: ClipError if there are no frames in it, or it says other things of them; OSError.
    """
    paths = [path for path in folder.iterdir() if path.suffix.lower() in _STILLS]
    paths = [path for path in paths if path.is_file() and not path.name.startswith(".")]
    if not paths:
        raise ClipError("there are no frames in the folder")
    lines = _lines(folder / DURATIONS_FILE, len(paths)) if fps is None else []
    try:
        durations = [from_milliseconds(float(line)) for line in lines]
    except ValueError as error:
        raise ClipError(f"{DURATIONS_FILE} has a line that is no duration") from error
    return Folder(
        paths=tuple(sorted(paths, key=_in_order)),
        durations=tuple(durations or [from_milliseconds(1000.0 / (fps or usual_fps))] * len(paths)),
        actions=tuple(_lines(folder / ACTIONS_FILE, len(paths))),
        max_pixels=max_pixels,
        modified=modified,
    )


def _opened(file: IO[bytes]) -> ImageFile.ImageFile:
    """Open an animated picture, whatever Pillow's own limit on pixels is."""
    file.seek(0)
    head = file.read(4)
    file.seek(0)
    for beginning, reader in _READERS.items():
        if head == beginning:
            try:
                return reader(file)
            except MemoryError:
                raise
            except Exception as error:
                raise ClipError("the picture is damaged") from error
    raise ClipError("it is no animated GIF, WebP or PNG")


def _first(image: ImageFile.ImageFile) -> int:
    """Return the first frame of the animation: a PNG may have a picture before it."""
    return int(bool(getattr(image, "default_image", False)))


def _loops(image: ImageFile.ImageFile) -> int:
    """Return how often an animation is played; a GIF tells how often it is repeated."""
    told = image.info.get("loop")
    if image.format == "GIF":
        return 1 if told is None else told and told + 1
    return int(told or 0)


def _pixels(image: Image.Image, lost: set[str]) -> Pixels:
    """Return the pixels of a picture on white; say in `lost` what is not kept."""
    if image.mode.startswith(_WIDE):
        raise ClipError("its samples have more than 8 bits")
    rgba = image.convert("RGBA")
    if rgba.getchannel("A").getextrema() != (255, 255):
        lost.add("transparency (shown on white)")
        rgba = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba)
    return np.asarray(rgba.convert("RGB"))


def _in_order(path: Path) -> list[tuple[int, str]]:
    """Return what sorts names by the numbers in them."""
    parts = re.split(r"(\d+)", path.name)
    return [(int(part) if number % 2 else 0, part) for number, part in enumerate(parts)]


def _lines(path: Path, count: int) -> list[str]:
    """Return the lines of a text beside so many frames; nothing if it is not there."""
    if not path.exists():
        return []
    lines = read_lines(path)
    if len(lines) != count:
        told = counted(len(lines), "line")
        raise ClipError(f"{path.name} has {told} for {counted(count, 'frame')}")
    return lines


def read_lines(path: Path) -> list[str]:
    """Return the lines of a text. Raises: ClipError if it is none; OSError."""
    try:
        with path.open("rb") as file:
            lines = file.read(_TEXT_MAX).decode().split("\n")
    except UnicodeDecodeError as error:
        raise ClipError(f"{path.name} is not a text") from error
    if lines[-1] == "":  # the last line ends too
        lines.pop()
    return [line.strip() for line in lines]
