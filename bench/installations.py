"""Time installations of vqcodec side by side: what people wait for, and what they install.

    python bench/installations.py KODAK.png --python OLD/bin/python --python NEW/bin/python

Each interpreter has a vqcodec installed. Every figure is taken of one after the other, again and
again, so that what else the machine does falls on all alike; the least of each is printed, as
Markdown, with ratios to the first one's. Nothing else should run meanwhile.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image

_ROUNDS = 3
_SMALL_FILES = 200
_LARGE = (6000, 4000)
_DEFAULT = ""
"""Each installation's default model."""

WARM = """
import json, sys, time
import vqcodec
source, model, calls = sys.argv[1], sys.argv[2], int(sys.argv[3])
model = vqcodec.load_model(model or None)
def least(call):
    best = 1e9
    for _ in range(calls):
        began = time.perf_counter()
        result = call()
        best = min(best, time.perf_counter() - began)
    return best, result
compress, data = least(lambda: vqcodec.compress(source, model=model))
entropy, _ = least(lambda: vqcodec.indices(data, model=model))
decompress, _ = least(lambda: vqcodec.decompress(data, model=model))
print(json.dumps({"compress": compress, "decompress": decompress, "indices": entropy}))
"""

SIZE = """
import sys
from pathlib import Path
root = Path(sys.prefix)
files = {p.resolve() for p in root.rglob("*") if p.is_file()}
print(sum(p.stat().st_size for p in files if p.is_relative_to(root)) / 1e6)
"""

BUSY = "while True: pass"


class Installation:
    """An interpreter that has vqcodec."""

    def __init__(self, python: str, folder: Path) -> None:
        """`folder` is for its files."""
        self.python = Path(python).absolute()
        self.folder = folder
        folder.mkdir()

    def warm(self, picture: Path, model: str, calls: int) -> dict[str, float]:
        """Return seconds of calls inside a running program."""
        arguments = [str(picture), model, str(calls)]
        return dict(json.loads(self._output("-c", WARM, *arguments)))

    def command(self, *arguments: str) -> tuple[float, float]:
        """Run the command line; return seconds and the most memory it had, MB."""
        line = [str(self.python), "-m", "vqcodec", *arguments]
        began = time.perf_counter()
        process = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
        if status:
            said = process.stderr.read().decode() if process.stderr else ""
            raise SystemExit(f"{' '.join(line)}: {said}")
        return seconds, usage.ru_maxrss / 1024

    def megabytes(self) -> float:
        """Return the size of the environment, Python's own packages included."""
        return float(self._output("-c", SIZE))

    def _output(self, *arguments: str) -> str:
        line = [str(self.python), *arguments]
        return subprocess.run(line, check=True, capture_output=True, text=True).stdout


@contextmanager
def busy(count: int) -> Iterator[None]:
    """Let other processes have work without end meanwhile."""
    processes = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(count)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


Measure = Callable[[Installation], float]
Row = tuple[str, Measure, str]


def rows(picture: Path, large: Path, small: Path) -> Iterator[Row]:
    """Yield what is measured: its name, how, and its unit."""
    warm: dict[tuple[Installation, str], dict[str, float]] = {}

    def in_program(what: str, model: str) -> Measure:
        def measure(one: Installation) -> float:
            known = warm.setdefault((one, model), {})
            if what == "decompress":  # the others were taken with it
                for name, seconds in one.warm(picture, model, 5).items():
                    known[name] = min(seconds, known.get(name, seconds))
            return known[what]

        return measure

    def beside(what: str) -> Measure:
        def measure(one: Installation) -> float:
            with busy(os.cpu_count() or 1):
                return one.warm(picture, _DEFAULT, 3)[what]

        return measure

    def many(one: Installation) -> float:
        target = str(one.folder / "small")
        return one.command("compress", str(small), "-d", target, "-f")[0] / _SMALL_FILES

    yield "decompress, in a program", in_program("decompress", _DEFAULT), "s"
    yield "compress, in a program", in_program("compress", _DEFAULT), "s"
    yield "its entropy decoding", in_program("indices", _DEFAULT), "s"
    yield "`paper`: decompress, in a program", in_program("decompress", "paper"), "s"
    yield "decompress beside busy processes", beside("decompress"), "s"
    yield "compress beside busy processes", beside("compress"), "s"
    yield "`vqcodec decompress`, the whole process", _decompress(picture, 0), "s"
    yield "`vqcodec compress`, the whole process", _compress(picture, 0), "s"
    yield "24 megapixels: decompress, the whole process", _decompress(large, 0), "s"
    yield "its memory", _decompress(large, 1), "MB"
    yield "24 megapixels: compress, the whole process", _compress(large, 0), "s"
    yield "its memory", _compress(large, 1), "MB"
    yield f"{_SMALL_FILES} files of 256x256 in one command, each", many, "s"
    yield "installed", Installation.megabytes, "MB"


def _compress(source: Path, figure: int) -> Measure:
    """Return what measures `vqcodec compress`: figure 0 is seconds, 1 is memory."""

    def measure(one: Installation) -> float:
        target = str(one.folder / "made.vqc")
        return one.command("compress", str(source), "-o", target, "-f")[figure]

    return measure


def _decompress(source: Path, figure: int) -> Measure:
    """Return what measures `vqcodec decompress` in the same way."""

    def measure(one: Installation) -> float:
        compressed = one.folder / f"{source.stem}.vqc"
        if not compressed.exists():
            one.command("compress", str(source), "-o", str(compressed))
        target = str(one.folder / "made.png")
        return one.command("decompress", str(compressed), "-o", target, "-f")[figure]

    return measure


def sources(picture: Path, folder: Path) -> tuple[Path, Path]:
    """Make a picture of 24 megapixels, which is the given one repeated, and a folder of small
    ones that are cut out of it.
    """
    pixels = np.asarray(Image.open(picture).convert("RGB"))
    width, height = _LARGE
    down, across = -(-height // pixels.shape[0]), -(-width // pixels.shape[1])
    large = folder / "large.png"
    Image.fromarray(np.tile(pixels, (down, across, 1))[:height, :width]).save(large)
    small = folder / "small"
    small.mkdir()
    rng = np.random.default_rng(0)
    for number in range(_SMALL_FILES):
        top, left = (int(rng.integers(0, side - 255)) for side in pixels.shape[:2])
        Image.fromarray(pixels[top : top + 256, left : left + 256]).save(small / f"{number}.png")
    return large, small


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("picture", type=Path, help="a picture of about 768x512")
    parser.add_argument("--python", action="append", default=[], help="an interpreter")
    parser.add_argument("--only", default="", help="rows whose names contain this")
    options = parser.parse_args()
    pythons: Sequence[str] = options.python or [sys.executable]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        large, small = sources(options.picture, folder)
        installed = [
            Installation(python, folder / str(number)) for number, python in enumerate(pythons)
        ]
        print("| |", " | ".join(pythons), "|\n| --- |", " | ".join(["---:"] * len(pythons)), "|")
        for what, measure, unit in rows(options.picture, large, small):
            if options.only not in what:
                continue
            taken = [[measure(one) for one in installed] for _ in range(_ROUNDS)]
            least = [min(column) for column in zip(*taken, strict=True)]
            first, *others = (f"{value:.3g} {unit}" for value in least)
            ratios = [f" ({least[0] / value:.1f}x)" for value in least[1:]]
            cells = [first, *(a + b for a, b in zip(others, ratios, strict=True))]
            print(f"| {what} |", " | ".join(cells), "|", flush=True)


if __name__ == "__main__":
    main()
