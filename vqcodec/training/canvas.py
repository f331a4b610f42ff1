"""What drawn pages are drawn on, and with: a canvas, words, colours and fonts by chance."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TypeAlias

import numpy as np
from PIL import Image, ImageDraw, ImageFont

Colour = tuple[int, int, int]
Box = tuple[int, int, int, int]
"""Left, top, right, bottom."""
Font: TypeAlias = ImageFont.FreeTypeFont | ImageFont.ImageFont
Fonts = Sequence[str]
"""Paths of TrueType fonts; '' is the one that Pillow brings."""

WHITE: Colour = (255, 255, 255)
BLACK: Colour = (0, 0, 0)

_TEXT = """the of and to in is was for that with as on by from at which it be this are an or not
have one page figure table energy method between results number during water light system other
through figure different small under where while paper history general, however, although (see)
"quoted" Monday January Europe Chapter Section Total Name Price Date Version Settings Open Save
Cancel File Edit View Help Search naive café über niño 1998 2024 12.5 3.14 0.07 100% $4.99 -1 +27
#42 & / x = y2 [1] e.g. i.e. if: return None; def main(): self.x = 0 {key: 17} // TODO --flag
https://example.org/a?b=1 quick brown fox jumps over lazy dogs WARNING OK Q3 A-Z"""
_WORDS = _TEXT.split()


def find_fonts() -> list[str]:
    """List the TrueType fonts of the system that have Latin letters, sorted, and Pillow's own."""
    home = Path.home()
    folders = {
        "darwin": [Path("/System/Library/Fonts"), Path("/Library/Fonts"), home / "Library/Fonts"],
        "win32": [Path(os.environ.get("WINDIR", "C:/Windows")) / "Fonts"],
    }.get(
        sys.platform,
        [Path("/usr/share/fonts"), Path("/usr/local/share/fonts"), home / ".local/share/fonts"],
    )
    files = sorted(
        path
        for folder in folders
        if folder.is_dir()
        for path in folder.rglob("*")
        if path.suffix.lower() in (".ttf", ".otf", ".ttc")
    )
    return ["", *(str(path) for path in files if _has_letters(str(path)))]


def _has_letters(path: str) -> bool:
    """Tell whether a font draws two letters, and not one box for both."""
    try:
        masks = [bytes(_font(path, 16).getmask(letter)) for letter in "aR"]
    except (OSError, ValueError):
        return False
    return any(masks[0]) and masks[0] != masks[1]


@lru_cache(maxsize=512)
def _font(path: str, size: int) -> Font:
    if not path:
        return ImageFont.load_default(size)
    # The basic layout is the same whether or not Pillow was built with another one.
    return ImageFont.truetype(path, size, layout_engine=ImageFont.Layout.BASIC)


class Canvas:
    """A picture being drawn, and what is drawn by chance."""

    def __init__(self, rng: np.random.Generator, side: int, unit: int, fonts: Fonts) -> None:
        """`unit` is a pixel of the page that is made, in pixels of the canvas."""
        self.rng = rng
        self.side = side
        self.unit = unit
        self.image = Image.new("RGB", (side, side), WHITE)
        self.draw = ImageDraw.Draw(self.image)
        # Pillow smooths text alone; what is scaled down afterwards is smoothed by that.
        self.draw.fontmode = "L" if unit == 1 else "1"
        self.fonts = fonts
        self.dark = self.chance(0.15)

    def chance(self, part: float) -> bool:
        """Say yes with probability `part`."""
        return bool(self.rng.random() < part)

    def whole(self, low: int, high: int) -> int:
        """Draw a number of page pixels from low..high, in pixels of the canvas."""
        return int(self.rng.integers(low, high + 1)) * self.unit

    def colour(self) -> Colour:
        """Draw any colour, many of them the plain ones of drawing programs."""
        levels = (0, 51, 102, 128, 153, 204, 255) if self.chance(0.5) else range(256)
        red, green, blue = (int(level) for level in self.rng.choice(levels, 3))
        return red, green, blue

    def paper(self) -> Colour:
        """Draw a background: most are white."""
        if self.dark:
            return BLACK if self.chance(0.3) else self._near(30)
        return WHITE if self.chance(0.75) else self._near(240)

    def surface(self) -> Colour:
        """Draw what desktops and bars of windows are painted with: much of it is grey."""
        return self.colour() if self.chance(0.4) else self._near(40 if self.dark else 225)

    def ink(self) -> Colour:
        """Draw what is legible on it."""
        if self.chance(0.25):
            red, green, blue = (c // 2 + 128 * self.dark for c in self.colour())
            return red, green, blue
        return (WHITE if self.dark else BLACK) if self.chance(0.7) else self._near(200 * self.dark)

    def _near(self, level: int) -> Colour:
        red, green, blue = (int(np.clip(level + self.rng.normal(0, 10), 0, 255)) for _ in range(3))
        return red, green, blue

    def font(self, low: int = 8, high: int = 40) -> Font:
        """Draw a font, of a size from low..high page pixels, small ones more often."""
        size = round(float(np.exp(self.rng.uniform(np.log(low), np.log(high)))) * self.unit)
        return _font(self.fonts[int(self.rng.integers(len(self.fonts)))], size)

    def words(self, count: int) -> str:
        """Draw words, with spaces between."""
        return " ".join(_WORDS[i] for i in self.rng.integers(len(_WORDS), size=count))

    def number(self) -> str:
        """Draw a number as tables have them."""
        digits = int(self.rng.integers(4))
        return f"{self.rng.normal(0, 10.0 ** self.rng.integers(4)):,.{digits}f}"

    def point(self, box: Box) -> tuple[int, int]:
        """Draw a place inside a box: x, y."""
        left, top, right, bottom = box
        x, y = (
            self.rng.integers(left, max(right, left + 1)),
            self.rng.integers(top, max(bottom, top + 1)),
        )
        return int(x), int(y)


def height(font: Font) -> int:
    """Return the height of a line of text in pixels, without what is between lines."""
    _, top, _, bottom = font.getbbox("Áy")
    return max(1, round(bottom - min(top, 0)))


def fitting(text: str, font: Font, wide: int) -> str:
    """Leave out the last words until the text fits; one word stays."""
    words = text.split(" ")
    while len(words) > 1 and font.getlength(" ".join(words)) > wide:
        words.pop()
    return " ".join(words)
