"""The codecs of sound that are compared, one class each. All take 16 kHz mono.

Those that are programs are run as anyone would run them, on files in a folder of their own.
"""

from __future__ import annotations

import io
import shutil
import subprocess
import tempfile
import warnings
from abc import abstractmethod
from ctypes.util import find_library
from functools import lru_cache
from hashlib import sha256
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vqcodec.audio.packages import import_package
from vqcodec.container import Medium as Kind
from vqcodec.errors import MissingPackageError, VqcWarning
from vqcodec_bench.codec import Codec, MissingPeerError, OwnCodec, package
from vqcodec_bench.sound_metrics import RATE, Samples

_SECONDS_MOST = 600.0
"""A program that takes longer has failed."""


class _Programs(Codec[Samples]):
    """A codec of two programs, one for each direction."""

    _encoder: str
    _decoder: str
    _install: str
    """The package of Debian that has them."""
    _suffix: str
    _plain = "wav"
    """The suffix of files that are not compressed."""
    _rate = RATE

    def version(self) -> str:
        for program in (self._encoder, self._decoder):
            if shutil.which(program) is None:
                raise MissingPeerError(f"{program} is not installed (apt install {self._install})")
        return self._told_version()

    def encode(self, samples: Samples, quality: float) -> bytes:
        with tempfile.TemporaryDirectory() as folder:
            source, target = Path(folder, f"in.{self._plain}"), Path(folder, f"out.{self._suffix}")
            source.write_bytes(self._written(_resampled(samples, RATE, self._rate)))
            _run(*self._encoding(quality), str(source), str(target))
            return target.read_bytes()

    def decode(self, data: bytes) -> Samples:
        with tempfile.TemporaryDirectory() as folder:
            source, target = Path(folder, f"in.{self._suffix}"), Path(folder, f"out.{self._plain}")
            source.write_bytes(data)
            _run(*self._decoding(), str(source), str(target))
            return _resampled(self._read(target.read_bytes()), self._rate, RATE)

    def _written(self, samples: Samples) -> bytes:
        return wav(samples, self._rate)

    def _read(self, data: bytes) -> Samples:
        return _samples(data)

    @abstractmethod
    def _told_version(self) -> str:
        """Return what the encoder says of itself."""

    @abstractmethod
    def _encoding(self, quality: float) -> tuple[str, ...]:
        """Return the encoder's command, but for its files."""

    @abstractmethod
    def _decoding(self) -> tuple[str, ...]:
        """Return the decoder's command, but for its files."""


class Opus(_Programs):
    """Opus by opusenc, without the room that it leaves for tags."""

    name = "opus"
    label = "Opus"
    settings = "opusenc --bitrate Q --comp 10 --padding 0 --discard-comments"
    scale = "kbit/s"
    span = (6, 256)
    qualities = (6, 7.5, 9, 12, 16, 24, 32)
    _encoder = "opusenc"
    _decoder = "opusdec"
    _install = "opus-tools"
    _suffix = "opus"
    _more: tuple[str, ...] = ()

    def _told_version(self) -> str:
        return _run("opusenc", "--version").splitlines()[0]

    def _encoding(self, quality: float) -> tuple[str, ...]:
        plain = ("--quiet", "--comp", "10", "--padding", "0", "--discard-comments")
        return ("opusenc", *plain, *self._more, "--bitrate", f"{quality:g}")

    def _decoding(self) -> tuple[str, ...]:
        return ("opusdec", "--quiet", "--no-dither", "--rate", str(RATE))


class OpusLong(Opus):
    """Opus in frames of 60 ms: for files, whose delay does not matter, the leaner choice."""

    name = "opus-60"
    label = "Opus 60 ms"
    settings = f"{Opus.settings} --framesize 60"
    _more = ("--framesize", "60")


class OpusSoundfile(Codec[Samples]):
    """Opus by libsndfile, which is there with soundfile."""

    name = "opus-sndfile"
    label = "Opus of libsndfile"
    settings = "soundfile's compression_level = 1 - (Q - 6) / 250, libsndfile's own frames"
    scale = "kbit/s"
    span = (6, 256)
    qualities = Opus.qualities
    mime = "audio/ogg"

    def version(self) -> str:
        try:
            soundfile = import_package("soundfile")
        except MissingPackageError as error:
            raise MissingPeerError("soundfile is not installed") from error
        return f"libsndfile {soundfile.__libsndfile_version__}, {package('soundfile')}"

    def encode(self, samples: Samples, quality: float) -> bytes:
        file = io.BytesIO()
        level = 1.0 - (quality - self.span[0]) / (self.span[1] - self.span[0])
        soundfile = import_package("soundfile")
        soundfile.write(file, samples, RATE, "OPUS", format="OGG", compression_level=level)
        return file.getvalue()

    def decode(self, data: bytes) -> Samples:
        return _samples(data)


class Speex(_Programs):
    """Speex, wide-band, ten frames to a packet: the fewest bytes for the container."""

    name = "speex"
    label = "Speex"
    settings = "speexenc --wideband --quality Q --comp 10 --nframes 10"
    span = (0, 10)
    qualities: tuple[float, ...] = (0, 1, 2, 3, 4, 6, 8)
    delayed = True
    _encoder = "speexenc"
    _decoder = "speexdec"
    _install = "speex"
    _suffix = "spx"
    _band = "--wideband"

    def _told_version(self) -> str:
        return _run("speexenc", "--version").splitlines()[0]

    def _encoding(self, quality: float) -> tuple[str, ...]:
        told = ("--quality", f"{quality:g}", "--comp", "10", "--nframes", "10")
        return ("speexenc", self._band, *told)

    def _decoding(self) -> tuple[str, ...]:
        return ("speexdec",)


class SpeexNarrow(Speex):
    """Speex, narrow-band: sound up to 4 kHz."""

    name = "speex-nb"
    label = "Speex narrow-band"
    settings = "8 kHz, speexenc --narrowband --quality Q --comp 10 --nframes 10"
    qualities = (0, 1, 2, 3, 5, 7)
    _band = "--narrowband"
    _rate = 8000


class Codec2(_Programs):
    """Codec 2, of sound up to 4 kHz; its bit rates are modes with names."""

    name = "codec2"
    label = "Codec 2"
    settings = "8 kHz, c2enc Q (700 is its mode 700C), with the header of .c2 files"
    scale = "mode"
    modes = (700, 1200, 1300, 1400, 1600, 2400, 3200)
    qualities = (700, 1200, 1300, 1600, 2400, 3200)
    delayed = True
    _encoder = "c2enc"
    _decoder = "c2dec"
    _install = "codec2"
    _suffix = "c2"
    _plain = "raw"
    _rate = 8000

    def _told_version(self) -> str:
        return _build_of("codec2", self._encoder)

    def _written(self, samples: Samples) -> bytes:
        # Whole frames alone are coded, and what was said last comes late.
        padded = np.pad(samples, (0, round(0.12 * self._rate)))
        whole: NDArray[np.int16] = np.rint(padded.clip(-1, 1) * 32767).astype("<i2")
        return whole.tobytes()

    def _read(self, data: bytes) -> Samples:
        return np.frombuffer(data, "<i2").astype(np.float32) / np.float32(32768)

    def _encoding(self, quality: float) -> tuple[str, ...]:
        return ("c2enc", f"{quality:g}" + ("C" if quality == 700 else ""))

    def _decoding(self) -> tuple[str, ...]:
        return ("c2dec", "3200")  # it heeds the header instead, which names the mode


class VqcodecSound(OwnCodec[Samples]):
    """vqcodec with one of its models of sound."""

    kind = Kind.SOUND
    _parts = ("audio", "codec", "container", "engines", "entropy", "models", "prior")

    def encode(self, samples: Samples, quality: float) -> bytes:
        from vqcodec import compress_audio

        model = self._loaded()
        chosen = quality if model.qualities else None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", VqcWarning)  # whether it is speech is the user's choice
            return compress_audio(samples, RATE, model=model, quality=chosen, prior=self.prior)

    def decode(self, data: bytes) -> Samples:
        from vqcodec import decompress_audio

        samples: Samples = decompress_audio(data, model=self._loaded())[0][0]
        return samples


PEERS: dict[str, type[Codec[Samples]]] = {
    peer.name: peer for peer in (Opus, OpusLong, OpusSoundfile, Speex, SpeexNarrow, Codec2)
}
"""By name."""
USUAL = tuple(PEERS)
"""Those that are measured by default."""


def wav(samples: Samples, rate: int) -> bytes:
    """Write a WAV file of 16 bits."""
    return _file(samples, rate, "WAV")


def flac(samples: Samples) -> bytes:
    """Write a FLAC file of 16 bits, which browsers play."""
    return _file(samples, RATE, "FLAC")


def _file(samples: Samples, rate: int, kind: str) -> bytes:
    file = io.BytesIO()
    clipped = samples.clip(-1, 1)
    import_package("soundfile").write(file, clipped, rate, "PCM_16", format=kind)
    return file.getvalue()


def _samples(data: bytes) -> Samples:
    samples: Samples = import_package("soundfile").read(io.BytesIO(data), dtype="float32")[0]
    return samples


def _resampled(samples: Samples, source: int, target: int) -> Samples:
    if source == target:
        return samples
    resampled: Samples = import_package("soxr").resample(samples, source, target)
    return resampled


def _run(*command: str) -> str:
    """Run a program and return what it prints. Raises: OSError, ValueError if it fails."""
    done = subprocess.run(
        command, capture_output=True, check=False, timeout=_SECONDS_MOST, stdin=subprocess.DEVNULL
    )
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        raise ValueError(f"{command[0]} failed: {lines[-1] if lines else done.returncode}")
    return done.stdout.decode(errors="replace") or done.stderr.decode(errors="replace")


@lru_cache
def _build_of(library: str, program: str) -> str:
    """Name a program that does not tell its version by its library and its own hash."""
    digest = sha256(Path(str(shutil.which(program))).read_bytes()).hexdigest()
    return f"{find_library(library) or library}, {program} {digest[:12]}"
