"""Drawn pages: text, tables, charts, windows, line art, flat colours, pixel art.

Photographs hold no flat white and few letters, and a codec that was trained on them alone puts
specks around text and a tint on paper. A page is a pure function of a generator, a side and
the fonts: the same ones give the same page.

Shapes are drawn without antialiasing, text with it, as on a screen; or all of it without, on a
canvas several times as large, which is then scaled down: never antialiased twice.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vqcodec.training.canvas import BLACK, WHITE, Box, Canvas, Fonts, fitting, height


def page(rng: np.random.Generator, side: int, fonts: Fonts) -> NDArray[np.uint8]:
    """Draw a part of a page: (side, side, 3), 0..255. `fonts` has at least one."""
    factor = int(rng.choice([1, 1, 1, 2, 3, 4]))
    canvas = Canvas(rng, side * factor, factor, fonts)
    kinds = [_document, _document, _document, _screen, _table, _chart, _lines, _poster, _sprites]
    kinds += [_fields, _fields]
    kinds[int(rng.integers(len(kinds)))](canvas, (0, 0, canvas.side, canvas.side))
    image = canvas.image
    return np.array(image.reduce(factor) if factor > 1 else image)


def _document(c: Canvas, box: Box) -> None:
    """Paragraphs in one or two columns, with headings, some coloured words, some rules."""
    left, top, right, bottom = box
    c.draw.rectangle(box, c.paper())
    columns = 1 if c.chance(0.7) else 2
    wide = (right - left) // columns
    ink, body = c.ink(), c.font(8, 26)
    for column in range(columns):
        x, y = left + column * wide + c.whole(-12, 24), top + c.whole(-14, 20)
        while y < bottom:
            heading = c.chance(0.12)
            font, colour = (c.font(14, 44), c.ink()) if heading else (body, ink)
            step = round(height(font) * c.rng.uniform(1.15, 1.6))
            for _ in range(1 if heading else int(c.rng.integers(1, 8))):
                text = fitting(c.words(12), font, left + (column + 1) * wide - x - c.whole(2, 8))
                tint = c.ink() if c.chance(0.08) else colour
                c.draw.text((x, y), text, tint, font)
                if c.chance(0.03):
                    c.draw.line(
                        (x, y + step - c.unit, x + wide // 3, y + step - c.unit), tint, c.unit
                    )
                y += step
            y += step // 2
            if c.chance(0.1):
                c.draw.line((x, y, x + wide, y), c.ink(), c.whole(1, 2))
                y += step // 2


def _table(c: Canvas, box: Box) -> None:
    """Rows and columns of numbers and words, ruled, striped or neither."""
    left, top, right, bottom = box
    paper, ink, font = c.paper(), c.ink(), c.font(8, 20)
    c.draw.rectangle(box, paper)
    high, ruled, striped = (
        round(height(font) * c.rng.uniform(1.3, 2.2)),
        c.chance(0.6),
        c.chance(0.4),
    )
    stripe, head = c.colour() if c.chance(0.3) else c.paper(), c.colour()
    edges = [left + c.whole(-20, 10)]
    while edges[-1] < right:
        edges.append(edges[-1] + c.whole(30, 90))
    for row, y in enumerate(range(top + c.whole(-10, 12), bottom, high)):
        fill = head if row == 0 else stripe if striped and row % 2 else paper
        shade = WHITE if sum(fill) < 380 else ink if not c.dark else BLACK
        for start, end in pairwise(edges):
            # Each cell covers what is too long for the one before.
            c.draw.rectangle((start, y, end, y + high - 1), fill)
            text = c.words(2) if row == 0 or start == edges[0] else c.number()
            c.draw.text(
                (start + 3 * c.unit, y + high // 8), fitting(text, font, end - start), shade, font
            )
            if ruled:
                c.draw.rectangle((start, y, end, y + high), outline=ink, width=c.unit)


def _chart(c: Canvas, box: Box) -> None:
    """Axes with labels, and curves, bars, points or a pie."""
    left, top, right, bottom = box
    c.draw.rectangle(box, c.paper())
    ink, font, grid = c.ink(), c.font(8, 14), (128, 128, 128) if c.dark else (221, 221, 221)
    x0, y0 = left + c.whole(5, 40), bottom - c.whole(5, 40)
    wide, high = max(right - x0, 8), max(y0 - top - c.whole(5, 30), 8)
    for part in np.linspace(0.0, 1.0, int(c.rng.integers(3, 8))):
        y, x = y0 - round(part * high), x0 + round(part * wide)
        if c.chance(0.8):
            c.draw.line((x0, y, x0 + wide, y), grid, c.unit)
        c.draw.text((left, y - height(font) // 2), c.number()[:5], ink, font)
        c.draw.text((x, y0 + 3 * c.unit), c.number()[:4], ink, font)
    kind, count = int(c.rng.integers(4)), int(c.rng.integers(4, 40))
    for _ in range(int(c.rng.integers(1, 5))):
        colour = c.colour()
        heights = np.clip(0.5 + np.cumsum(c.rng.normal(0.0, 0.12, count)), 0.02, 1.0)
        xs = [x0 + round(i * wide / count) for i in range(count)]
        points = [(x, y0 - round(h * high)) for x, h in zip(xs, heights, strict=True)]
        if kind == 0:
            c.draw.line(points, colour, c.whole(1, 3), joint="curve")
        elif kind == 1:
            for x, y in points:
                c.draw.rectangle((x, min(y, y0), x + wide // (2 * count), y0), colour)
        elif kind == 2:
            for x, y in points:
                reach = c.whole(1, 4)
                c.draw.ellipse((x - reach, y - reach, x + reach, y + reach), colour)
        else:
            reach, ends = min(wide, high) // 2, np.sort(c.rng.uniform(0, 360, 2))
            around = (x0, y0 - 2 * reach, x0 + 2 * reach, y0)
            c.draw.pieslice(around, float(ends[0]), float(ends[1]), colour, outline=c.paper())
    c.draw.line((x0, y0 - high, x0, y0, x0 + wide, y0), ink, c.whole(1, 2))
    c.draw.text((x0 + wide // 4, top), c.words(3), ink, c.font(10, 20))


def _screen(c: Canvas, box: Box) -> None:
    """Windows with bars, buttons and something inside, on a desktop."""
    c.draw.rectangle(box, c.surface())
    inside: list[Callable[[Canvas, Box], None]] = [_document, _table, _chart, _lines]
    for _ in range(int(c.rng.integers(1, 4))):
        x, y = c.point((box[0] - c.side // 2, box[1] - c.side // 3, box[2] // 2, box[3] // 2))
        window = (x, y, x + c.whole(110, 260), y + c.whole(90, 220))
        bar, radius, font = c.whole(12, 26), c.whole(0, 8), c.font(9, 15)
        title, frame = c.surface(), c.surface()
        c.draw.rounded_rectangle(window, radius, title, frame, c.unit)
        c.draw.text(
            (x + 2 * bar, y + bar // 6), c.words(3), WHITE if sum(title) < 380 else BLACK, font
        )
        for number in range(3):
            spot = x + bar // 4 + number * bar // 2
            c.draw.ellipse((spot, y + bar // 3, spot + bar // 3, y + 2 * bar // 3), c.colour())
        # What a window holds is drawn on a sheet of its own, so that its edges cut it.
        sheet = Canvas(c.rng, max(window[2] - x, window[3] - y), c.unit, c.fonts)
        room = (window[2] - x - 2 * c.unit, window[3] - y - bar - radius)
        inside[int(c.rng.integers(len(inside)))](sheet, (0, 0, room[0], room[1]))
        for _ in range(int(c.rng.integers(4))):
            _button(sheet, (0, 0, room[0], room[1]))
        c.image.paste(sheet.image.crop((0, 0, *room)), (x + c.unit, y + bar))


def _button(c: Canvas, box: Box) -> None:
    x, y = c.point(box)
    font, fill = c.font(9, 14), c.colour()
    text = c.words(1)
    end = (x + round(font.getlength(text)) + 12 * c.unit, y + round(height(font) * 1.7))
    c.draw.rounded_rectangle((x, y, *end), c.whole(0, 6), fill, c.ink(), c.unit)
    c.draw.text((x + 6 * c.unit, y + 2 * c.unit), text, WHITE if sum(fill) < 380 else BLACK, font)


def _lines(c: Canvas, box: Box) -> None:
    """Line art: strokes, curves, circles, hatching, and labels."""
    c.draw.rectangle(box, c.paper())
    ink, plain = c.ink(), c.chance(0.6)
    for _ in range(int(c.rng.integers(4, 24))):
        colour, width = ink if plain else c.ink(), c.whole(1, 3)
        kind, start, reach = int(c.rng.integers(6)), c.point(box), c.whole(4, 70)
        around = (start[0] - reach, start[1] - reach, start[0] + reach, start[1] + reach // 2)
        if kind == 0:
            c.draw.line([c.point(box) for _ in range(int(c.rng.integers(2, 6)))], colour, width)
        elif kind == 1:
            corners = np.array([c.point(box) for _ in range(4)], dtype=float)
            t = np.linspace(0.0, 1.0, 60)[:, None]
            weights = np.hstack([(1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3])
            c.draw.line(
                [(float(x), float(y)) for x, y in weights @ corners], colour, width, "curve"
            )
        elif kind == 2:
            c.draw.ellipse(around, outline=colour, width=width)
        elif kind == 3:
            c.draw.rectangle(around, outline=colour, width=width)
        elif kind == 4:
            for shift in range(0, 2 * reach, c.whole(3, 9)):
                c.draw.line(
                    (around[0] + shift, around[1], around[0], around[1] + shift), colour, c.unit
                )
        else:
            c.draw.text(start, c.words(2), colour, c.font(8, 24))


def _poster(c: Canvas, box: Box) -> None:
    """Flat colours and gradients with shapes, and large words on them."""
    if c.chance(0.5):
        corners = np.array([[c.colour(), c.colour()], [c.colour(), c.colour()]], dtype=np.uint8)
        corners[:, 1] = corners[:, 0] if c.chance(0.5) else corners[:, 1]
        size = (c.side, c.side)
        smooth = Image.fromarray(corners).resize(
            size, Image.Resampling.BILINEAR, (0.5, 0.5, 1.5, 1.5)
        )
        c.image.paste(smooth)
    else:
        c.draw.rectangle(box, c.colour())
    for _ in range(int(c.rng.integers(1, 9))):
        (x, y), reach = c.point(box), c.whole(6, 90)
        shape = int(c.rng.integers(3))
        if shape == 0:
            c.draw.ellipse((x - reach, y - reach, x + reach, y + reach), c.colour())
        elif shape == 1:
            c.draw.rectangle((x, y, x + reach, y + c.whole(6, 90)), c.colour())
        else:
            c.draw.polygon([c.point(box) for _ in range(int(c.rng.integers(3, 6)))], c.colour())
    for _ in range(int(c.rng.integers(4))):
        c.draw.text(c.point(box), c.words(2), c.colour(), c.font(16, 90))


def _fields(c: Canvas, box: Box) -> None:
    """Nothing but a few large rectangles of flat colours."""
    left, top, right, bottom = box
    c.draw.rectangle(box, c.colour())
    for _ in range(int(c.rng.integers(4))):
        x, y = c.point(box)
        ends = (right if c.chance(0.7) else left, bottom if c.chance(0.7) else top)
        xs, ys = sorted((x, ends[0])), sorted((y, ends[1]))
        c.draw.rectangle((xs[0], ys[0], xs[1], ys[1]), c.colour())


def _sprites(c: Canvas, box: Box) -> None:
    """Pixel art: small symmetric figures of few colours, enlarged to squares."""
    colours = [c.colour() for _ in range(int(c.rng.integers(2, 7)))]
    c.draw.rectangle(box, c.paper() if c.chance(0.5) else c.colour())
    for _ in range(int(c.rng.integers(1, 14))):
        high, half, enlarged = (int(n) for n in c.rng.integers([5, 3, 1], [17, 9, 9]))
        places = c.rng.integers(len(colours), size=(high, half))
        seen = c.rng.random((high, half)) < 0.6
        both = np.hstack([places, places[:, ::-1]])
        figure = Image.fromarray(np.array(colours, dtype=np.uint8)[both])
        mask = Image.fromarray(np.hstack([seen, seen[:, ::-1]]))
        size = (2 * half * enlarged * c.unit, high * enlarged * c.unit)
        c.image.paste(
            figure.resize(size, Image.Resampling.NEAREST),
            c.point(box),
            mask.resize(size, Image.Resampling.NEAREST),
        )
