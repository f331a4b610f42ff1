"""Nothing of a file of sound is lost without a word: further sound, damage, tags and pictures."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pytest
import sound_files as files
from conftest import Run, one_line_error
from sound_files import KINDS, noise, written
from test_sound import babble

import vqcodec
from vqcodec.audio.chunks import MAX_SAMPLES
from vqcodec.audio.inventory.ogg import checksum
from vqcodec.audio.inventory.parts import COVER, FURTHER_SOUND, OTHER_DATA
from vqcodec.audio.reading import SoundFile, open_sound
from vqcodec.errors import SoundError

soundfile = pytest.importorskip("soundfile")
pytest.importorskip("soxr")
pytestmark = pytest.mark.filterwarnings("ignore:it does not look like speech")

Open: TypeAlias = Callable[..., SoundFile]
OGG = ("vorbis", "opus")
STREAMS = ("flac", "mp3", *OGG)
SUFFIXES = {"vorbis": "ogg", "wav24": "wav", "wavfloat": "wav"}


@pytest.fixture
def opened() -> Iterator[Open]:
    """Opens a file of these bytes."""
    with ExitStack() as opened_files:

        def open_(data: bytes, **options: Any) -> SoundFile:
            file = opened_files.enter_context(tempfile.TemporaryFile())
            file.write(data)
            file.flush()
            return open_sound(file, max_samples=MAX_SAMPLES, **options)

        yield open_


@pytest.fixture
def models(no_shipped_sound: None, run: Run, sound_data: bytes) -> None:
    """A model is installed."""
    Path("../sound.safetensors").write_bytes(sound_data)
    assert run("models", "install", "../sound.safetensors").code == 0


def sample(kind: str, count: int = 9000, rate: int = 16000, channels: int = 2) -> bytes:
    return written(babble(count, channels).clip(-1, 1), rate, **KINDS[kind])


def read(sound: SoundFile) -> int:
    return sum(len(block) for block in sound.blocks(1000))


# Further sound, and data that nobody knows.


@pytest.mark.parametrize("kind", KINDS)
def test_files_that_are_joined_are_refused_or_named(opened: Open, kind: str) -> None:
    for second in (sample(kind), sample(kind, 5000)):
        try:
            found = opened(sample(kind) + second)
        except SoundError:
            assert kind not in STREAMS
            continue
        expected = FURTHER_SOUND if kind in ("mp3", *OGG) else OTHER_DATA
        assert expected in found.losses


@pytest.mark.parametrize(("first", "second"), [OGG, OGG[::-1]])
def test_chains_of_several_codecs_are_named(opened: Open, first: str, second: str) -> None:
    found = opened(sample(first) + sample(second))
    assert found.losses == (FURTHER_SOUND,)
    assert read(found) == 9000


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [3, 128, 70000])
def test_unknown_data_behind_the_sound_are_named(opened: Open, kind: str, size: int) -> None:
    assert OTHER_DATA in opened(sample(kind) + noise(size)).losses


@pytest.mark.parametrize("kind", sorted({*KINDS} - {"w64"}))
@pytest.mark.parametrize("count", [1, 1152, 4096, 70001])
@pytest.mark.parametrize("rate", [8000, 44100, 48000])
def test_whole_files_lose_nothing(opened: Open, kind: str, count: int, rate: int) -> None:
    if (kind, rate) == ("opus", 44100):
        rate = 24000
    data = sample(kind, count, rate, channels=1 + count % 2)
    id3v1 = files.id3v1("Title")
    # libsndfile refuses short files of Opus with many zeros.
    for rest in (b"", bytes(50 if kind == "opus" else 5000), id3v1):
        found = opened(data + rest)
        assert (found.losses, read(found)) == ((), count)
    assert opened(data + files.lyrics3("la la") + id3v1).losses == ("tag LYRICS",)


def test_samples_of_an_odd_number_of_bytes_may_lack_their_pad(opened: Open) -> None:
    data = written(babble(1001), 16000, format="WAV", subtype="PCM_U8")
    assert data[-1] == 0
    for variant in (data, data[:-1]):
        assert opened(variant).losses == ()


def test_mp3_whose_frames_are_apart_or_cut_is_named(opened: Open) -> None:
    data = sample("mp3", 40000)
    first = data[data.index(data[:3], 4) :]
    assert opened(first).losses == ()  # without the frame that tells how many follow
    assert "its last frame, which is not whole" in opened(first[:-9]).losses
    middle = first.index(first[:3], len(first) // 2)
    assert opened(first[:middle] + noise(500) + first[middle:]).losses


def test_mp3_that_do_not_tell_their_length_are_read_to_the_end(opened: Open) -> None:
    data = sample("mp3", 40000)
    first = data[data.index(data[:3], 4) :]
    found = opened(first + first)
    assert (found.losses, found.length > 80000) == ((), True)


def test_what_follows_an_id3_tag_must_be_known(opened: Open) -> None:
    tag = files.id3(("TIT2", b"\3One"))
    found = opened(tag + sample("flac"))
    assert (found.tags, found.losses) == ((("TITLE", "One"),), ())
    (loss,) = opened(tag + sample("wav")).losses
    assert "its format is not taken apart" in loss


@pytest.mark.parametrize("form", ["IRCAM", "NIST", "VOC", "PAF"])
def test_formats_that_are_not_taken_apart_are_named(opened: Open, form: str) -> None:
    (loss,) = opened(written(babble(1000), 16000, format=form)).losses
    assert "its format is not taken apart" in loss


@pytest.mark.parametrize("kind", ["vorbis", "opus", "mp3", "flac", "wav"])
def test_sources_with_further_data_are_always_kept(models: None, run: Run, kind: str) -> None:
    name = f"talk.{SUFFIXES.get(kind, kind)}"
    data = sample(kind)
    Path(name).write_bytes(data + (noise(500) if kind == "wav" else data))
    result = run("compress", name)
    assert result.code == 0
    assert "not kept: " in result.err
    assert "after the sound's end" in result.err
    for more in (["-f", "--dry-run"], ["-f"], ["-f", "--strip"]):
        result = run("compress", name, "--remove-source", "--allow-lossy", *more)
        assert "kept: " in result.err
        assert "after the sound's end would be lost" in result.err
        assert Path(name).exists()
    Path(name).write_bytes(data)
    assert run("compress", name, "--remove-source", "--allow-lossy", "-f").code == 0
    assert not Path(name).exists()


# Damage.


def test_the_checksum_of_pages_is_that_of_the_standard() -> None:
    for size in (0, 1, 2, 27, 255, 1000):
        assert checksum(noise(size)) == files.ogg_checksum(noise(size))
    assert checksum(b"123456789") == 0x89A1897F  # CRC-32/MPEG-2 with 0 at the start


def chatty() -> bytes:
    """Return MP3 of which libmpg123 writes to stderr when it is opened, and when it is read."""
    data = bytearray(sample("mp3", 40000))
    for at in range(3000, len(data), 997):
        data[at] ^= 255
    return bytes(data + data)


def test_libraries_write_nothing_to_the_terminal(
    opened: Open, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "chatty.mp3"
    path.write_bytes(chatty())
    soundfile.read(path)
    assert "mpg123" in capfd.readouterr().err
    found = opened(chatty())
    blocks = found.blocks(100)
    for _ in range(3):
        next(blocks)
        os.write(2, b"our own. ")
    with suppress(SoundError):
        list(blocks)
    assert capfd.readouterr().err == "our own. " * 3


WITHOUT_STDERR = """
import os, sys
from vqcodec.audio.reading import open_sound

{before}
with open("chatty.mp3", "rb") as file:
    assert file.fileno() == 2
    sound = open_sound(file, max_samples=1 << 30)
    assert len(next(sound.blocks(100))) == 100
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs a shell's redirection")
@pytest.mark.parametrize("where", ["from the start", "later"])
def test_sound_is_read_without_stderr(tmp_path: Path, where: str) -> None:
    """Its descriptor may then be that of the sound itself."""
    (tmp_path / "chatty.mp3").write_bytes(chatty())
    script = WITHOUT_STDERR.format(before="os.close(2)" if where == "later" else "")
    command = [sys.executable, "-c", script]
    if where == "from the start":
        command = ["sh", "-c", 'exec "$0" "$@" 2>&-', *command]
    assert subprocess.run(command, cwd=tmp_path, check=False).returncode == 0
    assert (tmp_path / "chatty.mp3").read_bytes() == chatty()


@pytest.mark.parametrize("kind", OGG)
def test_damaged_ogg_is_refused(opened: Open, kind: str) -> None:
    data = sample(kind, 60000)
    random = np.random.default_rng(5)
    for at in random.integers(0, len(data), 60):
        changed = bytearray(data)
        changed[at] ^= 1 << random.integers(0, 8)
        with pytest.raises(SoundError):
            read(opened(bytes(changed)))
    for at in random.integers(0, len(data) - 400, 20):
        with pytest.raises(SoundError):
            read(opened(data[:at] + bytes(400) + data[at + 400 :]))
    for end in random.integers(30, len(data), 40):
        try:
            found = opened(data[:end])
        except SoundError:
            continue
        assert any("its end is not marked" in loss for loss in found.losses)


@pytest.mark.parametrize("kind", OGG)
def test_ogg_whose_pages_are_not_all_there_is_refused(opened: Open, kind: str) -> None:
    pages = files.pages_of(sample(kind, 200000))
    middle = len(pages) // 2
    for wrong in (
        pages[:middle] + pages[middle + 1 :],
        [*pages[: middle + 1], *pages[middle:]],
        [*pages[:middle], pages[middle + 1], pages[middle], *pages[middle + 2 :]],
        pages[1:],
        [*pages, replace(pages[-1], sequence=pages[-1].sequence + 1)],
    ):
        with pytest.raises(SoundError):
            opened(files.joined(wrong))


@pytest.mark.parametrize("kind", OGG)
def test_ogg_without_a_marked_end_is_read_and_kept(opened: Open, kind: str) -> None:
    found = opened(files.without_end(sample(kind, 60000)))
    (loss,) = found.losses
    assert "its end is not marked" in loss
    if kind == "vorbis":  # libsndfile finds the end of Opus only where it is marked
        assert read(found) == 60000
    with pytest.raises(SoundError):
        opened(files.without_end(sample(kind)) + noise(100))


def test_other_streams_in_ogg_are_named(opened: Open) -> None:
    first, *rest = files.pages_of(sample("vorbis", 40000))
    other = files.Page(2, 0, first.serial ^ 1, 0, b"\7", b"\x80theora")
    end = files.Page(4, 0, first.serial ^ 1, 1, b"\1", b"x")
    found = opened(files.joined([first, other, *rest[:3], end, *rest[3:]]))
    assert found.losses == ("a stream that is no sound",)


def test_ogg_without_sound_is_refused(opened: Open) -> None:
    for pages in (
        [files.Page(2, 0, 1, 0, b"\7", b"\x80theora"), files.Page(4, 0, 1, 1, b"", b"")],
        [files.Page(2, 0, 1, 0, b"", b"")],
        [files.Page(2, 0, n, 0, b"\1", b"x") for n in range(2000)],
    ):
        with pytest.raises(SoundError):
            opened(files.joined(pages))


@pytest.mark.parametrize("kind", KINDS)
def test_files_that_end_early_are_refused(opened: Open, kind: str) -> None:
    data = sample(kind, 40000)
    for end in (len(data) // 4, len(data) // 2, len(data) - 700):
        with pytest.raises(SoundError):
            read(opened(data[:end] if kind not in OGG else data[: end | 1]))


def test_damage_is_told_in_one_line(models: None, run: Run) -> None:
    data = bytearray(sample("opus", 60000))
    data[len(data) // 2] ^= 1
    Path("talk.opus").write_bytes(data)
    arguments = ("compress", "talk.opus", "--remove-source", "--allow-lossy")
    assert "the checksum of a page is wrong" in one_line_error(run(*arguments), 1)
    assert Path("talk.opus").exists()


# Tags and pictures.

PICTURE = files.flac_picture(noise(2000))
FIELDS = ("TITLE=One", "TITLE=Two", "COMPOSER=Ann", "LYRICS=la\nla", "ALBUMARTIST=Bo", "x=Ü")
TAGS = tuple((name.upper(), text) for name, text in (field.split("=") for field in FIELDS))


def with_comments(kind: str, header: bytes) -> bytes:
    if kind == "flac":
        return files.flac_with(sample(kind), (4, header))
    return files.vorbis_with(sample(kind), header)


@pytest.mark.parametrize("kind", ["flac", *OGG])
def test_all_vorbis_comments_are_kept(opened: Open, models: None, run: Run, kind: str) -> None:
    data = with_comments(kind, files.comments(*FIELDS))
    found = opened(data)
    assert (found.tags, found.losses, read(found)) == (TAGS, (), 9000)
    assert opened(data, strip=True).tags == ()
    name = f"talk.{SUFFIXES.get(kind, kind)}"
    Path(name).write_bytes(data)
    assert run("compress", name).err == ""
    assert vqcodec.inspect("talk.vqc").tags == TAGS
    for suffix in (".flac", ".ogg", ".opus", ".mp3", ".wav"):
        assert "written" not in run("decompress", "talk.vqc", "-o", f"back{suffix}").err
        back = opened(Path(f"back{suffix}").read_bytes())
        assert sorted(back.tags) == sorted(TAGS)
    assert soundfile.SoundFile("back.wav").title == "One"


@pytest.mark.parametrize("kind", ["flac", *OGG])
def test_comments_that_cannot_be_kept_are_named(opened: Open, kind: str) -> None:
    for field, loss in (
        ("METADATA_BLOCK_PICTURE=" + "A" * 40000, COVER),
        ("metadata_block_picture=AAAA", COVER),
        ("näme=x", "tag NÄME"),
        ("=x", "text without a name"),
        ("x", "text without a name"),
        ("Ü" * 9999 + "=x", "tag " + "Ü" * 40 + "..."),
    ):
        found = opened(with_comments(kind, files.comments("TITLE=One", field)))
        assert (found.tags, found.losses) == ((("TITLE", "One"),), (loss,))
    most = opened(with_comments(kind, files.comments(*(f"N{n}=x" for n in range(1500)))))
    assert len(most.tags) == 1024
    assert most.losses[0].endswith("and 464 more")
    with pytest.raises(SoundError):
        read(opened(with_comments(kind, files.comments("TITLE=One", "ARTIST=Ann")[:-3])))


@pytest.mark.parametrize(
    ("block", "loss"),
    [
        ((1, bytes(50)), None),
        ((6, PICTURE), COVER),
        ((5, files.flac_cue_sheet()), "cue sheet"),
        ((2, b"riffxxxx"), "application data"),
        ((9, b"abcd"), "metadata block 9"),
    ],
)
def test_blocks_of_flac_that_are_not_kept_are_named(
    opened: Open, block: tuple[int, bytes], loss: str | None
) -> None:
    data = files.flac_with(sample("flac"), block, (1, b""))
    found = opened(data)
    assert (found.losses, found.tags, read(found)) == ((loss,) if loss else (), (), 9000)
    assert opened(data, strip=True).losses == ()


@pytest.mark.parametrize("version", [3, 4])
def test_id3_is_kept_or_named(opened: Open, version: int) -> None:
    frames = (
        ("TIT2", b"\3" + "Süß".encode()),
        ("TPE1", b"\1" + "Änn".encode("utf-16")),
        ("TALB", b"\0T\xeate"),
        ("TCOM", b"\0Bo"),
        ("TXXX", b"\3mood\0glad"),
        ("COMM", b"\0eng\0a comment"),
        ("USLT", b"\3eng\0la la"),
        ("TLEN", b"\0009000"),
        ("APIC", b"\0image/png\0\3\0" + noise(3000)),
        ("PRIV", noise(20)),
    )
    data = (
        files.id3(*frames, version=version) + sample("mp3") + files.ape(("Replaygain_x", "-1 dB"))
    )
    found = opened(data)
    assert set(found.tags) == {
        *(("TITLE", "Süß"), ("ARTIST", "Änn"), ("ALBUM", "Tête"), ("COMPOSER", "Bo")),
        *(("MOOD", "glad"), ("COMMENT", "a comment"), ("LYRICS", "la la")),
        ("REPLAYGAIN_X", "-1 dB"),
    }
    assert found.losses == (COVER, "tag PRIV")
    assert read(found) == 9000
    stripped = opened(data, strip=True)
    assert (stripped.tags, stripped.losses) == ((), ())


@pytest.mark.parametrize("kind", sorted({*KINDS} - {"w64"}))
def test_id3v1_is_kept(opened: Open, kind: str) -> None:
    old = files.id3v1("One", "B\xe9la", "Loud", "1999", "a comment", 7, 101)
    found = opened(sample(kind) + old)
    assert {(name, text) for name, text in found.tags if name != "ENCODER"} == {
        *(("TITLE", "One"), ("ARTIST", "B\xe9la"), ("ALBUM", "Loud"), ("DATE", "1999")),
        *(("COMMENT", "a comment"), ("TRACKNUMBER", "7"), ("GENRE", "Speech")),
    }
    assert (found.losses, read(found)) == ((), 9000)


LONG_TITLE = "A title that no field of thirty bytes has room for"


@pytest.mark.parametrize(
    ("old", "loss"),
    [
        (files.id3v1(LONG_TITLE, "Ann", date="2024", track=3, genre=17), None),
        (files.id3v1(LONG_TITLE, "Ann", genre=12), None),  # a genre that is in no list
        (files.id3v1("Another title"), "tag TITLE of ID3v1"),
        (files.id3v1(LONG_TITLE[:9] + "?"), "tag TITLE of ID3v1"),
        (files.id3v1(date="2023"), "tag DATE of ID3v1"),
        (files.id3v1(track=4), "tag TRACKNUMBER of ID3v1"),
        (files.id3v1(genre=8), "tag GENRE of ID3v1"),
    ],
)
@pytest.mark.parametrize("kind", ["flac", "mp3"])
def test_id3v1_that_contradicts_is_named(
    opened: Open, kind: str, old: bytes, loss: str | None
) -> None:
    """What it says again, cut to its fields' sizes, is no contradiction."""
    texts = {
        "TIT2": LONG_TITLE,
        "TPE1": "Ann",
        "TDRC": "2024-05-06",
        "TRCK": "03/9",
        "TCON": "(17)",
    }
    tag = files.id3(*((name, b"\3" + text.encode()) for name, text in texts.items()))
    found = opened(tag + sample(kind) + old)
    assert found.losses == ((loss,) if loss else ())
    assert ("GENRE", "Rock") in found.tags
    assert {text for _, text in found.tags} >= {LONG_TITLE, "Ann", "2024-05-06", "03/9"}


def test_letters_that_id3v1_has_otherwise_are_no_contradiction(opened: Open) -> None:
    title = "S\xfc\xdfe Rede, l\xe4nger als drei\xdfig Byte"
    for encoding in ("utf-8", "latin-1"):
        data = files.flac_with(sample("flac"), (4, files.comments(f"TITLE={title}")))
        data += b"TAG" + title.encode(encoding)[:30].ljust(124, b"\0") + b"\xff"
        assert (opened(data).tags, opened(data).losses) == ((("TITLE", title),), ())


def test_chunks_of_wav_are_kept_or_named(opened: Open) -> None:
    info = b"INFO" + b"".join(
        name + len(text).to_bytes(4, "little") + text + bytes(len(text) % 2)
        for name, text in ((b"INAM", b"T\xeate\0"), (b"IART", "Änn".encode()), (b"IXYZ", b"x"))
    )
    found = opened(
        files.riff_with(
            sample("wav"),
            (b"LIST", info),
            (b"JUNK", noise(9)),
            (b"id3 ", files.id3(("TCOM", b"\0Bo"))),
            (b"bext", noise(602)),
            (b"cue ", bytes(28)),
        )
    )
    assert found.tags == (("TITLE", "Tête"), ("ARTIST", "Änn"), ("COMPOSER", "Bo"))
    assert found.losses == ("chunk bext", "chunk cue", "tag IXYZ")
    assert read(found) == 9000


MASK = "WAVEFORMATEXTENSIBLE_CHANNEL_MASK"


@pytest.mark.parametrize(
    ("channels", "mask", "text"),
    [
        *((1, 0x4, ""), (2, 0x3, ""), (2, 0, ""), (6, 0x3F, ""), (8, 0x63F, "")),
        *((1, 0x8, "0x0008"), (2, 0x9, "0x0009"), (6, 0x60F, "0x060F"), (9, 0x1FF, "0x01FF")),
    ],
)
@pytest.mark.parametrize("form", ["WAVEX", "RF64", "CAF"])
def test_masks_of_channels_are_kept_unless_they_are_usual(
    opened: Open, channels: int, mask: int, text: str, form: str
) -> None:
    data = written(babble(9000, channels).clip(-1, 1), 16000, format=form, subtype="PCM_16")
    if form == "CAF":
        data = files.caf_with(data, (b"chan", struct.pack(">III", 1 << 16, mask, 0)))
    else:
        data = files.masked(data, mask)
    found = opened(data)
    assert (found.losses, read(found)) == ((), 9000)
    assert dict(found.tags).get(MASK, "") == text
    assert opened(data, strip=True).tags == ()


@pytest.mark.parametrize("kind", ["aiff", "caf"])
def test_layouts_of_channels_that_are_no_masks_are_named_unless_they_are_usual(
    opened: Open, kind: str
) -> None:
    put = {"aiff": files.aiff_with, "caf": files.caf_with}[kind]
    name = {"aiff": b"CHAN", "caf": b"chan"}[kind]
    for layout, losses in (
        ((101 << 16) + 2, ()),
        ((106 << 16) + 2, ("channel layout",)),  # middle and side
        (0, ("channel layout",)),
    ):
        data = put(sample(kind), (name, struct.pack(">III", layout, 0, 0)))
        assert opened(data).losses == losses


def test_further_samples_in_one_wav_are_refused_or_named(opened: Open) -> None:
    """libsndfile takes the last of several chunks of samples, if it takes one."""
    for further in (b"", noise(400), noise(40000)):
        try:
            found = opened(files.riff_with(sample("wav"), (b"data", further)))
        except SoundError:
            continue
        assert found.losses == (OTHER_DATA,)


def test_chunks_of_every_size_are_read(opened: Open) -> None:
    body = b"INFOINAM\4\0\0\0One\0"
    for size in range(len(body)):
        for name in (b"LIST", b"id3 ", b"bext"):
            found = opened(files.riff_with(sample("wav", 10), (name, body[:size])))
            assert found.length == 10
            assert found.tags == () or name == b"LIST"


@pytest.mark.parametrize("kind", ["wav", "flac", "mp3", "vorbis", "aiff", "caf"])
def test_hostile_metadata_are_read_or_refused(opened: Open, kind: str) -> None:
    """Whatever is changed where tags are: a SoundError, or a file that is read."""
    random = np.random.default_rng(7)
    tags = files.id3(("TIT2", b"\3One"), ("APIC", b"\0x"), ("TXXX", b"\1a\0b"), ("COMM", b"\0"))
    data = {
        "wav": files.riff_with(sample("wav"), (b"LIST", b"INFOINAM\4\0\0\0One\0"), (b"id3 ", tags)),
        "flac": files.flac_with(sample("flac"), (4, files.comments(*FIELDS)), (6, b"xx")),
        "mp3": tags + sample("mp3") + files.ape(("a", "b")) + files.lyrics3("x"),
        "vorbis": files.vorbis_with(sample("vorbis"), files.comments(*FIELDS)),
        "aiff": sample("aiff"),
        "caf": sample("caf"),
    }[kind]
    for number in range(150):
        changed = bytearray(data)
        low, high = ((0, 200), (len(data) - 150, len(data)))[number % 2]
        for at in random.integers(low, high, 3):
            changed[at] = random.integers(0, 256)
        try:
            opened(bytes(changed))
        except SoundError:
            continue


def test_metadata_that_would_be_lost_keep_a_source(models: None, run: Run) -> None:
    data = files.flac_with(sample("flac"), (4, files.comments("näme=x", "TITLE=A")), (6, PICTURE))
    Path("talk.flac").write_bytes(data)
    result = run("compress", "talk.flac")
    assert "not kept: cover picture" in result.err
    assert "not kept: tag NÄME" in result.err
    shown = run("inspect", "talk.flac").out
    assert "not kept      cover picture" in shown
    facts = json.loads(run("inspect", "talk.flac", "--json").out)
    assert facts["not_kept"] == ["cover picture", "tag NÄME"]
    remove = ("compress", "talk.flac", "--remove-source", "--allow-lossy", "-f")
    assert "kept: cover picture would be lost" in run(*remove).err
    assert Path("talk.flac").exists()
    assert run(*remove, "--strip").code == 0
    assert not Path("talk.flac").exists()
