"""Recordings in the memory of a GPU, and crops of them.

Every recording lies there at several speeds, so that a crop is a copy: nothing is decoded,
resampled or transferred while the GPU trains. Nine hours at five speeds take 5 GiB.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import soxr
import torch
from numpy.typing import NDArray
from torch import Tensor

from vqcodec.training.sounds import Recordings

_FULL = 32767.0
_SPEEDS = 5
"""Speeds of each recording, evenly over the recipe's range of them."""


class SoundShelf:
    """Recordings, numbered as they are, at several speeds, on a device."""

    def __init__(
        self, recordings: Recordings, speeds: tuple[float, float], device: torch.device
    ) -> None:
        """Play them faster by factors from the first to the second of `speeds`, and copy them."""
        self._device = device
        factors = np.linspace(*speeds, _SPEEDS).tolist()

        def played(number: int) -> list[tuple[NDArray[np.int16], float]]:
            return [_played(recordings.whole(number), factor) for factor in factors]

        parts: list[Tensor] = []
        sizes: list[list[int]] = []
        peaks: list[list[float]] = []
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for versions in pool.map(played, range(len(recordings))):
                parts += [torch.from_numpy(samples) for samples, _ in versions]
                sizes.append([len(samples) for samples, _ in versions])
                peaks.append([peak for _, peak in versions])
        self._samples = torch.cat(parts).to(device)
        """Of all versions, one after the other: int16 (n,)."""
        self._sizes = np.array(sizes, dtype=np.int64)
        """Samples of each version: (recordings, speeds)."""
        self._firsts = (self._sizes.cumsum() - self._sizes.ravel()).reshape(self._sizes.shape)
        self._peaks = np.array(peaks)
        """What the largest number of 16 bits stands for: (recordings, speeds)."""

    def crops(
        self,
        numbers: NDArray[np.int64],
        length: int,
        levels: tuple[float, float],
        rng: np.random.Generator,
    ) -> Tensor:
        """Cut so many samples out of recordings (B,), at random speeds and places, louder by a
        number of dB from the range `levels`, half of them with the sign turned.

        A recording that is shorter lies somewhere in silence. Returns float32 (B, length), -1..1.
        """
        count = len(numbers)
        speeds = rng.integers(self._sizes.shape[1], size=count)
        sizes, firsts = self._sizes[numbers, speeds], self._firsts[numbers, speeds]
        spare = sizes - length
        offsets = rng.integers(np.minimum(0, spare), np.maximum(0, spare) + 1)
        gains = 10.0 ** (rng.uniform(*levels, size=count) / 20.0)
        gains *= rng.choice((-1.0, 1.0), size=count) * self._peaks[numbers, speeds] / _FULL
        places = self._moved(np.stack([firsts + offsets, firsts, firsts + sizes]))[:, :, None]
        first, start, stop = places
        at = first + torch.arange(length, device=self._device)
        inside = (at >= start) & (at < stop)
        cut = self._samples[at.clamp(0, len(self._samples) - 1)].float() * inside
        louder: Tensor = cut * self._moved(gains.astype(np.float32))[:, None]
        return louder.clamp_(-1.0, 1.0)

    def _moved(self, values: NDArray) -> Tensor:
        tensor = torch.from_numpy(values)
        if self._device.type == "cuda":
            # From pinned memory the copy is another thing that the host need not wait for.
            tensor = tensor.pin_memory()
        return tensor.to(self._device, non_blocking=True)


def _played(samples: NDArray[np.float32], factor: float) -> tuple[NDArray[np.int16], float]:
    """Return samples of 16 bits that are played faster, and what the largest stands for."""
    varied = soxr.resample(samples, factor, 1.0)
    peak = float(np.abs(varied).max(initial=1e-9))
    return np.rint(varied * (_FULL / peak)).astype(np.int16), peak
