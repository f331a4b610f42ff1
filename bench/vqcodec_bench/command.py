"""The command line: `vqcodec bench`."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click

from vqcodec.batch.listing import list_files
from vqcodec.cli.terminal import echo, report
from vqcodec.storage import write_whole
from vqcodec_bench.peers import PEERS, USUAL, Codec, Vqcodec

_NEEDED = ("matplotlib", "bjontegaard", "ssimulacra2", "pytorch_msssim")


@click.command("bench")
@click.argument("inputs", metavar="FOLDER|FILE...", nargs=-1, required=True)
@click.option(
    "--peers",
    default=",".join(USUAL),
    show_default=True,
    help=f"Codecs to compare with, of {', '.join(PEERS)}; or 'none'.",
)
@click.option("--models", help="Models of vqcodec; default: all shipped ones; or 'none'.")
@click.option(
    "--qualities",
    metavar="CODEC=Q,Q...",
    multiple=True,
    help="Other qualities for a codec, e.g. jpeg=20,50,80; again for other codecs.",
)
@click.option("--speed", is_flag=True, help="Also measure seconds and memory.")
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    default=os.cpu_count() or 1,
    help="Processes; default: one per core.",
)
@click.option(
    "--out",
    metavar="DIR",
    type=click.Path(file_okay=False),
    default="report",
    show_default=True,
    help="Where results, plots, page and cache go.",
)
@click.option(
    "--page-pictures",
    type=click.IntRange(min=0),
    default=24,
    show_default=True,
    help="The page's slider has at most this many pictures, and at most 96 MB of them.",
)
def command(
    inputs: tuple[str, ...],
    peers: str,
    models: str | None,
    qualities: tuple[str, ...],
    speed: bool,
    jobs: int,
    out: str,
    page_pictures: int,
) -> int:
    """Compare vqcodec with other codecs on pictures of your own.

    Writes results.json, summary.csv, plots and report.html. What has been measured is
    kept in DIR/cache: a second run computes only what changed, and Ctrl-C loses nothing.
    """
    lacking = [name for name in _NEEDED if find_spec(name) is None]
    if lacking:
        report(f"{', '.join(lacking)} not installed", 'pip install "vqcodec[bench]"')
        return 1
    codecs = _codecs(peers, models)
    _set_qualities(codecs, qualities)
    folder = Path(out)
    paths = _pictures(inputs, folder)

    from vqcodec_bench.results import collect, measure_speed, write

    progress = _Progress()
    interrupted = False
    try:
        collected = collect(codecs, paths, folder=folder, jobs=jobs, progress=progress.show)
    except KeyboardInterrupt:
        progress.close()
        echo(f"vqcodec: interrupted; what was measured is in {folder / 'cache'}", err=True)
        return 130
    try:
        if speed:
            measure_speed(collected, codecs, progress.show)
    except KeyboardInterrupt:
        interrupted = True
    progress.close()
    results = collected.results
    for missing in results["missing"]:
        echo(f"vqcodec: {missing['codec']} is missing: {missing['why']}", err=True)
    for failed in results["failed"]:
        report(f"{failed['picture']}: {failed['why']}", "")
    if not results["points"]:
        return 1
    for name, data in write(collected, page_pictures):
        if data is None:
            (folder / name).unlink(missing_ok=True)
        else:
            write_whole(folder / name, data, overwrite=True)
    for line in (*_table(results), "", str(folder / "report.html")):
        echo(line)
    if interrupted:
        echo("vqcodec: interrupted; the report lacks some times", err=True)
        return 130
    return 1 if results["failed"] else 0


def _codecs(peers: str, models: str | None) -> list[Codec]:
    """Make the codecs named by --peers and --models, ours last, as they are drawn on top."""
    codecs: list[Codec] = []
    for name in _split(peers):
        if name not in PEERS:
            raise click.UsageError(f"--peers {name}: not one of {', '.join(PEERS)}")
        codecs.append(PEERS[name]())
    if models is None:
        from vqcodec.registry.store import list_models

        models = ",".join(file.name for file in list_models() if file.source == "shipped")
    for model in _split(models):
        if model == "paper":
            codecs.append(Vqcodec(model, prior=False))
        codecs.append(Vqcodec(model))
    names = [codec.name for codec in codecs]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise click.UsageError(f"two codecs would be called {twice[0]}")
    if not codecs:
        raise click.UsageError("neither --peers nor --models leaves a codec to measure")
    return codecs


def _set_qualities(codecs: Sequence[Codec], settings: Sequence[str]) -> None:
    named = {codec.name: codec for codec in codecs if not codec.ours}
    for setting in settings:
        name, _, values = setting.partition("=")
        if name not in named:
            raise click.UsageError(f"--qualities {setting}: not one of {', '.join(named)}")
        codec = named[name]
        low, high = codec.span
        try:
            qualities = tuple(float(value) for value in values.split(","))
        except ValueError:
            raise click.UsageError(f"--qualities {setting}: expected numbers") from None
        whole = codec.scale == "quality"
        if not all(low <= q <= high and (q.is_integer() or not whole) for q in qualities):
            kind = "whole numbers" if whole else "numbers"
            raise click.UsageError(f"--qualities {setting}: expected {kind} {low:g} to {high:g}")
        codec.qualities = tuple(dict.fromkeys(qualities))


def _pictures(inputs: Sequence[str], out: Path) -> list[Path]:
    """Files as named, and the pictures in folders by their suffix; none twice, and none of
    the report's own plots.
    """
    from vqcodec.image.opening import is_picture

    report_folder = out.resolve()
    found: dict[Path, None] = {}
    for text in inputs:
        inside = [Path(source).resolve() for source, _ in list_files(text, is_picture).files]
        inside = [path for path in inside if report_folder not in path.parents]
        if not inside:
            raise click.UsageError(f"{text}: no pictures in this folder")
        found |= dict.fromkeys(inside)
    return list(found)


def _split(text: str) -> list[str]:
    return [] if text == "none" else [part.strip() for part in text.split(",") if part.strip()]


def _table(results: dict[str, Any]) -> list[str]:
    """The mean curves, for the terminal."""
    labels = {codec["name"]: codec["label"] for codec in results["codecs"]}
    wide = max(map(len, labels.values()))
    lines = [f"{'codec':{wide}} quality     bpp   PSNR  MS-SSIM  SSIMULACRA2"]
    for row in results["curves"]:
        figures = [
            f"{row[key]:{size}.{places}f}" if row[key] is not None else f"{'-':>{size}}"
            for key, size, places in (("psnr", 6, 2), ("ms_ssim", 8, 4), ("ssimulacra2", 12, 2))
        ]
        label = labels[row["codec"]]
        lines.append(f"{label:{wide}} {row['quality']:7g} {row['bpp']:7.4f} {' '.join(figures)}")
    return lines


class _Progress:
    """A bar on stderr, where a person watches."""

    def __init__(self) -> None:
        from tqdm import tqdm

        self._tqdm = tqdm
        self._bar: tqdm[None] | None = None
        self._title = ""

    def show(self, title: str, done: int, total: int) -> None:
        if self._bar is None or title != self._title:
            self.close()
            self._bar = self._tqdm(
                total=total, initial=done, desc=title, disable=not sys.stderr.isatty()
            )
            self._title = title
        self._bar.update(done - self._bar.n)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None
