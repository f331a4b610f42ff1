"""How a damaged file's lost tiles are filled."""

from __future__ import annotations

from vqcodec.codec.coding import Indices
from vqcodec.grid import Box


def continue_into(grid: Indices, box: Box, halo: int) -> None:
    """Continue what surrounds a box of the grid so far into it that the network sees no more."""
    rows, columns = box
    for area, across in ((grid, (rows, columns)), (grid.swapaxes(0, 1), (columns, rows))):
        side, along = across
        if side.start:
            area[side.start : min(side.start + halo, side.stop), along] = area[
                side.start - 1, along
            ]
        if side.stop < len(area):
            area[max(side.stop - halo, side.start) : side.stop, along] = area[side.stop, along]
