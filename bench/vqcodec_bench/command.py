"""The command line: `vqcodec bench`."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from vqcodec.audio.formats import is_sound_name
from vqcodec.batch.listing import list_files
from vqcodec.cli.terminal import echo, report
from vqcodec.codec.beginnings import HEAD_BYTES, is_sound
from vqcodec.container import Medium as Kind
from vqcodec.errors import MissingPackageError
from vqcodec.media.jobs import is_input
from vqcodec.storage import write_whole
from vqcodec_bench import peers as picture_peers
from vqcodec_bench import sound_peers
from vqcodec_bench.codec import Codec, Content
from vqcodec_bench.medium import Medium


@click.command("bench")
@click.argument("inputs", metavar="FOLDER|FILE...", nargs=-1, required=True)
@click.option(
    "--peers",
    help=f"Codecs to compare with, of pictures {', '.join(picture_peers.PEERS)}; of sound "
    f"{', '.join(sound_peers.PEERS)}; or 'none'. Default: {','.join(picture_peers.USUAL)}; "
    f"{','.join(sound_peers.USUAL)}.",
)
@click.option(
    "--models", help="Models of vqcodec; default: all shipped ones of the medium; or 'none'."
)
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
    "--page-files",
    "--page-pictures",
    type=click.IntRange(min=0),
    help="The page shows at most this many files, and at most 96 MB of them. Default: 24 pictures "
    "or 6 sounds.",
)
def command(
    inputs: tuple[str, ...],
    peers: str | None,
    models: str | None,
    qualities: tuple[str, ...],
    speed: bool,
    jobs: int,
    out: str,
    page_files: int | None,
) -> int:
    """Compare vqcodec with other codecs on pictures, or on sound, of your own.

    Writes results.json, summary.csv, plots and report.html. What has been measured is
    kept in DIR/cache: a second run computes only what changed, and Ctrl-C loses nothing.
    """
    folder = Path(out)
    paths = _files(inputs, folder)
    medium = medium_of(paths)
    codecs = _codecs(medium, peers, models)
    _set_qualities(codecs, qualities)
    try:
        lacking = medium.requirements()
    except MissingPackageError as error:
        report(str(error), error.hint)
        return 1
    for metric, why in lacking.items():
        echo(f"vqcodec: {metric} is left out: {why}", err=True)

    from vqcodec_bench.results import collect, measure_speed, write

    progress = _Progress()
    interrupted = False
    try:
        collected = collect(medium, codecs, paths, folder=folder, jobs=jobs, progress=progress.show)
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
        report(f"{failed[medium.noun]}: {failed['why']}", "")
    if not results["points"]:
        return 1
    for name, data in write(collected, page_files):
        if data is None:
            (folder / name).unlink(missing_ok=True)
        else:
            write_whole(folder / name, data, overwrite=True)
    for line in (*_table(medium, results), "", str(folder / "report.html")):
        echo(line)
    if interrupted:
        echo("vqcodec: interrupted; the report lacks some times", err=True)
        return 130
    return 1 if results["failed"] else 0


def _files(inputs: Sequence[str], out: Path) -> list[Path]:
    """Files as named, and those in folders by their suffix; none twice, and none of the report's
    own plots.
    """
    report_folder = out.resolve()
    found: dict[Path, None] = {}
    for text in inputs:
        inside = [Path(source).resolve() for source, _ in list_files(text, is_input).files]
        inside = [path for path in inside if report_folder not in path.parents]
        if not inside:
            raise click.UsageError(f"{text}: no pictures and no sound in this folder")
        found |= dict.fromkeys(inside)
    return list(found)


def medium_of(paths: Sequence[Path]) -> Medium[Any]:
    """Find the medium of files by how they begin or else by their names; there must be one."""
    first = {_holds_sound(path): path for path in reversed(paths)}
    if len(first) > 1:
        text = f"{first[False]} is a picture and {first[True]} is sound"
        raise click.UsageError(f"{text}; a run is of one of both: give them to two runs")
    if True in first:
        from vqcodec_bench.sounds import Sounds

        return Sounds()
    from vqcodec_bench.pictures import Pictures

    return Pictures()


def _holds_sound(path: Path) -> bool:
    """Tell whether a file is sound: by how it begins or, where that says nothing, by its name."""
    try:
        with path.open("rb") as file:
            return is_sound(file.read(HEAD_BYTES)) or is_sound_name(path)
    except OSError:
        return is_sound_name(path)


def _codecs(medium: Medium[Content], peers: str | None, models: str | None) -> list[Codec[Content]]:
    """Make the codecs named by --peers and --models, ours last, as they are drawn on top."""
    codecs: list[Codec[Content]] = []
    for name in medium.usual if peers is None else _split(peers):
        if name not in medium.peers:
            known = ", ".join(medium.peers)
            raise click.UsageError(f"--peers {name}: not one of {medium.plural}' {known}")
        codecs.append(medium.peers[name]())
    for model in _models(medium.own.kind) if models is None else _split(models):
        if model == "paper":
            codecs.append(medium.own(model, prior=False))
        codecs.append(medium.own(model))
    names = [codec.name for codec in codecs]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise click.UsageError(f"two codecs would be called {twice[0]}")
    if not codecs:
        raise click.UsageError("neither --peers nor --models leaves a codec to measure")
    return codecs


def _models(kind: Kind) -> list[str]:
    from vqcodec.registry.store import list_models

    return [f.name for f in list_models() if f.source == "shipped" and f.medium is kind]


def _set_qualities(codecs: Sequence[Codec[Content]], settings: Sequence[str]) -> None:
    named = {codec.name: codec for codec in codecs if not codec.ours}
    for setting in settings:
        name, _, values = setting.partition("=")
        if name not in named:
            raise click.UsageError(f"--qualities {setting}: not one of {', '.join(named)}")
        try:
            qualities = tuple(float(value) for value in values.split(","))
        except ValueError:
            raise click.UsageError(f"--qualities {setting}: expected numbers") from None
        if refusal := named[name].refusal(qualities):
            raise click.UsageError(f"--qualities {setting}: expected {refusal}")
        named[name].qualities = tuple(dict.fromkeys(qualities))


def _split(text: str) -> list[str]:
    return [] if text == "none" else [part.strip() for part in text.split(",") if part.strip()]


def _table(medium: Medium[Content], results: dict[str, Any]) -> list[str]:
    """The mean curves, for the terminal."""
    labels = {codec["name"]: codec["label"] for codec in results["codecs"]}
    wide = max(map(len, labels.values()))
    titles = [f"{metric.label:>8}" for metric in medium.metrics.values()]
    lines = [f"{'codec':{wide}} quality {medium.rate:>8} {' '.join(titles)}"]
    for row in results["curves"]:
        texts = [
            "-" if row[key] is None else f"{row[key]:.{metric.places}f}"
            for key, metric in medium.metrics.items()
        ]
        figures = [text.rjust(len(title)) for text, title in zip(texts, titles, strict=True)]
        label = f"{labels[row['codec']]:{wide}}"
        lines.append(f"{label} {row['quality']:7g} {row[medium.rate]:8.4f} {' '.join(figures)}")
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
