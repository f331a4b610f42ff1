"""What the paths of data say that is in it: who speaks, or of what class a picture is."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from vqcodec.errors import ModelCorruptError
from vqcodec.models.names import read_names


class PathNames:
    """Names by file, and by number."""

    setting: ClassVar[str]
    """What the recipe calls the pattern."""
    one: ClassVar[str]
    many: ClassVar[str]
    """What a name is of, and several are."""

    def __init__(
        self,
        paths: Sequence[Path],
        folders: Sequence[Path],
        pattern: str,
        names: Sequence[str] | None = None,
    ) -> None:
        """`folders` are those that files lie in. The first group of the regular expression
        `pattern` is the name, in the path below the folder; empty: the name is that of the folder
        a file lies in. `names` are all there are; None: those of the files, in alphabetic order.

        Raises ValueError for a file whose path has no name, or none of `names`, and for names that
        no model can have.
        """
        self._folders = folders
        self._pattern = pattern
        found = [self._name(path) for path in paths]
        self.names = tuple(sorted(set(found)) if names is None else names)
        try:
            read_names(list(self.names), self.one, self.many)
        except ModelCorruptError as error:
            raise ValueError(f"{self.setting}: {error}") from error
        numbers = {name: number for number, name in enumerate(self.names)}
        for path, name in zip(paths, found, strict=True):
            if name not in numbers:
                raise ValueError(f"{path}: the model knows no {self.one} {name!r}")
        self.numbers = [numbers[name] for name in found]
        """Of the files."""

    def number_of(self, path: Path) -> int | None:
        """Return the number of a file's name; None if it is none of these."""
        name = self._name(path)
        return self.names.index(name) if name in self.names else None

    def _name(self, path: Path) -> str:
        """Return a file's name; empty if its path has none."""
        if not self._pattern:
            return path.parent.name
        [folder, *_] = [folder for folder in self._folders if path.is_relative_to(folder)]
        found = re.search(self._pattern, path.relative_to(folder).as_posix())
        return (found[1] or "") if found else ""


class Speakers(PathNames):
    """Who speaks in recordings."""

    setting, one, many = "data.speaker", "speaker", "speakers"


class Labels(PathNames):
    """Of what class pictures are."""

    setting, one, many = "train.prior.label", "label", "labels"
