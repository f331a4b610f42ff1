"""Tokens as archives of small files: .tar as WebDataset has it, or .npz as NumPy has it.

Picture 7 is `00000007.json`, which has its name, model, quality, height and width, and behind it
`00000007.indices.npy`, uint16 (rows, columns, groups). The codewords of each group, float32
(K, d), are `__codebooks__/MODEL.QUALITY.GROUP.npy`; WebDataset passes over such names.
"""

from __future__ import annotations

import errno
import json
import re
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO

import numpy as np
from numpy.typing import NDArray

from vqcodec.errors import TokensError
from vqcodec.tokens import arrays
from vqcodec.tokens.codebook import Codebooks, NamedCodebook
from vqcodec.tokens.record import INDICES_MAX, Tokens

CODEBOOKS_MAX = 1 << 28
"""Most bytes of all codebooks of a file."""
_FACTS_MAX = 1 << 16
"""Most bytes of what is said of a picture."""
_CODEBOOKS = "__codebooks__/"
_CODEBOOK_NAME = re.compile(r"([0-9a-f]{64})\.(\d{1,3})\.(\d{3,5})\.npy", re.ASCII)
_FACTS = {"name": str, "model": str, "quality": int, "height": int, "width": int}
_SIZES = {"json": _FACTS_MAX, "indices.npy": 2 * INDICES_MAX + arrays.HEADER_MAX}
"""The files of a picture by what follows its number, and most bytes of each."""
_WRONG = (
    *(tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, OverflowError),
    *(ValueError, LookupError, RuntimeError),
)
"""What Python's readers of archives raise for wrong ones."""


@dataclass(frozen=True, slots=True)
class Member:
    """A file in an archive."""

    name: str
    size: int
    read: Callable[[], bytes]

    def bytes_within(self, limit: int) -> bytes:
        """Return its bytes. Raises TokensError if these are more than the limit, or damaged."""
        if self.size > limit:
            raise TokensError(f"{self.name!r} has {self.size} bytes, the limit is {limit}")
        with _wrong_is_told(f"{self.name!r} cannot be read"):
            return self.read()


def write_tar(stream: IO[bytes], items: Iterable[Tokens | NamedCodebook]) -> None:
    """Write a .tar file into a stream."""
    for name, data in _files_of(items):
        entry = tarfile.TarInfo(name)
        entry.size = len(data)
        stream.write(entry.tobuf(tarfile.USTAR_FORMAT))
        stream.write(data + bytes(-len(data) % tarfile.BLOCKSIZE))
    stream.write(bytes(2 * tarfile.BLOCKSIZE))


def write_npz(stream: IO[bytes], items: Iterable[Tokens | NamedCodebook]) -> None:
    """Write an .npz file into a stream that can seek."""
    with zipfile.ZipFile(stream, "w") as archive:
        for name, data in _files_of(items):
            archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)


def _files_of(items: Iterable[Tokens | NamedCodebook]) -> Iterator[tuple[str, bytes]]:
    """Yield names and bytes of the files of pictures and codebooks."""
    number = 0
    for item in items:
        if isinstance(item, NamedCodebook):
            yield from codebook_files(item)
            continue
        height, width = item.shape
        facts = {
            "name": item.name,
            "model": item.model,
            "quality": item.quality,
            "height": height,
            "width": width,
        }
        yield f"{number:08}.json", json.dumps(facts).encode("ascii")
        yield f"{number:08}.indices.npy", arrays.pack(item.indices.astype(np.uint16))
        number += 1


def codebook_files(named: NamedCodebook, folder: str = _CODEBOOKS) -> Iterator[tuple[str, bytes]]:
    """Yield names and bytes of the files of a codebook, one for each group."""
    for group, codewords in enumerate(named.codebook):
        yield f"{folder}{named.model}.{named.quality}.{group:03}.npy", arrays.pack(codewords)


def tar_members(stream: IO[bytes]) -> Iterator[Member]:
    """Yield the files of a .tar file in their order. Raises TokensError if it is none."""
    with _wrong_is_told("not a .tar file"), tarfile.open(fileobj=stream, mode="r:") as archive:
        while (entry := archive.next()) is not None:
            archive.members.clear()  # type: ignore[attr-defined]  # or it would keep all of them
            content = archive.extractfile(entry) if entry.isreg() else None
            if content is not None:
                yield Member(entry.name, entry.size, content.read)


def npz_members(stream: IO[bytes]) -> Iterator[Member]:
    """Yield the files of an .npz file in their order. Raises TokensError if it is none."""
    with _wrong_is_told("not an .npz file"), zipfile.ZipFile(stream) as archive:
        for entry in archive.infolist():

            def read(entry: zipfile.ZipInfo = entry) -> bytes:
                with archive.open(entry) as content:
                    return content.read(entry.file_size + 1)

            yield Member(entry.filename, entry.file_size, read)


def pictures(members: Iterable[Member]) -> Iterator[Tokens]:
    """Yield the pictures of an archive. Raises TokensError if one is not as it is written here."""
    parts: dict[str, bytes] = {}
    current = ""
    for member in members:
        folder, slash, base = member.name.rpartition("/")
        number, _, kind = base.partition(".")
        if member.name.startswith(_CODEBOOKS) or kind not in _SIZES:
            continue
        key = folder + slash + number
        if parts and (key != current or kind in parts):
            raise TokensError(f"picture {current!r} is not complete")
        current = key
        parts[kind] = member.bytes_within(_SIZES[kind])
        if len(parts) == len(_SIZES):
            yield _picture(parts["json"], parts["indices.npy"])
            parts.clear()
    if parts:
        raise TokensError(f"picture {current!r} is not complete")


def codebooks(members: Iterable[Member], folder: str = _CODEBOOKS) -> Codebooks:
    """Return the codebooks of an archive. Raises TokensError if they are not as written here."""
    found: dict[tuple[str, int], dict[int, NDArray[np.float32]]] = {}
    left = CODEBOOKS_MAX
    for member in members:
        if not member.name.startswith(folder):
            continue
        named = _CODEBOOK_NAME.fullmatch(member.name[len(folder) :])
        if named is None:
            raise TokensError(f"{member.name!r} names no codebook")
        codewords = arrays.unpack(member.bytes_within(left), np.float32, 2)
        left -= member.size
        found.setdefault((named[1], int(named[2])), {})[int(named[3])] = codewords
    for (model, quality), groups in found.items():
        if max(groups) >= len(groups):
            raise TokensError(f"the codebook {model}.{quality} lacks a group")
    return {key: tuple(groups[n] for n in sorted(groups)) for key, groups in found.items()}


def _picture(facts: bytes, indices: bytes) -> Tokens:
    try:
        said = json.loads(facts)
        values = {key: said[key] for key in _FACTS}
        if any(type(values[key]) is not kind for key, kind in _FACTS.items()):
            raise TypeError("another type")
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise TokensError("what is said of a picture is not JSON with all facts") from error
    height, width = values.pop("height"), values.pop("width")
    return Tokens(indices=arrays.unpack(indices, np.uint16, 3), shape=(height, width), **values)


@contextmanager
def _wrong_is_told(message: str) -> Iterator[None]:
    try:
        yield
    except (*_WRONG, OSError) as error:
        # A place before the file's beginning is an invalid argument.
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            raise
        raise TokensError(f"{message}: {error}") from error
