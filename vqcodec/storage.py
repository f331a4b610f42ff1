"""Files that appear whole or not at all and survive a power cut, and the end of sources.

Where it can be, a file has no name until all of it is on disk: a process that is killed
leaves nothing behind, and nothing that others made is ever opened, replaced or removed.
That takes Linux and most of its file systems. Elsewhere a file first has a hidden name, and
so it has for the moment in which it replaces another, since only renaming does that at
once. Who is killed then leaves the hidden file, and a later run removes it.

A file is written where it is named: through a link only to a file that exists, and nowhere
outside the folder that results belong in.
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import zip_longest
from pathlib import Path
from typing import IO, TypeAlias

from vqcodec.errors import SourceKeptError

_PREFIX, _SUFFIX = ".vqcodec-", ".part"
_STALE_SECONDS = 24 * 3600.0
"""No file is written for as long as this, and no two clocks or time zones differ by it."""

State: TypeAlias = tuple[int, ...]
"""What changes when a file does."""
Writer: TypeAlias = "Callable[[IO[bytes]], object]"
"""Writes the contents of a file into one that has a descriptor and can seek."""
FolderWriter: TypeAlias = "Callable[[Callable[[str, bytes], None]], object]"
"""Writes the files of a folder by calling what it is given with the name and bytes of each."""
BytesLike: TypeAlias = "str | os.PathLike[str] | bytes | bytearray | memoryview | IO[bytes]"
"""The path of a file, its bytes, or a file object that is open for reading them."""


def bytes_of(source: BytesLike) -> bytes:
    """Return the bytes of what a caller gave as a file.

    Raises: ValueError if it is none; OSError.
    """
    if isinstance(source, (str, os.PathLike)):
        return Path(source).read_bytes()
    read = getattr(source, "read", None)
    data = read() if callable(read) else source
    if not isinstance(data, (bytes, bytearray, memoryview)):
        raise ValueError(
            f"expected a path, bytes or a file open for reading bytes, got {type(source).__name__}"
        )
    return bytes(data)


def write_whole(
    target: Path,
    data: bytes | Writer,
    *,
    overwrite: bool,
    inside: Path | None = None,
    mode: int = 0o666,
    check: Callable[[bytes], None] | None = None,
) -> None:
    """Write a file and flush it, its folder and folders made for it to disk. Its contents are
    bytes, or what a function writes into a file that is open for reading and writing.

    A new file has the permissions of `mode` that the process's umask leaves; one that is
    overwritten keeps its own.

    `inside` is the folder that the file must really be in, at any depth, whatever links lead
    to; None is the target's own. The file of a link is written if it exists. `check` is called
    with the bytes read back, before anything has the target's name, and raises if they are
    wrong. A target that exists and is not to be overwritten will do if it holds the same bytes.

    Raises: OSError that names the target, among them FileExistsError and, for links that are
    not followed, PermissionError; what `check` raises.
    """
    real = _real(target, target.parent if inside is None else inside)
    _make_folder(real.parent)
    write = data if callable(data) else lambda stream: stream.write(data)
    try:
        _write(real, write, overwrite, mode & 0o666, check)
    except OSError as error:
        # The hidden name would tell nobody anything, and writing knows no name.
        error.filename, error.filename2 = str(target), None
        raise


def write_folder(
    target: Path, write: FolderWriter, *, inside: Path | None = None, mode: int = 0o666
) -> None:
    """Write a new folder of files, which gets its name when all of them are on disk.

    `inside` and `mode`, that of the files, are as for `write_whole`; who may read the files may
    open the folder. Who is killed leaves a hidden folder, which a later run removes.

    Raises: OSError that names the target, also if anything but an empty folder has its name.
    """
    real = _real(target, target.parent if inside is None else inside)
    _make_folder(real.parent)
    hidden = real.parent / f"{_PREFIX}{secrets.token_hex(8)}{_SUFFIX}"
    try:
        hidden.mkdir(0o700 | mode & 0o666 | (mode & 0o444) >> 2)
        write(lambda name, data: write_whole(hidden / name, data, overwrite=False, mode=mode))
        hidden.rename(real)
    except OSError as error:
        error.filename, error.filename2 = str(target), None
        raise
    finally:
        shutil.rmtree(hidden, ignore_errors=True)
        _remove_stale(real.parent)
    _flush_folder(real.parent)


def state_of(source: Path) -> State:
    """Return the state of a file, to be taken before it is read. Raises: OSError."""
    found = source.stat()
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def remove_source(source: Path, state: State) -> None:
    """Delete a file that has been read.

    It is first set aside under a name of its own in the same folder, so that what is compared
    is what is deleted, and what others put under the old name meanwhile stays. A file that has
    changed is put back, which replaces nothing; where that is not possible it keeps the name
    that it was set aside under. So does the file of a process that is killed in between:
    no run removes it.

    Raises: SourceKeptError if it is not as it was; OSError.
    """
    _compare(source, state)
    aside = _aside(source)
    try:
        source.rename(aside)
        _compare(aside, state)
        aside.unlink()
    except BaseException:
        _put_back(aside, source)
        raise


def _compare(source: Path, state: State) -> None:
    if state_of(source) != state:
        raise SourceKeptError(
            "kept: it changed after it was read, and the result holds what it was",
            hint="compress it again",
        )


def _aside(source: Path) -> Path:
    """Return a name that no file has, says what the file is, and is none of a picture."""
    # File systems take names of 255 bytes.
    own = os.fsencode(source.name)[:200].decode(errors="ignore")
    return source.with_name(f"{own}.set-aside-by-vqcodec-{secrets.token_hex(8)}")


def _put_back(aside: Path, source: Path) -> None:
    """Give a file its name again, unless another has it or the file system has no hard links."""
    try:
        # A link among the sources is moved as the link that it is, where the system can.
        os.link(aside, source, follow_symlinks=os.link not in os.supports_follow_symlinks)
    except FileNotFoundError:
        return  # not yet renamed, or deleted already
    except OSError as error:
        raise SourceKeptError(f"kept as {aside}: its own name cannot be given back") from error
    aside.unlink()


def _real(target: Path, folder: Path) -> Path:
    """Follow the links of a target. Raises PermissionError if one leads out of the folder, or
    to nothing.
    """
    root, real = Path(os.path.realpath(folder)), Path(os.path.realpath(target))
    links = [path for path in (target, *target.parents) if path.is_symlink()]
    if dangling := [link for link in links if not link.exists()]:
        raise _not_followed(target, dangling[0], "does not exist")
    if not real.is_relative_to(root):
        raise _not_followed(target, links[0] if links else target, f"is outside of {root}")
    return real


def _not_followed(target: Path, link: Path, reason: str) -> PermissionError:
    message = f"not written, as {link} leads to {os.path.realpath(link)}, which {reason}"
    return PermissionError(errno.EPERM, message, str(target))


def _write(
    target: Path,
    write: Writer,
    overwrite: bool,
    mode: int,
    check: Callable[[bytes], None] | None,
) -> None:
    folder = target.parent
    hidden = folder / f"{_PREFIX}{secrets.token_hex(8)}{_SUFFIX}"
    file = _open_nameless(folder, mode)
    has_name = file is None
    try:
        with file or _open_named(hidden, mode) as stream:
            write(stream)
            stream.flush()
            os.fsync(stream.fileno())
            if check is not None:
                check(_read_back(stream))
            try:
                if not has_name:
                    _link_nameless(stream, hidden if overwrite else target)
                if overwrite:
                    _replace(hidden, target)
                elif has_name:
                    _rename(hidden, target)
            except FileExistsError:
                if not _holds(target, stream):
                    raise _exists() from None
    finally:
        if has_name or overwrite:
            hidden.unlink(missing_ok=True)
            _remove_stale(folder)
    _flush_folder(folder)


def _open_named(path: Path, mode: int) -> IO[bytes]:
    """Open a new file."""
    return open(path, "x+b", opener=lambda name, flags: os.open(name, flags, mode))


def _open_nameless(folder: Path, mode: int) -> IO[bytes] | None:
    """Open a new file that has no name, or return None where there is no such thing."""
    if not hasattr(os, "O_TMPFILE") or not Path("/proc/self/fd").is_dir():
        return None
    try:
        return os.fdopen(os.open(folder, os.O_TMPFILE | os.O_RDWR, mode), "w+b")
    except OSError:
        return None  # what else is wrong with the folder, opening a named file will tell


def _link_nameless(stream: IO[bytes], name: Path) -> None:
    opened = os.open("/proc/self/fd", os.O_RDONLY)
    try:
        # Only with a folder given does Python call linkat, which follows the link in /proc.
        os.link(str(stream.fileno()), name, src_dir_fd=opened)
    finally:
        os.close(opened)


def _replace(hidden: Path, target: Path) -> None:
    if target.exists():
        hidden.chmod(target.stat().st_mode & 0o777)
    os.replace(hidden, target)


def _rename(hidden: Path, target: Path) -> None:
    """Rename without replacing what may have appeared meanwhile."""
    try:
        os.link(hidden, target)
    except FileExistsError:
        raise
    except OSError:  # memory cards have no hard links
        if target.exists():
            raise _exists() from None
        os.replace(hidden, target)


def _holds(target: Path, written: IO[bytes]) -> bool:
    """Tell whether a file has the bytes of another, flushed to disk whoever wrote it."""
    if not target.is_file():
        return False
    with target.open("r+b") as stream:
        os.fsync(stream.fileno())
        written.seek(0)
        return all(
            ours == theirs
            for ours, theirs in zip_longest(_pieces(written), _pieces(stream), fillvalue=b"")
        )


def _pieces(stream: IO[bytes]) -> Iterator[bytes]:
    return iter(partial(stream.read, 1 << 20), b"")


def _exists() -> FileExistsError:
    return FileExistsError(errno.EEXIST, "exists and holds something else")


def _read_back(stream: IO[bytes]) -> bytes:
    """Return a flushed file's bytes, from the disk where the system can forget its copy."""
    if hasattr(os, "posix_fadvise"):
        os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    stream.seek(0)
    return stream.read()


def _make_folder(folder: Path) -> None:
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise NotADirectoryError(errno.ENOTDIR, "not a folder", str(folder)) from error
    for path in made:
        _flush_folder(path.parent)


def _flush_folder(folder: Path) -> None:
    """Make new names in a folder survive a power cut."""
    if os.name == "nt":
        return  # folders cannot be opened there
    try:
        opened = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EINVAL):
            raise
        os.sync()  # a folder that may not be read, or that cannot be flushed by itself


def _remove_stale(folder: Path) -> None:
    """Remove hidden files and folders that killed processes left, but none that another is
    writing.
    """
    for path in folder.glob(f"{_PREFIX}*{_SUFFIX}"):
        try:
            if time.time() - path.lstat().st_mtime <= _STALE_SECONDS:
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
        except OSError:
            continue  # another process was quicker, or it is not ours to remove
