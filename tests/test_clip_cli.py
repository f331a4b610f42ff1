"""The command line, of clips and of clips beside pictures."""

from __future__ import annotations

import io
import json
import re
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from clip_commands import TAKES, indices_of, load, names_in, save, save_folder
from conftest import Run, one_line_error, photo
from PIL import Image
from tiny_clip import walk

import vqcodec
from vqcodec.clip.timing import timing_of
from vqcodec.clip.writing import milliseconds
from vqcodec.media.formats import formats_of

pytestmark = pytest.mark.usefixtures("clip_models")


@pytest.mark.parametrize("suffix", ["gif", "webp", "png"])
def test_animated_pictures_there_and_back(run: Run, suffix: str) -> None:
    durations = [40, 50, 60, 120, 30, 20, 200]
    save(f"walk.{suffix}", walk(7), duration=durations, loop=3, lossless=True)
    result = run("compress", f"walk.{suffix}", *TAKES)
    assert result.code == 0
    assert re.search(rf"walk.{suffix} -> walk.vqc: .* 7 frames at [\d.]+ kbit/s", result.out)
    clip = vqcodec.decompress_clip("walk.vqc")
    assert clip.durations.tolist() == durations
    assert clip.loops == (4 if suffix == "gif" else 3)  # a GIF says how often it is repeated
    assert run("decompress", "walk.vqc", "-o", f"back.{suffix}").code == 0
    frames, found = load(f"back.{suffix}")
    assert (len(frames), found) == (7, durations)
    if suffix != "gif":
        assert np.array_equal(frames, clip.frames)
    assert Path(f"back.{suffix}").stat().st_mtime_ns == Path(f"walk.{suffix}").stat().st_mtime_ns
    assert run("compress", f"back.{suffix}", *TAKES).code == 0
    assert vqcodec.decompress_clip("back.vqc").loops == clip.loops


@pytest.mark.parametrize(("loop", "played"), [(None, 1), (0, 0), (1, 2)])
def test_how_often_a_gif_is_played(run: Run, loop: int | None, played: int) -> None:
    save("a.gif", walk(3), duration=40, **({} if loop is None else {"loop": loop}))
    run("compress", "a.gif", *TAKES)
    assert vqcodec.inspect("a.vqc").loops == played
    run("decompress", "a.vqc", "-o", "b.gif")
    run("compress", "b.gif", *TAKES)
    assert vqcodec.inspect("b.vqc").loops == played


def test_clips_become_webp_unless_another_format_is_asked_for(run: Run) -> None:
    save("walk.gif", walk(4), duration=40)
    run("compress", "walk.gif", *TAKES)
    assert run("decompress", "walk.vqc").code == 0
    assert Image.open("walk.webp").n_frames == 4
    assert run("decompress", "walk.vqc", "--format", "apng", "-d", "there").code == 0
    assert Image.open("there/walk.apng").n_frames == 4
    result = run("decompress", "walk.vqc", "--format", "gif", "-d", "there")
    assert "warning: a GIF has 256 colours" in result.err
    error = one_line_error(run("decompress", "walk.vqc", "-o", "walk.wav"), 2)
    assert "a clip cannot be written as '.wav', but as .webp, .gif" in error
    one_line_error(run("decompress", "walk.vqc", "-o", "walk.xyz"), 2)


def test_formats_are_those_of_each_medium() -> None:
    assert formats_of(None, None).clip == ".webp"
    for chosen, picture, clip in (("webp", ".webp", ".webp"), ("gif", ".png", ".gif")):
        formats = formats_of(None, chosen)
        assert (formats.picture, formats.sound, formats.clip) == (picture, ".wav", clip)
    assert formats_of(None, "jpg").clip == ".webp"
    assert formats_of(None, "frames").clip == ""


def test_without_a_model_of_clips_animated_pictures_are_pictures(run: Run) -> None:
    save("walk.gif", walk(4), duration=40)
    result = run("compress", "walk.gif", "--model", "random")
    assert result.code == 0
    assert vqcodec.inspect("walk.vqc").medium == "picture"
    assert "not kept" in result.err


@pytest.mark.parametrize("suffix", ["gif", "png", "webp"])
def test_still_pictures_are_no_clips_unless_that_is_asked_for(run: Run, suffix: str) -> None:
    name = f"photo.{suffix}"
    photo(30, 20).save(name)
    error = one_line_error(run("compress", name, *TAKES), 1)
    assert f"{name}: it is a still picture; --clip takes it" in error
    assert run("compress", name, "--clip", *TAKES).code == 0
    assert vqcodec.inspect("photo.vqc").frames == 1
    assert run("decompress", "photo.vqc", "-o", "back.png").code == 0
    assert Image.open("back.png").size == (30, 20)


def test_a_folder_of_frames_is_one_clip_where_that_is_asked_for(run: Run) -> None:
    frames, actions = walk(12), ["", *["left", "so 3", ""] * 3, "left", "left"]
    save_folder("walk", frames, actions)
    result = run("compress", "--clip", "walk", *TAKES)
    assert result.code == 0
    assert "walk -> walk.vqc" in result.out
    clip = vqcodec.decompress_clip("walk.vqc")
    assert np.array_equal(vqcodec.indices("walk.vqc"), indices_of(frames, actions))
    assert (clip.actions, clip.durations[0]) == (tuple(actions), 80.0)
    assert run("compress", "--clip", "walk", "--fps", 25, "-f", *TAKES).code == 0
    assert vqcodec.inspect("walk.vqc").frames_per_second == 25
    save("walk.gif", frames[:2], duration=40)
    error = one_line_error(run("compress", "walk.gif", "--fps", 25, "-o", "x.vqc", *TAKES), 1)
    assert "frames per second can be given for folders of frames alone" in error
    Path("walk/durations.txt").write_text("40\n33.3\n" + "20\n" * 10)
    assert run("compress", "--clip", "walk/", "-f", *TAKES).code == 0
    assert vqcodec.decompress_clip("walk.vqc").durations.tolist() == [40, 33.3] + [20] * 10
    assert run("compress", "--clip", "walk/", "--fps", 50, "-f", *TAKES).code == 0
    assert vqcodec.decompress_clip("walk.vqc").durations.tolist() == [20] * 12
    photo(28, 20).save("walk/frame12.png")
    error = one_line_error(run("compress", "--clip", "walk", "-f", *TAKES), 1)
    assert "durations.txt has 12 lines for 13 frames" in error


def test_clips_become_folders_of_frames(run: Run) -> None:
    save_folder("walk", walk(5), ["", "left", "left", "", "so 3"])
    run("compress", "--clip", "walk", *TAKES)
    clip = vqcodec.decompress_clip("walk.vqc")
    for arguments in (["-o", "back/"], ["--format", "frames", "-d", "there"]):
        assert run("decompress", "walk.vqc", *arguments).code == 0
    for folder in (Path("back"), Path("there/walk")):
        names = [f"{number:04d}.png" for number in range(5)]
        assert names_in(folder) == [*names, "actions.txt", "durations.txt"]
        found = [np.asarray(Image.open(folder / name)) for name in names]
        assert np.array_equal(np.stack(found), clip.frames)
    assert run("compress", "--clip", "back", *TAKES).code == 0
    again = vqcodec.decompress_clip("back.vqc")
    assert again.actions == clip.actions
    assert np.array_equal(again.durations, clip.durations)
    for more in ((), ("-f",)):  # folders are never overwritten
        error = one_line_error(run("decompress", "walk.vqc", "-o", "back/", *more), 2)
        assert "back exists; a folder is never overwritten: -o or -d names another place" in error


def test_frames_come_in_the_order_of_their_numbers(run: Run) -> None:
    frames = walk(11)
    save_folder("walk", frames)  # frame10.png after frame9.png
    run("compress", "--clip", "walk", *TAKES)
    assert np.array_equal(vqcodec.indices("walk.vqc"), indices_of(frames, []))


def test_actions_are_given_and_written_in_texts(run: Run) -> None:
    save("walk.gif", walk(4), duration=40)
    Path("given.txt").write_text("\nleft\n\nso 3\n")
    assert run("compress", "walk.gif", "--actions", "given.txt", *TAKES).code == 0
    assert run("decompress", "walk.vqc", "--actions-out", "found.txt").code == 0
    assert Path("found.txt").read_text() == "\nleft\n\nso 3\n"
    result = run("inspect", "walk.vqc")
    assert re.search(r"actions +unknown \(2\), left \(1\), so 3 \(1\)", result.out)
    Path("given.txt").write_text("\nleft\n\njump\n")
    error = one_line_error(run("compress", "walk.gif", "--actions", "given.txt", "-f", *TAKES), 2)
    assert "knows no action 'jump'" in error
    Path("given.txt").write_text("left\n")
    error = one_line_error(run("compress", "walk.gif", "--actions", "given.txt", "-f", *TAKES), 2)
    assert "4 frames and 1 action" in error


@pytest.mark.parametrize("jobs", [1, 2])
def test_folders_of_clips(run: Run, jobs: int) -> None:
    Path("in/deep").mkdir(parents=True)
    save("in/a.gif", walk(3), duration=40)
    save("in/deep/b.webp", walk(4), duration=40, lossless=True)
    Path("in/text.txt").write_text("neither")
    result = run("compress", "in", "-d", "out", "-j", jobs, *TAKES)
    assert result.code == 0
    assert "left out: 1 .txt" in result.err
    assert run("decompress", "out", "-d", "back", "-j", jobs).code == 0
    assert Image.open("back/a.webp").n_frames == 3
    assert Image.open("back/deep/b.webp").n_frames == 4
    again = run("decompress", "out", "-d", "back", "--skip-existing")
    assert "2 of 2 skipped" in again.err


def test_pipes(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    save("walk.gif", walk(4), duration=40)
    assert run("compress", "walk.gif", "-o", "expected.vqc", "--no-mtime", *TAKES).code == 0
    gif, vqc = (Path(name).read_bytes() for name in ("walk.gif", "expected.vqc"))
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(gif)))
    assert run("compress", "-", "-o", "piped.vqc", *TAKES).code == 0
    assert Path("piped.vqc").read_bytes() == vqc
    assert run("decompress", "piped.vqc", "-o", "piped.png").code == 0
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(vqc)))
    out = io.TextIOWrapper(io.BytesIO())
    monkeypatch.setattr(sys, "stdout", out)
    assert run("decompress", "-", "-o", "-", "--format", "png").code == 0
    assert out.buffer.getvalue() == Path("piped.png").read_bytes()


def test_parts_in_seconds(run: Run) -> None:
    save("walk.gif", walk(40), duration=100)
    run("compress", "walk.gif", *TAKES)
    whole = vqcodec.decompress_clip("walk.vqc").frames
    assert run("decompress", "walk.vqc", "-o", "part.png", "--crop", "1.5,2.5").code == 0
    assert np.array_equal(load("part.png")[0], whole[15:25])
    error = one_line_error(run("decompress", "walk.vqc", "-o", "b.png", "--crop", "1,2,3,4"), 2)
    assert "FROM,TO in seconds of sound or a clip" in error
    error = one_line_error(run("decompress", "walk.vqc", "-o", "b.png", "--crop", "9,10"), 2)
    assert "not inside 4 seconds" in error


def test_inspect(run: Run) -> None:
    save("walk.gif", walk(40), duration=50, loop=0)
    run("compress", "walk.gif", *TAKES)
    result = run("inspect", "--verify", "walk.vqc")
    assert result.code == 0
    assert "clip          40 frames of 28x20 pixels, 2.00 s, 20.00 frames/s, played for ever" in (
        result.out
    )
    assert "kbit/s" in result.out
    assert "bits/frame" in result.out
    assert "(clips)" in result.out
    assert "every checksum holds" in result.out
    facts = json.loads(run("inspect", "--json", "walk.vqc").out)
    assert (facts["medium"], facts["frames"], facts["grid"]) == ("clip", 40, [40, 5, 7])


@pytest.mark.parametrize("suffix", ["gif", "png", "webp"])
def test_inspect_tells_of_animated_pictures_what_their_files_would_hold(
    run: Run, suffix: str
) -> None:
    name = f"walk.{suffix}"
    save(name, walk(5), duration=50, loop=0)
    with Path(name).open("ab") as file:
        file.write(b"more")
    result = run("inspect", name, *TAKES)
    assert (result.code, result.err) == (0, "")
    line = "clip          5 frames of 28x20 pixels, 0.25 s, 20.00 frames/s, played for ever"
    assert line in result.out
    assert "not kept      further pictures or other data after the picture's end" in result.out
    assert "frame 2" not in result.out
    found = json.loads(run("inspect", "--json", name, *TAKES).out)
    assert run("compress", name, *TAKES).code == 0
    held = json.loads(run("inspect", "--json", "walk.vqc").out)
    same = found.keys() - {"bytes", "not_kept"}
    assert {key: found[key] for key in same} == {key: held[key] for key in same}
    assert line in run("inspect", "walk.vqc").out
    plain = run("inspect", name, "--model", "random").out  # of which the first frame is kept
    assert "not kept" in plain
    assert "clip " not in plain


@pytest.mark.parametrize("suffix", ["gif", "jpg", "png", "webp"])
def test_inspect_takes_still_pictures_as_pictures(run: Run, suffix: str) -> None:
    photo(30, 20).save(f"photo.{suffix}")
    found = run("inspect", f"photo.{suffix}", *TAKES)
    assert found.code == 0
    assert found.out == run("inspect", f"photo.{suffix}").out


def test_times_keep_their_sum_when_they_are_rounded() -> None:
    durations = timing_of([Fraction(1, 30)] * 90)
    for step in (1, 10):
        found = milliseconds(durations.durations(), step)
        assert all(own % step == 0 and own for own in found)
        assert abs(sum(found) - 3000) <= step


def test_salvage_does_not_advise_itself(run: Run) -> None:
    save("walk.webp", walk(3), duration=40, lossless=True)
    run("compress", "walk.webp", *TAKES)
    data = Path("walk.vqc").read_bytes()
    Path("cut.vqc").write_bytes(data[:60])
    assert "--salvage decodes" in one_line_error(run("decompress", "cut.vqc", "-o", "a.webp"), 1)
    result = run("decompress", "cut.vqc", "--salvage", "-o", "a.webp")
    assert result.code == 1
    assert "--salvage" not in result.err
