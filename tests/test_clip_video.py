"""Video at the command line, with a stand-in for ffmpeg."""

from __future__ import annotations

import io
import stat
import sys
import time
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from clip_commands import TAKES, indices_of, posix, save
from conftest import Run, one_line_error
from tiny_clip import walk

import vqcodec
from vqcodec.clip import ffmpeg as ffmpeg_module
from vqcodec.clip.timing import timing_of
from vqcodec.errors import ClipError

pytestmark = pytest.mark.usefixtures("clip_models")

FFMPEG = """#!{python}
import pathlib, sys
words = sys.argv[1:]
if "pipe:0" in words:
    frames = sys.stdin.buffer.read()
    pathlib.Path(words[-1].removeprefix("file:")).write_bytes(repr(words).encode() + frames)
    sys.exit()
name = words[words.index("-i") + 1]
assert name.startswith("file:"), name
data = pathlib.Path(name.removeprefix("file:")).read_bytes()[12:]
if data == b"broken":
    sys.exit(print("moov atom \\x1b[2J not found", file=sys.stderr) or 1)
if words[-2] == "framecrc":
    print("#software: x\\n#tb 0: 1/30\\n#dimensions 0: 28x20")
    said = pathlib.Path(name.removeprefix("file:") + ".said")
    print(said.read_text() if said.exists() else "", file=sys.stderr)
    for number in range(len(data) // 1680):
        print(f"0, {{number}}, {{2 * number}}, 2, 1680, 0x0")
else:
    sys.stdout.buffer.write(data)
"""
"""A program that reads frames of 28x20 pixels that lie behind the first 12 bytes of a file."""
HEAD = b"\0\0\0\x18ftypisom"
WHOLE = """[mov,mp4,m4a,3gp,3g2,mj2 @ 0x55] [warning] stream 0, timescale not set
[info] Input #0, mov,mp4,m4a,3gp,3g2,mj2, from 'file:a.mp4':
[info]   Metadata:
[info]     major_brand     : isom
[info]     encoder         : Lavf59.27.100
[info]   Duration: 00:00:00.60, start: 0.000000, bitrate: 35 kb/s
[info]   Stream #0:0[0x1](und): Video: h264 (High) (avc1 / 0x31637661), yuv420p(progressive), \
28x20 [SAR 1:1 DAR 7:5], 35 kb/s, 15 fps, 15 tbr, 12800 tbn (default)
[info]     Metadata:
[info]       handler_name    : VideoHandler
[info] Stream mapping:
[info]   Stream #0:0 -> #0:0 (h264 (native) -> rawvideo (native))
[info] Output #0, framecrc, to 'pipe:':
[info]   Stream #0:0: Video: rawvideo, rgba(pc, progressive), 28x20 [SAR 2:1 DAR 7:5]
[info] video:180kB audio:0kB subtitle:0kB other streams:0kB
"""
"""What ffmpeg 5.1 says of a file of which nothing is lost."""
_MAPPING = "[info] Stream mapping:"


def _also(line: str) -> str:
    return WHOLE.replace(_MAPPING, f"[info] {line}\n{_MAPPING}")


LOSSES = {
    _also("  Stream #0:1[0x2](und): Audio: aac (LC), 44100 Hz, mono, fltp (default)"): "sound",
    _also("  Stream #0:1: Subtitle: subrip"): "subtitles",
    _also("  Stream #0:1: Video: h264, yuv420p, 28x20"): "further pictures",
    _also("  Stream #0:2[0x0]: Video: png, rgb24, 9x9 (attached pic)"): "further pictures",
    _also("  Stream #0:1: Attachment: ttf"): "attachments or other data",
    _also("      alpha_mode      : 1"): "transparency",
    _also("  Chapters:"): "chapters",
    _also("    title           : A walk"): "tags",
    WHOLE.replace("yuv420p", "yuva420p"): "transparency",
    WHOLE.replace("yuv420p", "yuv420p10le"): "samples of more than 8 bits",
    WHOLE.replace("yuv420p", "p010le"): "samples of more than 8 bits",
    WHOLE.replace("[SAR 1:1", "[SAR 2:1"): "that pixels are 2:1 wide",
    WHOLE.replace("00:00.60", "00:08.00"): "what follows 0.6 seconds of 8.0",
    WHOLE + "[h264 @ 0x55] [error] Invalid NAL unit size (464 > 306).": "what is damaged",
    WHOLE + "[matroska,webm @ 0x7f] [error] File ended prematurely": "what is damaged",
    WHOLE + "[warning] file:a.mp4: corrupt input packet in stream 0": "what is damaged",
}
"""What it says where something is, by what that is."""


@pytest.fixture
def ffmpeg(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A stand-in for ffmpeg is the only program there is."""
    folder = tmp_path / "programs"
    folder.mkdir()
    program = folder / "ffmpeg"
    program.write_text(FFMPEG.format(python=sys.executable))
    program.chmod(program.stat().st_mode | stat.S_IEXEC)
    monkeypatch.setenv("PATH", str(folder))


@posix
@pytest.mark.usefixtures("ffmpeg")
@pytest.mark.parametrize("name", ["walk.mp4", "-i.mp4", "concat:a|b.mkv", "a b'\".webm", "walk"])
def test_video_is_read_by_ffmpeg(run: Run, name: str) -> None:
    frames = walk(9)
    Path(name).write_bytes(HEAD + frames.tobytes())
    assert run("compress", "-o", "a.vqc", *TAKES, "--", name).code == 0
    clip = vqcodec.decompress_clip("a.vqc")
    assert np.array_equal(vqcodec.indices("a.vqc"), indices_of(frames, []))
    assert clip.durations == pytest.approx(np.full(9, 1000 / 15))
    assert clip.loops == 1


@posix
@pytest.mark.usefixtures("ffmpeg")
def test_video_from_a_pipe(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    frames = walk(3)
    piped = io.TextIOWrapper(io.BytesIO(HEAD + frames.tobytes()))
    monkeypatch.setattr(sys, "stdin", piped)
    assert run("compress", "-", "-o", "a.vqc", *TAKES).code == 0
    assert np.array_equal(vqcodec.indices("a.vqc"), indices_of(frames, []))


@posix
@pytest.mark.usefixtures("ffmpeg")
def test_what_ffmpeg_says_is_one_line(run: Run) -> None:
    Path("a.mp4").write_bytes(HEAD + b"broken")
    error = one_line_error(run("compress", "a.mp4", *TAKES), 1)
    assert "a.mp4: ffmpeg failed: moov atom ?[2J not found" in error
    Path("a.mp4").write_bytes(HEAD)
    assert "the video has no frames" in one_line_error(run("compress", "a.mp4", *TAKES), 1)
    Path("a.mp4").write_bytes(HEAD + walk(9).tobytes())
    arguments = ["--max-pixels", 9 * 28 * 20 - 1]
    error = one_line_error(run("compress", "a.mp4", *arguments, *TAKES), 1)
    assert error.endswith("; --max-pixels raises the limit\n")


@posix
@pytest.mark.usefixtures("ffmpeg")
@pytest.mark.parametrize("said", [WHOLE, *LOSSES])
def test_what_of_video_is_missed_keeps_its_source(run: Run, said: str) -> None:
    Path("a.mp4").write_bytes(HEAD + walk(9).tobytes())
    Path("a.mp4.said").write_text(said)
    loss = LOSSES.get(said)
    told = run("compress", "a.mp4", *TAKES).err
    assert f"not kept: {loss}" in told if loss else not told
    result = run("compress", "a.mp4", "--remove-source", "--allow-lossy", "-f", *TAKES)
    assert Path("a.mp4").exists() == (loss is not None) == (result.code == 1)


@posix
@pytest.mark.usefixtures("ffmpeg")
def test_ffmpeg_may_wait_for_us_but_not_we_for_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(HEAD + walk(300).tobytes())  # more than a pipe holds
    video = ffmpeg_module.open_video(path, max_pixels=10**6)
    monkeypatch.setattr(ffmpeg_module, "_SECONDS", 1.0)
    frames = video.frames()
    next(frames)
    time.sleep(1.2)
    assert len(list(frames)) == 299
    program = tmp_path / "programs" / "ffmpeg"
    program.write_text(f"#!{sys.executable}\nimport time\ntime.sleep(60)\n")
    monkeypatch.setattr(ffmpeg_module, "_SECONDS", 0.2)
    began = time.monotonic()
    with pytest.raises(ClipError):
        ffmpeg_module.open_video(path, max_pixels=10**6)
    with pytest.raises(ClipError):
        next(video.frames())
    large = (np.zeros((999, 999, 3), np.uint8) for _ in range(2))  # more than a pipe holds
    timing = timing_of([Fraction(1, 10)] * 2)
    with pytest.raises(ClipError), (tmp_path / "b.mp4").open("wb") as file:
        ffmpeg_module.write_video(file, ".mp4", large, timing, range(2))
    assert time.monotonic() - began < 30


def test_video_never_repeats_a_frame_without_end(tmp_path: Path) -> None:
    timing = timing_of([Fraction(1), Fraction(2**32 - 1)])
    frames = iter(walk(2))
    with (
        pytest.raises(ClipError, match="would have 4294967296 frames"),
        (tmp_path / "b.mp4").open("wb") as file,
    ):
        ffmpeg_module.write_video(file, ".mp4", frames, timing, range(2))


@posix
@pytest.mark.usefixtures("ffmpeg")
def test_video_is_written_by_ffmpeg(run: Run) -> None:
    frames = walk(3)
    save("walk.webp", frames, duration=[20, 40, 20], lossless=True)
    run("compress", "walk.webp", *TAKES)
    result = run("decompress", "walk.vqc", "-o", "back.mp4")
    assert result.code == 0
    assert "warning: .mp4 is lossy" in result.err
    assert "even length" not in result.err
    data = Path("back.mp4").read_bytes()
    shown = vqcodec.decompress_clip("walk.vqc").frames[[0, 1, 1, 2]]  # one is shown twice as long
    assert data.endswith(b"]" + shown.tobytes())
    assert b"'-s', '28x20', '-framerate', '50'" in data


@posix
@pytest.mark.usefixtures("ffmpeg")
@pytest.mark.parametrize("said", [WHOLE, *LOSSES])
def test_inspect_tells_of_video_what_would_be_lost(run: Run, said: str) -> None:
    Path("a.mp4").write_bytes(HEAD + walk(9).tobytes())
    Path("a.mp4.said").write_text(said)
    for more in ([], TAKES):
        result = run("inspect", "a.mp4", *more)
        assert (result.code, result.err) == (0, "")
        assert "clip          9 frames of 28x20 pixels, 0.60 s, 15.00 frames/s" in result.out
        assert f"not kept      {LOSSES[said]}" in result.out if said in LOSSES else True
        assert ("not kept" in result.out) == (said in LOSSES)


def test_without_ffmpeg_one_line_says_so(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    Path("a.mp4").write_bytes(HEAD)
    for command in (["compress", "a.mp4", *TAKES], ["inspect", "a.mp4"]):
        error = one_line_error(run(*command), 1)
        assert "video needs the program ffmpeg; install it" in error


def test_without_a_model_of_clips_one_line_says_so(run: Run, no_installed_models: Path) -> None:
    for path in no_installed_models.iterdir():
        path.unlink()
    Path("a.mp4").write_bytes(HEAD)
    error = one_line_error(run("compress", "a.mp4"), 1)
    assert "no model of clips is installed" in error


@posix
@pytest.mark.usefixtures("ffmpeg")
def test_odd_sides_of_video_are_told(run: Run) -> None:
    save("walk.webp", walk(3)[:, :19], duration=40, lossless=True)
    run("compress", "walk.webp", *TAKES)
    result = run("decompress", "walk.vqc", "-o", "back.mp4")
    assert result.code == 0
    assert "video has sides of even length: a row or a column was added" in result.err
