"""Hold the codes of a model of `paper-speech` against phonemes.

    pip install 'vqcodec[audio]' pocketsphinx
    python train/phonemes.py runs/paper-speech-25hz.safetensors speech

The folder has a `manifest.csv` with the columns file, split, set, speaker and transcript. Of each
recording with a transcript in English, pocketsphinx finds when each phoneme is spoken (its wheel
holds the acoustic model and the dictionary); recordings with words that it does not know are left
out. The map from codewords to phonemes is fitted on the speakers of split `train` and tried on all
others (`vqcodec.training.phonemes`).
"""

from __future__ import annotations

import argparse
import csv
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import vqcodec
from vqcodec.audio.transform import measure_blocks
from vqcodec.training.phonemes import (
    Numbers,
    PhonemeMap,
    Segment,
    of_speech,
    phonemes_of_indices,
)
from vqcodec.training.sounds import Samples, loudness, read_recording

_FRAME_SECONDS = 0.01
"""Of pocketsphinx."""


@dataclass(frozen=True, slots=True)
class Clip:
    """A recording and what is said in it."""

    path: Path
    trains: bool
    """Whether the map is fitted on it."""
    speaker: str
    words: str


def read_manifest(folder: Path, sets: Sequence[str], most: int | None) -> Iterator[Clip]:
    """Yield recordings with a transcript, at most so many to fit on and as many to try on."""
    taken: Counter[bool] = Counter()
    with (folder / "manifest.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            words = " ".join(re.findall(r"[a-z']+", row["transcript"].lower()))
            trains = row["split"] == "train"
            enough = most is not None and taken[trains] >= most
            if row["set"] in sets and words and not enough:
                taken[trains] += 1
                yield Clip(folder / row["file"], trains, row["speaker"], words)


def align(samples: Samples, words: str) -> list[Segment]:
    """Find the phonemes of a recording of 16 kHz, in which these words are said.

    Empty if it does not work out, as with words that are in no dictionary.
    """
    from pocketsphinx import Decoder

    data = np.rint(np.clip(samples, -1.0, 1.0) * 32767).astype("<i2").tobytes()
    # Wide beams, and a decoder for each recording: it would adapt to the one before.
    decoder: Any = Decoder(
        lm=None,
        beam=1e-64,
        pbeam=1e-64,
        wbeam=1e-48,
        fsgusefiller=True,
        bestpath=False,
        loglevel="FATAL",
    )
    try:
        decoder.set_align_text(words)
        _decode(decoder, data)
        if decoder.hyp() is None:
            return []
        decoder.set_alignment()  # of phonemes, within the words that were found
        _decode(decoder, data)
    except RuntimeError:
        return []
    return [
        Segment(
            phoneme.name,
            phoneme.start * _FRAME_SECONDS,
            (phoneme.start + phoneme.duration) * _FRAME_SECONDS,
        )
        for word in decoder.get_alignment()
        for phoneme in word
    ]


def _decode(decoder: Any, data: bytes) -> None:
    decoder.start_utt()
    decoder.process_raw(data, full_utt=True)
    decoder.end_utt()


def index(model: Any, samples: Samples) -> Numbers:
    """Return the indices (N,) of a recording at the level that models see speech at."""
    seen = (samples / np.float32(loudness(samples) or 1.0))[:, None]
    count = -(-len(samples) // model.hop)
    return np.asarray(measure_blocks(model, [seen], (1, count))[0, :, 0], np.int64)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print how many indices have the phoneme that their codeword is mapped to."""
    parser = argparse.ArgumentParser(description="Hold the codes of a model against phonemes.")
    parser.add_argument("model", help="name or file of a model of architecture vqvae-wavenet-1")
    parser.add_argument("folder", type=Path, help="of recordings, with a manifest.csv")
    parser.add_argument("--sets", nargs="+", default=["speechocean762"], help="of the manifest")
    parser.add_argument("--most", type=int, help="recordings to fit on, and as many to try on")
    given = parser.parse_args(arguments)
    model: Any = vqcodec.load_model(given.model)
    found: dict[bool, list[tuple[Numbers, Numbers]]] = {True: [], False: []}
    speakers: dict[bool, set[str]] = {True: set(), False: set()}
    left_out = 0
    for clip in read_manifest(given.folder, given.sets, given.most):
        samples = read_recording(clip.path)
        segments = align(samples, clip.words)
        left_out += not segments
        if segments:
            indices = index(model, samples)
            phonemes = phonemes_of_indices(segments, len(indices), model.hop / model.rate)
            found[clip.trains].append((indices, phonemes))
            speakers[clip.trains].add(clip.speaker)
    if shared := speakers[True] & speakers[False]:
        raise SystemExit(f"speakers are in both halves: {', '.join(sorted(shared))}")
    if not (found[True] and found[False]):
        raise SystemExit("there are no recordings to fit on, or none to try on")
    fitted, tried = (
        tuple(np.concatenate(part) for part in zip(*found[half], strict=True))
        for half in (True, False)
    )
    rate = model.rate / model.hop
    print(f"{model.name}: {model.codebook_size} codewords at {rate:g} Hz")
    print(
        f"fitted on {len(fitted[0])} indices of {len(speakers[True])} speakers, tried on "
        f"{len(speakers[False])} others; {left_out} recordings were not aligned"
    )
    for what, kept in (("all", np.asarray), ("speech alone", of_speech)):
        phoneme_map = PhonemeMap.fitted(fitted[0], kept(fitted[1]), model.codebook_size)
        judged = phoneme_map.judge(tried[0], kept(tried[1]))
        print(
            f"{what}: {judged.accuracy:.1%} of {judged.indices} indices right; the likeliest "
            f"phoneme, {judged.likeliest}, has {judged.share:.1%}"
        )


if __name__ == "__main__":
    main()
