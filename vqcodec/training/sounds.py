"""Recordings for training and validation: mono, at the rate of `speech`.

All are decoded once, into one file of 16-bit samples in the run's folder, which is mapped into
memory: decoding Ogg Opus takes longer than a training step. Draws are as in `data`.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vqcodec.audio.level import level_of, scale
from vqcodec.errors import VqcWarning
from vqcodec.models.stft import HOP, RATE
from vqcodec.processors import granted
from vqcodec.storage import write_whole
from vqcodec.training.config_speech import SoundConfig
from vqcodec.training.data import Chances, split
from vqcodec.training.distributed import rank, wait

Samples = NDArray[np.float32]
"""(n,), about -1..1."""

_SUFFIXES = {".aiff", ".flac", ".mp3", ".ogg", ".opus", ".wav"}
_FULL = 32767
_TOGETHER = 256
"""Recordings that are decoded at once, and held."""


@dataclass(frozen=True, slots=True)
class Recording:
    """Where a recording lies in the file of samples."""

    path: str
    size: int
    """Of the file that it was decoded from, bytes."""
    start: int
    stop: int
    loudness: float
    """What its samples are, over those of speech as models expect it; 0 if it is silent."""


def find_recordings(folder: Path) -> list[Path]:
    """List the recordings under `folder`, sorted; unreadable ones are left out with a warning.

    Raises ValueError if there is none, or if soundfile or soxr is not installed.
    """
    if not (find_spec("soundfile") and find_spec("soxr")):
        raise ValueError("training on sound needs soundfile and soxr: pip install 'vqcodec[audio]'")
    import soundfile

    found = []
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() not in _SUFFIXES or not path.is_file():
            continue
        try:
            empty = soundfile.info(path).frames < 1
        except soundfile.SoundFileError:
            empty = True
        if empty:
            message = f"{path.name} is not a readable recording and is left out"
            warnings.warn(message, VqcWarning, stacklevel=2)
        else:
            found.append(path)
    if not found:
        raise ValueError(f"no recordings under {folder}")
    return found


def read_recording(path: Path) -> Samples:
    """Read a recording as one channel of 16 kHz. Raises ValueError if it cannot be read."""
    import soundfile
    import soxr

    try:
        channels, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except (OSError, soundfile.SoundFileError) as error:
        raise ValueError(f"{path}: {error}") from error
    mono: Samples = channels.mean(1)
    if rate != RATE:
        mono = soxr.resample(mono, rate, RATE)
    return mono


def read_middle(path: Path, length: int, hop: int) -> Samples:
    """Read the middle of a recording, at the level that models see speech at: at most `length`
    samples, a multiple of `hop`.

    Raises ValueError if it cannot be read, or has not so many samples, or is silent there.
    """
    recording = read_recording(path)
    length = min(length, len(recording)) // hop * hop
    start = (len(recording) - length) // 2
    cut = recording[start : start + length]
    if not length or not cut.any():
        raise ValueError(f"{path}: too short, or silent, to validate on")
    return cut / np.float32(loudness(recording))


def loudness(samples: Samples) -> float:
    """Return what samples are, over those of speech as models expect it; 0 if they are silent."""
    frames = np.pad(samples, (0, -len(samples) % HOP)).reshape(-1, HOP).astype(np.float64)
    return scale(level_of(np.square(frames).mean(1)))


def open_recordings(
    folders: Sequence[Path], validation: Path | None, config: SoundConfig, run: Path
) -> tuple[Recordings, list[Path]]:
    """Return the recordings to train on, and the files of those to validate on (see `split`).

    Raises ValueError for folders without any, or without what reads them.
    """
    paths, held_out = split(folders, validation, find_recordings)
    return Recordings(paths, config, folders, run), held_out


class Recordings:
    """Recordings of one or several folders, drawn by the weight of their source."""

    def __init__(
        self, paths: Sequence[Path], config: SoundConfig, folders: Sequence[Path], run: Path
    ) -> None:
        """Decode what the folder `run` does not yet hold decoded.

        Raises ValueError for a recording that cannot be read, or weights that leave none.
        """
        self._config = config
        index, samples = run / "sounds.json", run / "sounds.int16"
        if rank() == 0 and not _is_of(index, paths):
            _decode(paths, index, samples)
        wait()
        self._recordings = [Recording(**row) for row in json.loads(index.read_text("utf-8"))]
        self._samples = np.memmap(samples, dtype="<i2", mode="r")
        self._chances = Chances(_shares(self._recordings, config.weights, folders))

    def __len__(self) -> int:
        return len(self._recordings)

    @property
    def paths(self) -> list[Path]:
        """The files that they were decoded from."""
        return [Path(recording.path) for recording in self._recordings]

    def draw(self, rng: np.random.Generator) -> int:
        """Draw the number of a recording by the weight of its source."""
        return self._chances.draw(rng)

    def whole(self, number: int) -> Samples:
        """Return a recording at the level that models see speech at."""
        recording = self._recordings[number]
        samples = self._samples[recording.start : recording.stop].astype(np.float32)
        return samples / np.float32(_FULL * (recording.loudness or 1.0))

    def crop(self, length: int, rng: np.random.Generator, number: int | None = None) -> Samples:
        """Draw so many samples of a recording, at a random level, speed and sign; of the one of a
        number, or of one that is drawn too.

        A recording that is shorter lies somewhere in silence.
        """
        import soxr

        recording = self._recordings[self.draw(rng) if number is None else number]
        speed = rng.uniform(*self._config.speeds)
        window = round(length * speed)
        spare = recording.stop - recording.start - window
        offset = int(rng.integers(min(0, spare), max(0, spare) + 1))
        start = recording.start + max(0, offset)
        cut = self._samples[start : min(start + window, recording.stop)] / np.float32(_FULL)
        before = max(0, -offset)
        padded = np.pad(cut, (before, window - before - len(cut)))
        gain = 10.0 ** (rng.uniform(*self._config.levels) / 20.0) / (recording.loudness or 1.0)
        varied = soxr.resample(padded, window, length) * (rng.choice((-1.0, 1.0)) * gain)
        return np.clip(_fitted(varied, length), -1.0, 1.0).astype(np.float32)

    def crops(self, count: int, length: int, rng: np.random.Generator) -> Samples:
        """Draw a batch: float32 (count, length)."""
        return np.stack([self.crop(length, rng) for _ in range(count)])


def _fitted(samples: Samples, length: int) -> Samples:
    """Resampled sound may be a sample longer or shorter."""
    return np.pad(samples[:length], (0, max(0, length - len(samples))))


def _is_of(index: Path, paths: Sequence[Path]) -> bool:
    """Tell whether an index is of these files."""
    if not index.exists():
        return False
    rows = json.loads(index.read_text("utf-8"))
    return [(row["path"], row["size"]) for row in rows] == [
        (str(path), path.stat().st_size) for path in paths
    ]


def _decode(paths: Sequence[Path], index: Path, samples: Path) -> None:
    """Decode files into the file of samples; the index, written last, makes it valid."""
    index.unlink(missing_ok=True)
    rows: list[Recording] = []
    start = 0
    with samples.open("wb") as file, ThreadPoolExecutor(granted()) as pool:
        for first in range(0, len(paths), _TOGETHER):
            some = paths[first : first + _TOGETHER]
            for path, decoded in zip(some, pool.map(_decoded, some), strict=True):
                file.write(np.rint(decoded * _FULL).astype("<i2").tobytes())
                stop = start + len(decoded)
                size = path.stat().st_size
                rows.append(Recording(str(path), size, start, stop, loudness(decoded)))
                start = stop
    write_whole(index, json.dumps([asdict(row) for row in rows]).encode(), overwrite=True)


def _decoded(path: Path) -> Samples:
    return np.clip(read_recording(path), -1.0, 1.0)


def _shares(
    recordings: Sequence[Recording], weights: dict[str, float], folders: Sequence[Path]
) -> NDArray[np.float64]:
    """Return each recording's probability: its part of its source's seconds, sources as weighed."""
    seconds = np.array([recording.stop - recording.start for recording in recordings], float)
    shares: NDArray[np.float64] = seconds / seconds.sum()
    if weights:
        found = [_source(Path(recording.path), folders) for recording in recordings]
        sources = np.array([source if source in weights else "*" for source in found])
        for source in set(sources):
            inside = sources == source
            shares[inside] *= weights.get(source, 0.0) / shares[inside].sum()
        if not shares.sum() > 0.0:
            raise ValueError("data.weights: no recording of the folders has a weight above 0")
        shares /= shares.sum()
    return shares


def _source(path: Path, folders: Sequence[Path]) -> str:
    """Return the part of a path that comes first below its folder."""
    [folder, *_] = [folder for folder in folders if path.is_relative_to(folder)]
    return path.relative_to(folder).parts[0]
