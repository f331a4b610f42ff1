"""The log of a folder's files: Parquet files in the folder of the results.

Each has a row for every file that was worked on. A run that follows reads them all, and knows what
is done.
"""

from __future__ import annotations

import posixpath
import secrets
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq

from vqcodec.cluster.places import Folder

NAME = ".vqcodec-log"
"""The folder of the log."""
SCHEMA = pa.schema(
    {
        "source": pa.string(),
        "target": pa.string(),
        "before": pa.int64(),  # bytes of the source
        "after": pa.int64(),  # bytes of the result
        "rate": pa.float64(),  # bits per pixel; of sound kbit/s
        "seconds": pa.float64(),
        "warnings": pa.list_(pa.string()),
        "error": pa.string(),  # empty if there was none
        "node": pa.string(),  # the machine's name
    }
)
Row: TypeAlias = dict[str, Any]
"""A row of SCHEMA."""
_ROWS, _SECONDS = 20_000, 60.0
"""A file is written after so many rows, or so long after the one before."""


class Log:
    """Rows on their way to the log. They are the results of this run."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._run = f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(4)}"
        self._rows: list[Row] = []
        self._written, self._last = 0, time.monotonic()

    def add(self, rows: Sequence[Row]) -> None:
        """Take rows of SCHEMA; they are on the disk within a minute or so."""
        self._rows += rows
        if len(self._rows) >= _ROWS or time.monotonic() - self._last >= _SECONDS:
            self.flush()

    def flush(self) -> None:
        """Write what is not written yet."""
        self._last = time.monotonic()
        if not self._rows:
            return
        with tempfile.TemporaryDirectory() as made:
            local = Path(made, "part.parquet")
            pq.write_table(pa.Table.from_pylist(self._rows, SCHEMA), local)
            self._folder.put(str(local), f"{NAME}/{self._run}-{self._written:05}.parquet")
        self._written += 1
        self._rows = []


def finished(folder: Folder) -> set[str]:
    """Return the sources that earlier runs have finished without error."""
    found: set[str] = set()
    place = folder.path(NAME)
    if not folder.fs.isdir(place):
        return found
    for path in sorted(folder.fs.ls(place, detail=False)):
        if posixpath.basename(path).endswith(".parquet"):
            with folder.fs.open(path, "rb") as file:
                table = pq.read_table(file, columns=["source", "error"])
            rows = zip(table["source"].to_pylist(), table["error"].to_pylist(), strict=True)
            found |= {source for source, error in rows if not error}
    return found
