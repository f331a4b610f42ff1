"""Codes held against phonemes, with made-up alignments."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from test_vectors import VECTORS

from vqcodec.models.stft import RATE
from vqcodec.training.phonemes import (
    PHONEMES,
    UNKNOWN,
    PhonemeMap,
    Segment,
    of_speech,
    phonemes_at,
    phonemes_of_indices,
)

TRAIN = Path(__file__).parent.parent / "train"
MODEL = VECTORS / "models" / "speakers.safetensors"
SIL, AA, B, NOISE = (PHONEMES.index(name) for name in ("SIL", "AA", "B", "NOISE"))
SEGMENTS = [
    Segment("SIL", 0.0, 0.10),
    Segment("B", 0.10, 0.14),
    Segment("AA", 0.14, 0.30),
    Segment("+SPN+", 0.32, 0.40),
]


def test_there_are_41_different_phonemes() -> None:
    assert len(set(PHONEMES)) == len(PHONEMES) == 41


def test_each_time_has_the_phoneme_that_is_spoken_then() -> None:
    times = np.array([0.0, 0.0999, 0.1, 0.139, 0.14, 0.2, 0.31, 0.35, 0.5])
    expected = [SIL, SIL, B, B, AA, AA, UNKNOWN, NOISE, UNKNOWN]
    assert phonemes_at(SEGMENTS, times).tolist() == expected


def test_indices_have_the_phoneme_of_their_middle() -> None:
    assert phonemes_of_indices(SEGMENTS, 6, 0.08).tolist() == [SIL, B, AA, AA, NOISE, UNKNOWN]


def test_codewords_are_mapped_to_their_most_frequent_phoneme() -> None:
    indices = np.array([0, 0, 0, 1, 1, 2, 2, 2])
    phonemes = np.array([AA, AA, B, B, B, UNKNOWN, UNKNOWN, SIL])
    found = PhonemeMap.fitted(indices, phonemes, 4)
    # Codeword 3 does not occur; B is the most likely of all.
    assert found.phonemes.tolist() == [AA, B, SIL, B]


def test_a_map_is_judged_beside_the_likeliest_phoneme() -> None:
    found = PhonemeMap(np.array([AA, B, SIL]))
    indices = np.array([0, 0, 1, 2, 2, 2, 1, 0])
    phonemes = np.array([AA, B, B, SIL, SIL, SIL, SIL, UNKNOWN])
    judged = found.judge(indices, phonemes)
    assert (judged.indices, judged.accuracy) == (7, 5 / 7)
    assert (judged.likeliest, judged.share) == ("SIL", 4 / 7)


def test_speech_alone_is_neither_silence_nor_noise() -> None:
    phonemes = np.array([AA, SIL, NOISE, UNKNOWN, B])
    assert of_speech(phonemes).tolist() == [AA, UNKNOWN, UNKNOWN, UNKNOWN, B]


def test_codes_that_are_phonemes_are_found_out_and_noise_is_not() -> None:
    rng = np.random.default_rng(0)
    phonemes = rng.choice(41, 20000, p=np.arange(1, 42) / np.arange(1, 42).sum())
    names = rng.permutation(41)
    halves = slice(0, 10000), slice(10000, None)
    telling, silent = names[phonemes], rng.integers(0, 128, len(phonemes))
    for indices, least, most in ((telling, 1.0, 1.0), (silent, 0.0, 0.06)):
        found = PhonemeMap.fitted(indices[halves[0]], phonemes[halves[0]], 128)
        assert least <= found.judge(indices[halves[1]], phonemes[halves[1]]).accuracy <= most


def test_nothing_to_fit_or_to_judge_is_refused() -> None:
    nothing = np.array([UNKNOWN, UNKNOWN])
    with pytest.raises(ValueError, match="known"):
        PhonemeMap.fitted(np.array([0, 1]), nothing, 2)
    found = PhonemeMap(np.array([AA, SIL]))
    with pytest.raises(ValueError, match="known"):
        found.judge(np.array([0, 1]), nothing)


@pytest.fixture
def spoken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Four recordings and what is said in them; what aligns them is not needed for that."""
    soundfile = pytest.importorskip("soundfile")
    pytest.importorskip("soxr")
    monkeypatch.syspath_prepend(str(TRAIN))
    rows = ["file,split,set,speaker,transcript"]
    for number, (split, speaker, words) in enumerate(
        (
            ("train", "anna", "AH BA"),
            ("train", "bela", "BA / AH, it's"),
            ("test", "carl", "unheard-of"),
            ("val", "dora", "AH"),
            ("val", "dora", ""),
        )
    ):
        samples = 0.1 * np.random.default_rng(number).normal(size=2 * RATE // 5)
        soundfile.write(tmp_path / f"{number}.wav", samples, RATE)
        rows.append(f'{number}.wav,{split},own,{speaker},"{words}"')
    (tmp_path / "manifest.csv").write_text("\n".join(rows))
    import phonemes as script

    heard: list[str] = []

    def align(samples: np.ndarray, words: str) -> list[Segment]:
        heard.append(words)
        return [] if words == "unheard of" else SEGMENTS

    monkeypatch.setattr(script, "align", align)
    monkeypatch.setattr(script, "heard", heard, raising=False)
    return tmp_path


def test_the_script_judges_a_model(spoken: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script = sys.modules["phonemes"]
    script.main([str(MODEL), str(spoken), "--sets", "own"])
    assert script.heard == ["ah ba", "ba ah it's", "unheard of", "ah"]
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "speakers: 24 codewords at 500 Hz"
    # 0.4 s are 200 indices, of which 10 lie between two phonemes.
    told = "fitted on 400 indices of 2 speakers, tried on 1 others; 1 recordings were not aligned"
    assert lines[1] == told
    assert "of 190 indices right; the likeliest phoneme, AA, has 42.1%" in lines[2]
    assert "of 100 indices right; the likeliest phoneme, AA, has 80.0%" in lines[3]


def test_the_script_wants_speakers_of_their_own(spoken: Path) -> None:
    script = sys.modules["phonemes"]
    manifest = spoken / "manifest.csv"
    manifest.write_text(manifest.read_text().replace("dora", "anna"))
    with pytest.raises(SystemExit, match="anna"):
        script.main([str(MODEL), str(spoken), "--sets", "own"])
    with pytest.raises(SystemExit, match="no recordings"):
        script.main([str(MODEL), str(spoken), "--sets", "own", "--most", "0"])
