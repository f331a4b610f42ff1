"""`vqcodec tokens`."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

import click

from vqcodec.batch.job import EXPECTED, Failure, read_input
from vqcodec.batch.listing import describe_left_out, list_files
from vqcodec.cli.options import (
    Compute,
    Placing,
    Running,
    compute_options,
    inputs_argument,
    max_pixels_option,
    model_option,
    ray_option,
)
from vqcodec.cli.process import prepare
from vqcodec.cli.progress import file_bar
from vqcodec.cli.terminal import echo, report_failure, warnings_shown
from vqcodec.counting import counted
from vqcodec.errors import PictureError
from vqcodec.image import jobs as picture_jobs
from vqcodec.media.jobs import is_vqc

if TYPE_CHECKING:
    from vqcodec.models.model import PictureModel
    from vqcodec.tokens import Tokens


@click.command("tokens")
@inputs_argument
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    required=True,
    type=click.Path(readable=False),
    help="Write tokens here: a .parquet, .npz or .tar (WebDataset) file; with --ray a folder.",
)
@click.option("-f", "--force", is_flag=True, help="Overwrite an existing file.")
@ray_option
@model_option
@click.option(
    "-q",
    "--quality",
    type=float,
    help="Of pictures, as for `vqcodec compress`; .vqc files have their own.",
)
@max_pixels_option
@compute_options()
def command(
    inputs: tuple[str, ...],
    output: str,
    force: bool,
    address: str | None,
    model: str | None,
    quality: float | None,
    max_pixels: int,
    compute: Compute,
) -> int:
    """Write pictures as tokens, for models of other kinds.

    IN is a picture, a .vqc file, a folder (every one of these in it) or '-' (stdin). Of each
    picture the indices of its .vqc file are written, with its shape, quality, model and name,
    and the models' codebooks once. The tokens of .vqc files are taken as they are. With --ray
    there is a Parquet file for every few hundred pictures, and a second run goes on.
    """
    if address is not None:
        from vqcodec.cli.cluster import require_ray, run_cluster

        require_ray()
        from vqcodec.cluster.shards import Tokenising

        work = Tokenising(
            model=model, quality=quality, device=compute.device, max_pixels=max_pixels
        )
        placing = Placing(output=None, directory=output, force=force, skip_existing=not force)
        running = Running(jobs=None, dry_run=False)
        return run_cluster(
            inputs,
            placing,
            running,
            work,
            compute,
            address,
            suffix=".parquet",
            is_input=_is_input,
            shards=True,
        )
    from vqcodec.image.pipeline import picture_model
    from vqcodec.tokens.files import format_of, write

    format_of(output)
    if not force and Path(output).exists():
        raise FileExistsError(errno.EEXIST, "exists", output)
    prepare(compute.threads)
    with warnings_shown("models"):
        loaded = None if model is None else picture_model(model, compute.device)
    files, failures = _files(inputs)
    run = _Run(loaded, quality, compute.device, max_pixels, failures)
    with file_bar(len(files)) as advance:
        write(output, run.tokens(files, advance), model=loaded, overwrite=force)
    count = f"{run.pictures} of {len(files)} pictures"
    if not run.failures:
        count = counted(run.pictures, "picture")
    size = Path(output).stat().st_size
    echo(f"{output}: {count}, {counted(run.indices, 'token')}, {size} bytes")
    return max((failure.code for failure in run.failures), default=0)


@dataclass(slots=True)
class _Run:
    """Makes tokens of one file after the other, tells what fails and counts the rest."""

    model: PictureModel | None
    quality: float | None
    device: str
    max_pixels: int
    failures: list[Failure]
    pictures: int = field(default=0, init=False)
    indices: int = field(default=0, init=False)

    def tokens(
        self, files: Sequence[tuple[str, str]], advance: Callable[[], None]
    ) -> Iterator[Tokens]:
        """Yield the tokens of files. Raises PictureError if there are none."""
        for path, name in files:
            tokens = self._tokens_of(path, name)
            advance()
            if tokens is not None:
                self.pictures += 1
                self.indices += tokens.indices.size
                yield tokens
        if not self.pictures:
            raise PictureError("no file has tokens: nothing was written")

    def _tokens_of(self, path: str, name: str) -> Tokens | None:
        from vqcodec.tokens import tokenize

        try:
            with warnings_shown(path):
                return tokenize(
                    read_input(path),
                    name=name,
                    model=self.model,
                    quality=self.quality,
                    device=self.device,
                    max_pixels=self.max_pixels,
                )
        except EXPECTED as error:
            failure = Failure.of(error)
            report_failure(failure, path)
            self.failures.append(failure)
            return None


def _files(inputs: Sequence[str]) -> tuple[list[tuple[str, str]], list[Failure]]:
    """List the files that inputs name, each with the name of its picture, and what is wrong."""
    files, failures = [], []
    for text in inputs:
        listing = list_files(text, _is_input)
        for failure in listing.failures:
            report_failure(failure)
        failures += listing.failures
        files += [(path, _utf8(relative)) for path, relative in listing.files]
        if left_out := describe_left_out(listing.left_out, picture_jobs.ADVICE):
            echo(f"vqcodec: {left_out}", err=True)
    return files, failures


def _is_input(path: PurePath) -> bool:
    return is_vqc(path) or picture_jobs.is_picture(path)


def _utf8(name: PurePath) -> str:
    """Return a name with / between folders; what is no UTF-8 of it is replaced."""
    return os.fsencode(name.as_posix()).decode("utf-8", "replace")
