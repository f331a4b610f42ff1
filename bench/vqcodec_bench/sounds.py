"""Sound, as the benchmark hears it: one channel at 16 kHz, what models of speech are made for."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from vqcodec.audio.chunks import MAX_SAMPLES
from vqcodec.audio.packages import import_package
from vqcodec.audio.reading import open_sound
from vqcodec.audio.resampling import resampled
from vqcodec.errors import MissingPackageError
from vqcodec_bench import alignment, sound_metrics
from vqcodec_bench.codec import Codec
from vqcodec_bench.medium import Medium, Metric, Row
from vqcodec_bench.reached import reached
from vqcodec_bench.sound_metrics import RATE, Samples
from vqcodec_bench.sound_peers import PEERS, USUAL, VqcodecSound, flac

_NEEDED = ("matplotlib", "bjontegaard", "scipy")
_BLOCK = 1 << 16


class Sounds(Medium[Samples]):
    """See `Medium`."""

    noun = "sound"
    rate = "kbps"
    rate_label = "kbit/s, whole file"
    widest = 16.0
    metrics: Mapping[str, Metric] = sound_metrics.METRICS
    peers: Mapping[str, type[Codec[Samples]]] = PEERS
    usual = USUAL
    own = VqcodecSound
    packages = (
        *("vqcodec", "torch", "constriction", "numpy", "soundfile", "soxr"),
        *sound_metrics.PACKAGES,
        "bjontegaard",
    )
    timed_rate = 2.4
    timed_unit = "real_time"
    timed_threads = 1
    timed_files = None
    page_mime = "audio/flac"
    decoded_exactly = True
    page_files = 6

    def requirements(self) -> dict[str, str]:
        import_package("soundfile")
        import_package("soxr")
        absent = [name for name in _NEEDED if find_spec(name) is None]
        if absent:
            hint = 'pip install "vqcodec[bench]"'
            raise MissingPackageError(f"{', '.join(absent)} not installed", hint=hint)
        lacking = sound_metrics.lacking()
        if len(lacking) == len(self.metrics):
            text = "no measure of sound is installed"
            raise MissingPackageError(text, hint='pip install "vqcodec[bench-audio]"')
        return {self.metrics[name].label: why for name, why in lacking.items()}

    def read(self, path: Path) -> Samples:
        with path.open("rb") as file:
            sound = open_sound(file, max_samples=MAX_SAMPLES)
            mixed = (block.mean(axis=1, keepdims=True) for block in sound.blocks(_BLOCK))
            return np.concatenate(list(resampled(mixed, sound.rate, RATE)))[:, 0]

    def digest(self, content: Samples) -> str:
        return hashlib.sha256(content.tobytes()).hexdigest()

    def describe(self, content: Samples) -> Row:
        return {"seconds": self.amount(content)}

    def amount(self, content: Samples) -> float:
        return len(content) / RATE

    def rate_of(self, size: int, content: Samples) -> float:
        return 8 * size / 1000 / self.amount(content)

    def fit(self, original: Samples, decoded: Samples, *, delayed: bool) -> Samples:
        there = alignment.aligned(original, decoded) if delayed else decoded
        return alignment.fitted(there, len(original))

    def compare(self, original: Samples, decoded: Samples) -> dict[str, float | None]:
        return sound_metrics.compare(original, decoded)

    def metric_versions(self) -> tuple[str, ...]:
        return sound_metrics.versions()

    def original_file(self, content: Samples) -> bytes:
        return flac(content)

    def decoded_file(self, content: Samples) -> bytes:
        return flac(content)

    def conclusions(
        self, codecs: Sequence[Codec[Samples]], results: Mapping[str, Any]
    ) -> dict[str, Any]:
        return {"reached": reached(self, codecs, results["curves"])}
