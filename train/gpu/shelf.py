"""Pictures in the memory of a GPU, and crops of them.

Every picture lies there at several scales, so that a crop is a copy: nothing is decoded, scaled
or transferred while the GPU trains. 700 million pixels at six scales take 7 GiB.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from vqcodec.training.data import Pixels


class Shelf:
    """Pictures, numbered as they were given, at `scales`, on a device."""

    def __init__(
        self, pictures: Iterable[Pixels], scales: Sequence[float], least: int, device: torch.device
    ) -> None:
        """No side becomes shorter than `least` pixels, whatever the scale."""
        self._least = least
        self._device = device
        rows: list[Tensor] = []
        sizes: list[list[tuple[int, int]]] = []
        for pixels in pictures:
            views = [self._scaled(pixels, scale) for scale in scales]
            rows += [view.reshape(-1, 3) for view in views]
            sizes.append([(view.shape[0], view.shape[1]) for view in views])
        self._pixels = torch.cat(rows)
        """Of all views, one after the other: uint8 (n, 3)."""
        self._sizes = np.array(sizes, dtype=np.int64)
        """Height and width of the views: (pictures, scales, 2)."""
        areas = self._sizes.prod(2)
        self._firsts = (areas.cumsum() - areas.ravel()).reshape(areas.shape)
        """Where each view begins in `_pixels`: (pictures, scales)."""

    def __len__(self) -> int:
        return len(self._sizes)

    def crops(
        self, numbers: NDArray[np.int64], side: int, rng: np.random.Generator, *, mirror: bool
    ) -> Tensor:
        """Crop pictures (B,) at random scales and places, half of them mirrored if `mirror`.

        Returns uint8 (B, 3, side, side), channels last in memory. `side` is at most `least`.
        """
        scales = rng.integers(self._sizes.shape[1], size=len(numbers))
        heights, widths = self._sizes[numbers, scales].T
        tops, lefts = rng.integers(heights - side + 1), rng.integers(widths - side + 1)
        corners = self._firsts[numbers, scales] + tops * widths + lefts
        mirrored = rng.integers(2 if mirror else 1, size=len(numbers)).astype(bool)
        return self._cut(corners, widths, mirrored, side)

    def _cut(
        self, corners: NDArray[np.int64], widths: NDArray[np.int64], mirrored: NDArray, side: int
    ) -> Tensor:
        """Copy squares that begin at `corners` of rows of `widths` pixels."""
        drawn = torch.from_numpy(np.stack([corners, widths, mirrored]))
        if self._device.type == "cuda":
            # From pinned memory the copy is another thing that the host need not wait for.
            drawn = drawn.pin_memory()
        first, width, turned = drawn.to(self._device, non_blocking=True)[:, :, None, None]
        places = torch.arange(side, device=self._device)
        columns = torch.where(turned.bool(), places.flip(0), places)  # (B, 1, side)
        square = self._pixels[first + places[:, None] * width + columns]  # (B, side, side, 3)
        return square.permute(0, 3, 1, 2)

    def _scaled(self, pixels: Pixels, scale: float) -> Tensor:
        """Return (h, w, 3) on the device, scaled with a triangle filter, as training does it."""
        height, width = pixels.shape[:2]
        factor = max(scale, self._least / min(height, width))
        size = [max(self._least, round(length * factor)) for length in (height, width)]
        # Pillow's arrays may be read-only, which torch warns of.
        tensor = torch.from_numpy(pixels.copy()).to(self._device)
        if size == [height, width]:
            return tensor
        planes = tensor.permute(2, 0, 1)[None].float()
        scaled = F.interpolate(planes, size, mode="bilinear", antialias=True)
        return scaled[0].permute(1, 2, 0).round().clamp(0.0, 255.0).to(torch.uint8)
