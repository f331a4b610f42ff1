"""Sound that is in memory: to .vqc files and back."""

from __future__ import annotations

import gc
import tracemalloc
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pytest
from conftest import TinySound
from numpy.typing import NDArray

import vqcodec
from vqcodec.audio import pipeline
from vqcodec.audio.level import level_of, scale
from vqcodec.audio.recording import Samples
from vqcodec.audio.transform import measure_blocks, synthesise
from vqcodec.codec.search import Wish
from vqcodec.container import Medium, parse
from vqcodec.errors import ModelError, SampleLimitError, SoundSizeError, VqcWarning
from vqcodec.models.vqvae import VqVae

pytestmark = pytest.mark.filterwarnings("ignore:it does not look like speech")
RATE, HOP = 16000, 320


def babble(count: int, channels: int = 1, seed: int = 0) -> NDArray[np.float32]:
    """Noise that swells and fades: (channels, count)."""
    rng = np.random.default_rng(seed)
    swell = 1 + np.sin(np.arange(count) / 900.0)
    return (0.05 * swell * rng.normal(size=(channels, count))).astype(np.float32)


def both_ways(samples: NDArray, rate: int, model: TinySound, **more: object) -> NDArray[np.float32]:
    decoded, found = vqcodec.decompress_audio(
        vqcodec.compress_audio(samples, rate, model=model, **more), model=model
    )
    assert found == rate
    assert decoded.dtype == np.float32
    return decoded


@pytest.mark.parametrize("channels", [1, 2, 3])
@pytest.mark.parametrize("count", [1, 319, 320, 321, 3 * HOP, 512 * HOP, 512 * HOP + 1])
def test_the_number_of_samples_comes_back(sound: TinySound, count: int, channels: int) -> None:
    samples = babble(count, channels)
    data = vqcodec.compress_audio(samples, RATE, model=sound)
    assert vqcodec.decompress_audio(data, model=sound)[0].shape == (channels, count)
    header = parse(data).header
    assert header.medium is Medium.SOUND
    assert header.shape == (channels, -(-count // HOP))
    assert header.tile_count == channels * -(-header.shape[1] // 512)
    assert vqcodec.indices(data, model=sound).shape[:2] == header.shape
    assert np.array_equal(vqcodec.verify(data, model=sound), vqcodec.indices(data, model=sound))


@pytest.mark.parametrize("prior", [True, False])
@pytest.mark.parametrize("quality", [1, 2, 3])
def test_samples_are_what_the_model_makes_of_the_indices(
    sound: TinySound, quality: int, prior: bool
) -> None:
    samples = babble(700 * HOP)
    data = vqcodec.compress_audio(samples, RATE, model=sound, quality=quality, prior=prior)
    indices = vqcodec.indices(data, model=sound)[0]
    expected = sound.samples(indices, quality, slice(0, 700))
    expected *= scale(level_of(np.square(samples.reshape(-1, HOP)).mean(1)))
    found = vqcodec.decompress_audio(data, model=sound)[0]
    assert np.allclose(found, expected, atol=1e-5)
    assert abs(found).max() > 0.01


def test_windows_meet_without_a_seam(sound: TinySound) -> None:
    samples = babble(450 * HOP, 2).T
    blocks = [samples[start : start + 7001] for start in range(0, len(samples), 7001)]
    whole = measure_blocks(sound, blocks, (2, 450), window=450)
    cut = measure_blocks(sound, blocks, (2, 450), window=17)
    assert np.allclose(whole, cut, atol=1e-6)
    assert whole.shape[:2] == (2, 450)
    indices = sound.nearest(whole, 2).astype(np.int32)
    plain = np.concatenate(list(synthesise(sound, indices, 2, window=450)))
    seamed = np.concatenate(list(synthesise(sound, indices, 2, window=17)))
    assert plain.shape == (450 * HOP, 2)
    assert np.allclose(plain, seamed, atol=1e-6)
    some = np.concatenate(list(synthesise(sound, indices, 2, slice(40, 90), window=17)))
    assert np.allclose(some, plain[40 * HOP : 90 * HOP], atol=1e-6)


def test_runs_meet_without_a_seam(sound: TinySound, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "TILE_LOG2", 4)
    data = vqcodec.compress_audio(babble(300 * HOP, 2), RATE, model=sound)
    whole = vqcodec.decompress_audio(data, model=sound)[0]
    monkeypatch.setattr("vqcodec.audio.decoding._RUN_FRAMES", 37)
    assert np.allclose(vqcodec.decompress_audio(data, model=sound)[0], whole, atol=1e-6)


def test_equal_channels_are_stored_once(sound: TinySound) -> None:
    left, right = babble(4 * HOP, 2)
    samples = np.stack([left, right, left, right, right])
    data = vqcodec.compress_audio(samples, RATE, model=sound)
    facts = vqcodec.inspect(data)
    assert (facts.channels, facts.coded_channels) == (5, 2)
    decoded = vqcodec.decompress_audio(data, model=sound)[0]
    for channel, same in enumerate((0, 1, 0, 1, 1)):
        assert np.array_equal(decoded[channel], decoded[same])
    assert not np.array_equal(decoded[0], decoded[1])
    double = vqcodec.compress_audio(np.stack([left, left]), RATE, model=sound)
    assert len(double) == len(vqcodec.compress_audio(left, RATE, model=sound)) + 2


@pytest.mark.parametrize("octaves", [-16, -3, 3, 16])
def test_levels_are_undone_and_loud_sound_is_not_clipped(sound: TinySound, octaves: int) -> None:
    """A power of two is exact: the same indices, and samples that much louder."""
    samples = babble(40 * HOP)
    plain, other = (
        vqcodec.compress_audio(samples * np.float32(factor), RATE, model=sound)
        for factor in (1, 2.0**octaves)
    )
    assert np.array_equal(*(vqcodec.indices(data, model=sound) for data in (plain, other)))
    before, after = (vqcodec.decompress_audio(data, model=sound)[0] for data in (plain, other))
    assert np.array_equal(before * np.float32(2.0**octaves), after)


def test_a_model_sees_each_channel_as_loud_as_speech_is() -> None:
    for gain in (1e-4, 0.02, 1.0, 300.0):
        powers = np.square(gain * babble(500 * HOP).reshape(-1, HOP)).mean(1)
        active = powers[powers > powers.mean() / 40].mean()
        assert abs(20 * np.log10(np.sqrt(active) / scale(level_of(powers))) + 26) < 0.76


def test_silence_stays_silence(sound: TinySound) -> None:
    assert not both_ways(np.zeros(1000, np.float32), RATE, sound).any()
    samples = babble(1000, 2)
    samples[1] = 0
    decoded = both_ways(samples, RATE, sound)
    assert decoded[0].any()
    assert not decoded[1].any()
    faint = both_ways(1e-6 * babble(1000), RATE, sound)
    assert 0 < abs(faint).max() < 1e-5


def test_integers_are_taken_by_their_full_scale(sound: TinySound) -> None:
    samples = (32767 * babble(1000).clip(-1, 1)).astype(np.int16)
    of_floats = vqcodec.compress_audio(samples / 32768, RATE, model=sound)
    assert vqcodec.compress_audio(samples, RATE, model=sound) == of_floats


@pytest.mark.parametrize(
    ("samples", "rate"),
    [
        (np.zeros(0, np.float32), RATE),
        (np.zeros((0, 5), np.float32), RATE),
        (np.zeros((2, 0), np.float32), RATE),
        (np.zeros((1, 2, 3), np.float32), RATE),
        (np.zeros((256, 3), np.float32), RATE),
        (np.zeros(5, np.int32), RATE),
        (np.array([0.0, np.nan]), RATE),
        (np.array([0.0, np.inf]), RATE),
        (np.zeros(5, np.float32), 0),
        (np.zeros(5, np.float32), 1 << 20),
        (np.zeros(5, np.float32), 44100.5),
        (np.zeros(5, np.float32), True),
    ],
)
def test_what_is_no_sound_is_refused(sound: TinySound, samples: NDArray, rate: int) -> None:
    with pytest.raises(ValueError, match=r"samples|sample is|channels|rate"):
        vqcodec.compress_audio(samples, rate, model=sound)


def test_a_part_is_what_it_is_in_the_whole(
    sound: TinySound, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "TILE_LOG2", 4)
    data = vqcodec.compress_audio(babble(3 * RATE), RATE, model=sound)
    whole = vqcodec.decompress_audio(data, model=sound)[0]
    for start, stop in ((0, 3), (0.5, 1.25), (2.99, 3.5), (0, 1e-9), (1.00003, 1.00007)):
        found = vqcodec.decompress_audio(data, model=sound, crop=(start, stop))[0]
        first = round(start * RATE)
        assert np.allclose(found, whole[:, first : first + found.shape[1]], atol=1e-6)
        wanted = min(round(stop * RATE), 3 * RATE) - first
        assert found.shape[1] == max(1, wanted)


def test_a_part_is_decoded_of_its_own_tiles_alone(
    sound: TinySound, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "TILE_LOG2", 4)
    data = bytearray(vqcodec.compress_audio(babble(100 * HOP), RATE, model=sound, prior=False))
    container = parse(bytes(data))
    assert len(container.tiles) == 7
    spoilt = vqcodec.container.serialise(
        vqcodec.container.Container(
            header=container.header,
            chunks=container.chunks,
            tiles=(*container.tiles[:4], *[b"wrong"] * 3),
        )
    )
    with pytest.raises(vqcodec.FormatError):
        vqcodec.decompress_audio(spoilt, model=sound)
    found = vqcodec.decompress_audio(spoilt, model=sound, crop=(0, 1.1))[0]
    assert found.shape == (1, 1.1 * RATE)


@pytest.mark.parametrize(
    "crop",
    [(1, 1), (2, 1), (-1, 1), (5, 6), (0,), ("a", "b"), (0, float("inf")), (0, float("nan"))],
)
def test_parts_outside_are_refused(sound: TinySound, crop: tuple[float, float]) -> None:
    data = vqcodec.compress_audio(babble(RATE), RATE, model=sound)
    with pytest.raises(ValueError, match="crop"):
        vqcodec.decompress_audio(data, model=sound, crop=crop)


def test_the_best_quality_of_a_size_or_bitrate_is_found(sound: TinySound) -> None:
    samples = babble(5 * RATE)
    lowest, highest = (
        len(vqcodec.compress_audio(samples, RATE, model=sound, quality=q)) for q in (1, 3)
    )
    for most in np.linspace(lowest, highest, 4).astype(int).tolist():
        by_size = vqcodec.compress_audio(samples, RATE, model=sound, target_size=most)
        by_rate = vqcodec.compress_audio(samples, RATE, model=sound, target_bitrate=8 * most / 5)
        assert by_size == by_rate
        assert 0.7 * most < len(by_size) <= most
    with pytest.raises(ValueError, match=r"least .* kbit/s"):
        vqcodec.compress_audio(samples, RATE, model=sound, target_bitrate=100)


@pytest.mark.parametrize("wish", [{"target_bpp": 1.0}, {"target_psnr": 30.0}, {"lossless": True}])
def test_wishes_of_pictures_cannot_be_had_of_sound(
    sound: TinySound, wish: dict[str, float]
) -> None:
    with pytest.raises(ValueError, match="cannot be had of sound"):
        pipeline.encode(Samples(babble(5).T, RATE), sound, Wish(**wish))


def test_a_bitrate_cannot_be_had_of_a_picture(model: VqVae) -> None:
    from vqcodec.image.picture import Picture
    from vqcodec.image.pipeline import encode

    picture = Picture(pixels=np.zeros((3, 4, 3), np.uint8))
    with pytest.raises(ValueError, match="target_bitrate cannot be had of a picture"):
        encode(picture, model, Wish(target_bitrate=1000.0))


@pytest.mark.usefixtures("no_shipped_sound")
def test_models_of_one_medium_refuse_the_other(sound: TinySound, model: VqVae) -> None:
    with pytest.raises(ModelError, match="random is a model of pictures, not of sound"):
        vqcodec.compress_audio(babble(5), RATE, model=model)
    with pytest.raises(ModelError, match="tiny-sound is a model of sound, not of pictures"):
        vqcodec.compress(np.zeros((3, 4, 3), np.uint8), model=sound)
    with pytest.raises(ModelError, match="no model of sound is installed"):
        vqcodec.compress_audio(babble(5), RATE)


def test_limits_of_samples(sound: TinySound) -> None:
    samples = babble(1000, 2)
    recording = Samples(samples.T, RATE)
    with pytest.raises(SoundSizeError):
        pipeline.encode(recording, sound, Wish(), max_samples=1999)
    data = pipeline.encode(recording, sound, Wish(), max_samples=2000).data
    assert vqcodec.decompress_audio(data, model=sound, max_samples=2000)[0].size == 2000
    with pytest.raises(SampleLimitError, match="1000 samples in 2 channels"):
        vqcodec.decompress_audio(data, model=sound, max_samples=1999)
    # Channels that are copies take no room in the file, but in memory.
    copies = vqcodec.compress_audio(np.stack([samples[0]] * 255), RATE, model=sound)
    with pytest.raises(SampleLimitError):
        vqcodec.decompress_audio(copies, model=sound, max_samples=254_999)


def test_progress_goes_from_nothing_to_all(sound: TinySound) -> None:
    coded: list[float] = []
    decoded: list[float] = []
    samples = babble(600 * HOP, 2)
    data = vqcodec.compress_audio(samples, RATE, model=sound, progress=coded.append)
    vqcodec.decompress_audio(data, model=sound, progress=decoded.append)
    for parts in (coded, decoded):
        assert parts == sorted(parts)
        assert 0 < parts[0] < 0.5
        assert parts[-1] == 1.0


def test_tags_come_back(sound: TinySound) -> None:
    tags = {"TITLE": "Süße Rede", "COMMENT": "a=b\nc", "X": ""}
    data = vqcodec.compress_audio(babble(5), RATE, model=sound, tags=tags)
    assert dict(vqcodec.inspect(data).tags) == tags


def test_facts_of_a_file(sound: TinySound) -> None:
    data = vqcodec.compress_audio(babble(3 * RATE, 2), RATE, model=sound)
    facts = vqcodec.inspect(data)
    assert (facts.medium, facts.rate, facts.samples, facts.seconds) == ("sound", RATE, 48000, 3.0)
    assert facts.kbps == pytest.approx(8 * len(data) / 3000)
    assert facts.ratio == pytest.approx(2 * 2 * 48000 / len(data))
    assert sum(span.size for span in facts.spans) == facts.bytes == len(data)
    assert facts.as_dict()["medium"] == "sound"


def spoken(seconds: int) -> NDArray[np.float64]:
    """Voiced and hissing syllables with pauses between them."""
    rng = np.random.default_rng(5)
    time = np.arange(seconds * RATE) / RATE
    voice = sum(np.sin(2 * np.pi * 120 * k * time) / k for k in range(1, 20))
    beat = np.floor(time / 0.15).astype(int)
    kind = rng.integers(0, 3, beat.max() + 1)[beat]
    loudness = rng.uniform(0.2, 1.0, beat.max() + 1)[beat]
    return 0.1 * loudness * np.select([kind == 0, kind == 1], [voice, rng.normal(size=len(time))])


def held(*frequencies: float) -> NDArray[np.float64]:
    time = np.arange(4 * RATE) / RATE
    return sum(np.sin(2 * np.pi * frequency * time) for frequency in frequencies)


@pytest.mark.parametrize(
    ("samples", "warns"),
    [
        pytest.param(spoken(6), False, id="syllables"),
        pytest.param(spoken(1), False, id="too short to tell"),
        pytest.param(np.zeros(4 * RATE), False, id="silence"),
        pytest.param(np.random.default_rng(1).normal(size=4 * RATE), True, id="noise"),
        pytest.param(held(440.0), True, id="tone"),
        pytest.param(held(220.0, 277.0, 330.0), True, id="chord"),
    ],
)
def test_what_is_not_like_speech_is_warned_of(
    sound: TinySound, samples: NDArray, warns: bool
) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        vqcodec.compress_audio(0.05 * samples, RATE, model=sound)
    told = [str(w.message) for w in caught if issubclass(w.category, VqcWarning)]
    assert bool(told) == warns
    assert all("does not look like speech" in text for text in told)


def test_what_was_written_is_compared_with_what_was_coded(sound: TinySound) -> None:
    encoded = pipeline.encode(Samples(babble(3000).T, RATE, (("TITLE", "a"),)), sound, Wish())
    pipeline.confirm(encoded, encoded.data, sound)
    others = {
        "bytes, indices": vqcodec.compress_audio(
            babble(3000, seed=1), RATE, model=sound, tags={"TITLE": "a"}
        ),
        "bytes, description": vqcodec.compress_audio(
            babble(3000), RATE, model=sound, tags={"TITLE": "b"}
        ),
    }
    for differing, written in others.items():
        with pytest.raises(vqcodec.VqcError, match=differing):
            pipeline.confirm(encoded, written, sound)
    with pytest.raises(vqcodec.VqcError, match="does not decode"):
        pipeline.confirm(encoded, encoded.data[:-1], sound)


@dataclass(frozen=True)
class Long:
    """Twenty minutes of two channels that are made as they are read."""

    rate: int = RATE
    channels: int = 2
    tags: tuple[()] = ()
    modified: None = None
    seconds: int = 1200

    def blocks(self, length: int) -> Iterator[NDArray[np.float32]]:
        block = babble(length, 2).T
        for start in range(0, self.seconds * RATE, length):
            yield block[: self.seconds * RATE - start]


def peak_of(work: Callable[[], object]) -> int:
    """Return how many bytes arrays and objects take at most."""
    gc.collect()
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_does_not_grow_with_the_sound(sound: TinySound) -> None:
    """All samples would be 154 MB at once, what is measured of them 11 MB."""
    kept: list[bytes] = []
    coding = peak_of(lambda: kept.append(pipeline.encode(Long(), sound, Wish()).data))
    assert coding < 24_000_000
    opened = pipeline.open_sound(kept[0], model=sound)
    decoding = peak_of(lambda: [None for _ in opened.blocks()])
    assert decoding < 24_000_000
