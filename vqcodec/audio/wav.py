"""The length that the header of a WAV file gives, which may be unknown.

Programs that write WAV to a pipe cannot go back to the header when they know the length: they
leave there 0, or the largest number that they have.
"""

from __future__ import annotations

import shutil
import tempfile
from typing import IO

from vqcodec.audio.inventory.chunked import LARGEST, read_layout


def mended(file: IO[bytes]) -> IO[bytes]:
    """Return the file, or a copy of it that tells its length: libsndfile takes 0 at its word.

    Raises SoundError if it, or a file of another format of chunks, is shorter than its header
    tells.
    """
    layout = read_layout(file)
    sound = None if layout is None else layout.sound
    if layout is None or sound is None or layout.form != b"RIFF" or sound.told or not sound.size:
        return file
    copy = tempfile.TemporaryFile()  # noqa: SIM115 (who reads it closes it)
    file.seek(0)
    shutil.copyfileobj(file, copy)
    copy.seek(sound.start - 4)
    copy.write(min(sound.size, LARGEST).to_bytes(4, "little"))
    copy.flush()
    return copy
