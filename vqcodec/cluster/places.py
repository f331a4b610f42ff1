"""Where files come from and go to: folders on this machine or at any address of fsspec's."""

from __future__ import annotations

import posixpath
import secrets
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from fsspec.core import url_to_fs

_OBJECT_STORES = frozenset(
    {"abfs", "abfss", "adl", "az", "gcs", "gs", "memory", "oci", "s3", "s3a"}
)
"""Where a file appears at once and whole by itself, and renaming it would copy it."""


@dataclass(frozen=True, slots=True)
class Task:
    """A file, and what it becomes; both are paths inside their folders."""

    source: str
    target: str
    size: int
    """Bytes of the file, 0 if the file system does not say."""


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder at an address such as `photos/`, `s3://bucket/photos` or `hdfs://host/photos`."""

    address: str
    fs: Any = field(init=False, repr=False, compare=False)
    root: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        fs, root = url_to_fs(self.address)
        object.__setattr__(self, "fs", fs)
        object.__setattr__(self, "root", root)

    def __reduce__(self) -> tuple[type[Folder], tuple[str]]:
        """A copy in another process opens the address itself."""
        return Folder, (self.address,)

    @property
    def is_local(self) -> bool:
        """Whether files can be opened by their paths."""
        return "file" in _protocols(self.fs)

    def path(self, name: str) -> str:
        """Return the file system's path of a file inside the folder."""
        return posixpath.join(self.root, name)

    def fetch(self, name: str, local: str) -> None:
        """Copy a file to this machine. Raises: OSError."""
        self.fs.get_file(self.path(name), local)

    def put(self, local: str, name: str) -> None:
        """Copy a file from this machine; it appears whole or not at all. Raises: OSError."""
        path = self.path(name)
        self.fs.makedirs(posixpath.dirname(path), exist_ok=True)
        if _protocols(self.fs) & _OBJECT_STORES:
            self.fs.put_file(local, path)
            return
        folder, base = posixpath.split(path)
        hidden = posixpath.join(folder, f".vqcodec-{secrets.token_hex(8)}.{base[-100:]}")
        try:
            self.fs.put_file(local, hidden)
            self.fs.mv(hidden, path)
        except BaseException:
            if self.fs.exists(hidden):
                self.fs.rm_file(hidden)
            raise


def tasks(folder: Folder, is_input: Callable[[PurePosixPath], bool], suffix: str) -> Iterator[Task]:
    """Yield the files of a folder and those below it that `is_input` takes, folder by folder.

    photo.png becomes photo.vqc, or, where the same folder has a photo.jpg too, photo.png.vqc.
    Hidden files and folders are not seen. Raises: OSError if the folder cannot be read.
    """
    if not folder.fs.isdir(folder.root):
        raise NotADirectoryError(20, "not a folder", folder.address)
    for path, below, files in folder.fs.walk(folder.root, detail=True):
        for name in [name for name in below if name.startswith(".")]:
            del below[name]
        own = (
            posixpath.relpath(path, folder.root)
            if path.strip("/") != folder.root.strip("/")
            else ""
        )
        taken = [n for n in sorted(files) if not n.startswith(".") and is_input(PurePosixPath(n))]
        stems = Counter(PurePosixPath(name).with_suffix(suffix).name for name in taken)
        for name in taken:
            plain = PurePosixPath(name).with_suffix(suffix).name
            made = plain if stems[plain] == 1 else name + suffix
            size = int(files[name].get("size") or 0)
            yield Task(posixpath.join(own, name), posixpath.join(own, made), size)


def _protocols(fs: Any) -> set[str]:
    return {fs.protocol} if isinstance(fs.protocol, str) else set(fs.protocol)
