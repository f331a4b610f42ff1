"""Files of tokens: Parquet, .npz or .tar, as their suffixes say.

Any number of pictures fits into one: a picture is in memory at a time, of Parquet a group of rows.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TypeAlias

from vqcodec.codec.loading import ModelLike
from vqcodec.storage import write_whole
from vqcodec.tokens import archive, parquet
from vqcodec.tokens.codebook import Codebooks, NamedCodebook, codebook_of
from vqcodec.tokens.coding import model_of_tokens
from vqcodec.tokens.record import Tokens

PathLike: TypeAlias = "str | os.PathLike[str]"


@dataclass(frozen=True, slots=True)
class Format:
    """How files of one suffix are written and read."""

    write: Callable[[IO[bytes], Iterable[Tokens | NamedCodebook]], None]
    pictures: Callable[[IO[bytes]], Iterator[Tokens]]
    codebooks: Callable[[IO[bytes]], Codebooks]


FORMATS = {
    ".parquet": Format(parquet.write, parquet.read, parquet.codebooks),
    ".npz": Format(
        archive.write_npz,
        lambda stream: archive.pictures(archive.npz_members(stream)),
        lambda stream: archive.codebooks(archive.npz_members(stream)),
    ),
    ".tar": Format(
        archive.write_tar,
        lambda stream: archive.pictures(archive.tar_members(stream)),
        lambda stream: archive.codebooks(archive.tar_members(stream)),
    ),
}


def write(
    path: PathLike,
    pictures: Iterable[Tokens],
    *,
    model: ModelLike = None,
    overwrite: bool = False,
) -> None:
    """Write pictures to a .parquet, .npz or .tar file, and their models' codebooks beside them.

    Pictures are taken one after the other and not kept, and the file appears whole or not at
    all. A .npz file's list of contents takes about 1 KB of memory a picture; the others take
    nothing. Models are found by their hashes; `model` gives one that is not installed.

    Raises: ValueError for another suffix; MissingPackageError for Parquet without pyarrow;
    ModelError; OSError, as FileExistsError unless `overwrite`; what the pictures' iterator
    raises.
    """
    form = format_of(path)
    items = _with_codebooks(pictures, model)
    write_whole(Path(path), lambda stream: form.write(stream, items), overwrite=overwrite)


def read(path: PathLike) -> Iterator[Tokens]:
    """Return an iterator over the pictures of a file of tokens, in its order.

    Raises: ValueError for another suffix. The iterator raises: TokensError if the file is wrong;
    MissingPackageError; OSError.
    """
    return _pictures(Path(path), format_of(path))


def codebooks(path: PathLike) -> Codebooks:
    """Return the codebooks of a file of tokens, by model and quality.

    Raises: ValueError for another suffix; TokensError if the file is wrong; MissingPackageError;
    OSError.
    """
    form = format_of(path)
    with Path(path).open("rb") as stream:
        return form.codebooks(stream)


def format_of(path: PathLike) -> Format:
    """Return the format that a path's suffix names. Raises: ValueError."""
    form = FORMATS.get(Path(path).suffix.lower())
    if form is None:
        raise ValueError(f"{os.fspath(path)}: files of tokens end in {', '.join(FORMATS)}")
    return form


def _pictures(path: Path, form: Format) -> Iterator[Tokens]:
    with path.open("rb") as stream:
        yield from form.pictures(stream)


def _with_codebooks(
    pictures: Iterable[Tokens], model: ModelLike
) -> Iterator[Tokens | NamedCodebook]:
    """Yield each codebook before the first picture that it is of."""
    known = set()
    for tokens in pictures:
        key = tokens.model, tokens.quality
        if key not in known:
            known.add(key)
            codebook = codebook_of(model_of_tokens(tokens, model, "cpu"), tokens.quality)
            yield NamedCodebook(model=tokens.model, quality=tokens.quality, codebook=codebook)
        yield tokens
