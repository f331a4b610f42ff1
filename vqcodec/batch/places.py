"""Whether two paths are the same place in the file system."""

from __future__ import annotations

import os
from pathlib import Path


class Places:
    """Compares paths as the file system would, whether or not there is a file yet.

    What it finds out about folders it keeps, so it must not outlive a moment's planning.
    """

    def __init__(self) -> None:
        self._ignoring_case: dict[Path, bool] = {}

    def key(self, path: str) -> str:
        """Return what is equal for paths to the same place: links are followed, and case does
        not count where the file system ignores it.
        """
        real = os.path.normcase(os.path.realpath(path))
        return real.casefold() if self._ignores_case(Path(real).parent) else real

    def _ignores_case(self, folder: Path) -> bool:
        if folder not in self._ignoring_case:
            self._ignoring_case[folder] = self._find_out(folder)
        return self._ignoring_case[folder]

    def _find_out(self, folder: Path) -> bool:
        """Look whether an entry of the folder is also there with its case swapped; in a folder
        that is empty or not made yet, look at the one above.
        """
        try:
            with os.scandir(folder) as entries:
                names = (entry.name for entry in entries)
                name = next((name for name in names if name.swapcase() != name), None)
            if name is not None:
                swapped = folder / name.swapcase()
                return swapped.exists() and swapped.samefile(folder / name)
        except FileNotFoundError:
            pass
        except OSError:
            return False
        return folder != folder.parent and self._ignores_case(folder.parent)


def is_inside(path: str, folder: Path) -> bool:
    """Tell whether a path, links followed, leads to a place inside a folder."""
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))


def is_stdout(path: str) -> bool:
    """Tell whether a path is the file, pipe or device that stdout writes to."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(1))  # noqa: PTH116
    except (OSError, ValueError):
        return False
