"""What is done with one picture file, as `vqcodec.batch` has it done with many.

Copies of these classes are sent to processes that have loaded nothing yet, and options are read
before anything is decoded. Therefore what is slow to import is imported where it is used.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import PurePath
from typing import TYPE_CHECKING

from vqcodec.batch.dates import modified_of, set_modified
from vqcodec.batch.job import Bar, Job, Outcome, compared
from vqcodec.batch.removal import Removal, remove
from vqcodec.codec.effort import Effort
from vqcodec.codec.search import Wish
from vqcodec.container.layout import Limits

if TYPE_CHECKING:
    from vqcodec.image.accounting import Inventory
    from vqcodec.image.choosing import Encoded
    from vqcodec.models.model import PictureModel
    from vqcodec.refinement.refiner import Refiner

_RAW = "camera raw: develop them first"
_HEIF = "pip install pillow-heif reads them"
ADVICE = dict.fromkeys((".heic", ".heif", ".hif"), _HEIF) | dict.fromkeys(
    (
        ".arw",
        ".cr2",
        ".cr3",
        ".crw",
        ".nef",
        ".nrw",
        ".orf",
        ".pef",
        ".raf",
        ".raw",
        ".rw2",
        ".srw",
    ),
    _RAW,
)
"""What to do with pictures of other kinds, by their suffix."""

_LOSSY = {".jpg", ".jpeg", ".jfif", ".webp", ".avif", *ADVICE}
_LARGER = "the result is larger"
_STEP = 1.7
"""How long a step of refinement takes, where all else takes 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What is taken of a picture file."""

    max_pixels: int = Limits().pixels
    value_range: tuple[float, float] | None = None
    """Values of black and white in pictures of real or 32-bit numbers; None: these are refused."""
    strip: bool = False
    """Leave out all metadata; alpha is kept."""
    mtime: bool = True
    """Take the date of the file along."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Compression:
    """Picture files become .vqc files."""

    model: str | None = None
    device: str = "cpu"
    prior: bool = True
    wish: Wish = field(default_factory=Wish)
    effort: Effort = field(default_factory=Effort)
    reading: Reading = field(default_factory=Reading)
    removal: Removal = field(default_factory=Removal)

    def ready(self) -> Callable[[Job, Bar], Outcome]:
        """Load the model, if one is needed, and what refines its indices.

        Raises: ModelError; ValueError for a device that is not there, or an effort that is not
        possible.
        """
        from vqcodec.image.pipeline import picture_model
        from vqcodec.image.refining import refiner_of

        model = None if self.wish.lossless else picture_model(self.model, self.device)
        return partial(self._compress, model, refiner_of(model, self.effort, self.device))

    def foresee(self, job: Job) -> Outcome:
        """Tell what would be lost of a picture that is to be deleted."""
        kept: tuple[str, ...] = ()
        if self.removal.remove_source:
            from vqcodec.image.survey import survey

            kept = _reasons(survey(job.read(), exact=self.wish.lossless))
        return Outcome(job=job, line=f"{job.source} -> {job.target}", kept=kept)

    def seconds(self, job: Job) -> float:
        """Guess by the file's size."""
        lossy = PurePath(job.source).suffix.lower() in _LOSSY
        refining = 1.0 + _STEP * self.effort.steps
        return job.megabytes * (10.0 if lossy else 1.0) * refining

    def _compress(
        self, model: PictureModel | None, refiner: Refiner | None, job: Job, bar: Bar
    ) -> Outcome:
        from vqcodec.image.pipeline import encode
        from vqcodec.image.reading import read_picture

        began = time.perf_counter()
        removes = self.removal.remove_source
        state = job.state() if removes else ()
        original = job.read()
        with bar(job.source) as progress:
            source = read_picture(
                original,
                max_pixels=self.reading.max_pixels,
                value_range=self.reading.value_range,
                strip=self.reading.strip,
                exact=self.wish.lossless,
                modified=modified_of(job.source) if self.reading.mtime else None,
            )
            encoded = encode(
                source.picture,
                model,
                self.wish,
                prior=self.prior,
                refiner=refiner,
                progress=progress,
            )
        check = partial(_confirm, job, bar, model, encoded)
        job.write(encoded.data, check if self.removal.verifies else None)
        before, after = len(original), len(encoded.data)
        is_larger = self.removal.is_too_large(before, after)
        kept: tuple[str, ...] = ()
        if removes:
            has_date = source.picture.metadata.modified is not None
            lacks_date = self.reading.mtime and not self.reading.strip and not has_date
            kept = _reasons(source.inventory)
            kept += ("the result lacks its date",) if lacks_date else ()
            kept += (_LARGER,) if is_larger else ()
            kept = kept or remove(job, state)
        loss = source.inventory.loss
        warned: tuple[str, ...] = (f"not kept: {loss}",) if loss and not removes else ()
        warned += (f"{_LARGER} than the picture file",) if is_larger and not removes else ()
        rate = 8 * after / math.prod(encoded.header.shape)
        seconds = time.perf_counter() - began
        return Outcome(
            job=job,
            line=f"{job.source} -> {job.target}: {before} -> {after} bytes, "
            f"{compared(before, after)}, {rate:.3f} bpp, {seconds:.2f} s",
            warnings=warned,
            before=before,
            after=after,
            rate=rate,
            kept=kept,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Decompression:
    """.vqc files become picture files."""

    model: str | None = None
    device: str = "cpu"
    crop: tuple[int, int, int, int] | None = None
    salvage: bool = False
    max_pixels: int = Limits().pixels
    suffix: str = ".png"
    """Names the format."""
    quality: int | None = None
    """Of a lossy format, 1 to 100."""
    thumbnail: int | None = None
    """Most pixels a side that pictures are shrunk to."""
    mtime: bool = True
    """Give results the dates of the pictures' files, where these are known."""

    def ready(self) -> Callable[[Job, Bar], Outcome]:
        """Load the model, if one is given. Raises: ModelError; ValueError for a device that is
        not there.
        """
        from vqcodec.engines.devices import pick_device
        from vqcodec.image.pipeline import picture_model

        pick_device(self.device)
        model = None if self.model is None else picture_model(self.model, self.device)
        return partial(self._decompress, model)

    def foresee(self, job: Job) -> Outcome:
        """Tell what would become of a file."""
        return Outcome(job=job, line=f"{job.source} -> {job.target}")

    def seconds(self, job: Job) -> float:
        """Guess by the file's size."""
        return job.megabytes * 100.0

    def _decompress(self, model: PictureModel | None, job: Job, bar: Bar) -> Outcome:
        from vqcodec.image.pipeline import decode
        from vqcodec.image.salvage import salvage
        from vqcodec.image.shrinking import shrunk
        from vqcodec.image.writing import format_of, write_picture

        began = time.perf_counter()
        data = job.read()
        losses: tuple[str, ...] = ()
        with bar(job.source) as progress:
            if self.salvage:
                found = salvage(
                    data,
                    model=model,
                    device=self.device,
                    max_pixels=self.max_pixels,
                    progress=progress,
                )
                picture, losses = found.picture, found.losses
            else:
                picture = decode(
                    data,
                    model=model,
                    device=self.device,
                    crop=self.crop,
                    max_pixels=self.max_pixels,
                    progress=progress,
                )
        if self.thumbnail is not None:
            picture = shrunk(picture, self.thumbnail)
        written = write_picture(picture, format_of(f"*{self.suffix}"), self.quality)
        job.write(written)
        warned = losses
        if self.mtime and job.is_file and picture.metadata.modified is not None:
            warned += set_modified(job.target, picture.metadata.modified)
        height, width = picture.pixels.shape[:2]
        seconds = time.perf_counter() - began
        return Outcome(
            job=job,
            line=f"{job.source} -> {job.target}: {width}x{height} pixels, {seconds:.2f} s",
            warnings=warned,
            before=len(data),
            after=len(written),
            salvaged=bool(losses),
        )


def is_picture(path: PurePath) -> bool:
    """Tell by its suffix whether a file is a picture that can be read here."""
    from vqcodec.image import opening

    return opening.is_picture(path)


def is_written(suffix: str) -> bool:
    """Tell whether pictures can be written in the format of a suffix."""
    from vqcodec.image import writing

    try:
        writing.format_of(f"*{suffix}")
    except ValueError:
        return False
    return True


def change_by(suffix: str, quality: int | None) -> str:
    """Say how the format of a suffix changes pixels once more; empty if it keeps them.

    Raises: ValueError if there is no such format to write, or it has no quality.
    """
    from vqcodec.image import writing

    name = writing.format_of(f"*{suffix}")
    if quality is not None and name not in ("JPEG", "WEBP", "AVIF"):
        raise ValueError(f"{suffix} is not lossy and has no quality")
    return writing.change_by(name, quality)


def _confirm(
    job: Job, bar: Bar, model: PictureModel | None, encoded: Encoded, written: bytes
) -> None:
    from vqcodec.image.pipeline import confirm

    with bar(f"verifying {job.target}") as progress:
        confirm(encoded, written, model, progress=progress)


def _reasons(inventory: Inventory) -> tuple[str, ...]:
    """Say why a picture file must be kept, if it must."""
    if not inventory.lost:
        return ()
    return (f"the result lacks {inventory.loss}",) if inventory.loss else inventory.lost
