"""The tokens of one picture."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vqcodec.container.layout import SIDE_MAX
from vqcodec.errors import TokensError

if TYPE_CHECKING:
    import torch

INDICES_MAX = 1 << 28
"""Most indices of a picture: at `photo`'s finest quality 2^28 pixels have 255/256 as many."""
NAME_MAX = 4096
"""Most characters of a name."""
_SHA256 = re.compile("[0-9a-f]{64}")
_INDEX_MAX = int(np.iinfo(np.uint16).max)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tokens:
    """The indices of one picture, and what they are indices of.

    Raises TokensError for values that no picture has. Whether they fit the model is found out
    where it is used.
    """

    indices: NDArray[np.integer]
    """(rows, columns, groups), of any integer type, each 0..65535; the first axis runs down."""
    shape: tuple[int, int]
    """Height and width of the picture in pixels."""
    quality: int
    """As a .vqc file's header has it: of `photo-2` sixteen times the quality, so that 120 is 7.5;
    0 if the model has none."""
    model: str
    """SHA-256 of the model's file, 64 lower-case hexadecimal digits."""
    name: str = ""
    """What the picture is called: its path inside the folder that it was in."""

    def __post_init__(self) -> None:
        height, width = self.shape
        indices = self.indices
        if indices.dtype.kind not in "iu" or indices.ndim != 3 or 0 in indices.shape[:2]:
            raise TokensError(
                f"indices are {indices.dtype} {indices.shape}, not integers (rows, columns, groups)"
            )
        if indices.size > INDICES_MAX:
            raise TokensError(f"{indices.size} indices are more than {INDICES_MAX}")
        if indices.min(initial=0) < 0 or indices.max(initial=0) > _INDEX_MAX:
            raise TokensError(f"an index is not 0 to {_INDEX_MAX}")
        if not (1 <= height <= SIDE_MAX and 1 <= width <= SIDE_MAX):
            raise TokensError(f"no picture has {width}x{height} pixels")
        if not 0 <= self.quality <= 255:
            raise TokensError(f"quality is {self.quality}, not 0 to 255")
        if not _SHA256.fullmatch(self.model):
            raise TokensError("a model is named by the 64 digits of its SHA-256")
        if len(self.name) > NAME_MAX:
            raise TokensError(f"a name has more than {NAME_MAX} characters")

    def tensor(self) -> torch.Tensor:
        """Return the indices as a tensor of torch, int64 (rows, columns, groups).

        Raises ImportError without torch.
        """
        import torch

        return torch.from_numpy(self.indices.astype(np.int64))
