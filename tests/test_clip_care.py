"""Clips at the command line: nothing is lost silently, and what is wrong ends in one line."""

from __future__ import annotations

import io
import os
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clip_commands import TAKES, indices_of, names_in, posix, save, save_folder
from conftest import Run, one_line_error, photo
from PIL import EpsImagePlugin, Image
from PIL.GifImagePlugin import GifImageFile
from tiny_clip import walk

import vqcodec
from vqcodec.cli.running import EXIT_SALVAGED
from vqcodec.clip import pipeline
from vqcodec.clip.decoding import Film
from vqcodec.clip.timing import timing_of
from vqcodec.clip.writing import write_clip
from vqcodec.errors import ClipError, CorruptError

pytestmark = pytest.mark.usefixtures("clip_models")


@pytest.mark.parametrize("error", [CorruptError("a tile"), OSError(28, "No space left")])
def test_a_folder_of_frames_appears_whole_or_not_at_all(
    run: Run, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    save_folder("walk", walk(5))
    run("compress", "--clip", "walk", *TAKES)
    before = names_in(Path())
    draw = Film._drawn
    drawn = []

    def draw_three(film: Film, *arguments: Any) -> Any:
        drawn.append(film)
        if len(drawn) == 4:
            raise error
        return draw(film, *arguments)

    monkeypatch.setattr(Film, "_drawn", draw_three)
    one_line_error(run("decompress", "walk.vqc", "-o", "back/"), 1)
    assert len(drawn) == 4
    assert names_in(Path()) == before
    assert run("decompress", "walk.vqc", "-o", "back/").code == 0
    assert len(names_in(Path("back"))) == 6


def test_what_a_killed_process_left_is_removed_and_nothing_else(run: Run) -> None:
    save_folder("walk", walk(2))
    run("compress", "--clip", "walk", *TAKES)
    old, new = Path(".vqcodec-0123456789abcdef.part"), Path(".vqcodec-fedcba9876543210.part")
    for folder in (old, new):
        folder.mkdir()
        (folder / "0000.png").write_bytes(b"half")
    os.utime(old, (0, 0))
    assert run("decompress", "walk.vqc", "-o", "back/").code == 0
    assert names_in(Path()) == [new.name, "back", "walk", "walk.vqc"]


def test_a_cluster_takes_no_folders_as_clips(run: Run) -> None:
    save_folder("walk", walk(2))
    arguments = ["-d", "out", "--ray", "local"]
    error = one_line_error(run("compress", "--clip", "walk", *arguments, *TAKES), 2)
    assert "--ray and --clip exclude each other" in error
    error = one_line_error(run("decompress", "walk", "--format", "frames", *arguments), 2)
    assert "--ray and --format frames exclude each other" in error


@posix
def test_frames_are_readable_by_those_who_can_read_the_file(run: Run) -> None:
    save_folder("walk", walk(2))
    run("compress", "--clip", "walk", *TAKES)
    Path("walk.vqc").chmod(0o600)
    run("decompress", "walk.vqc", "-o", "back/")
    modes = {path.stat().st_mode & 0o777 for path in Path("back").iterdir()}
    assert (Path("back").stat().st_mode & 0o777, modes) == (0o700, {0o600})


def test_a_folder_may_have_a_dot_in_its_name_and_is_no_stream(run: Run) -> None:
    save_folder("walk", walk(2))
    run("compress", "--clip", "walk", *TAKES)
    for name in ("v1.2", "walk.png", "walk.frames"):
        assert run("decompress", "walk.vqc", "-o", f"{name}/").code == 0
        assert "0001.png" in names_in(Path(name))
    error = one_line_error(run("decompress", "walk.vqc", "-o", "-", "--format", "frames"), 2)
    assert "a folder cannot be written to stdout" in error
    assert not Path("-").exists()


def test_no_program_is_run_for_a_frame(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names say nothing: Pillow has EPS drawn by Ghostscript."""
    save_folder("walk", walk(2))
    photo(28, 20).save("walk/frame1.png", "EPS")
    drawn = []
    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", lambda *arguments: drawn.append(arguments))
    error = one_line_error(run("compress", "--clip", "walk", *TAKES), 1)
    assert "frame1.png cannot be read" in error
    assert not drawn


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "TIFF", "folder"])
def test_what_is_in_a_folder_is_pictures_of_one_frame(run: Run, kind: str) -> None:
    save_folder("walk", walk(2))
    path = Path("walk/frame1.png")
    path.unlink()
    if kind == "folder":
        path.mkdir()
        run("compress", "--clip", "walk", *TAKES)
        assert vqcodec.inspect("walk.vqc").frames == 1
        return
    photo(28, 20, seed=1).save(path, kind, save_all=True, append_images=[photo(28, 20)])
    error = one_line_error(run("compress", "--clip", "walk", *TAKES), 1)
    assert "frame1.png cannot be read" in error or "frame1.png has several frames" in error
    assert not Path("walk.vqc").exists()


def test_a_folder_is_measured_by_its_frames(run: Run) -> None:
    save_folder("walk", walk(2))
    size = sum(path.stat().st_size for path in Path("walk").iterdir())
    Path("walk/notes.txt").write_text("none of the frames")
    Path("walk/nowhere").symlink_to("missing")
    assert f"{size} ->" in run("compress", "--clip", "walk", *TAKES).out


def test_frames_larger_than_the_first_are_refused_before_they_are_decoded(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    save("a.gif", np.stack([np.full((20, 28, 3), shade, np.uint8) for shade in (0, 255)]))
    before, descriptor, after = Path("a.gif").read_bytes().rpartition(b"\x2c\0\0\0\0\x1c\0\x14\0")
    larger = descriptor[:5] + b"\0\x20\0\x20"
    Path("a.gif").write_bytes(before + larger + after)
    loaded = []
    load_frame = GifImageFile.load
    monkeypatch.setattr(GifImageFile, "load", lambda i: loaded.append(i.size) or load_frame(i))
    error = one_line_error(run("compress", "a.gif", *TAKES), 1)
    assert "the frames are of several sizes" in error
    assert set(loaded) == {(28, 20)}


def test_actions_of_several_clips_do_not_become_one_text(run: Run) -> None:
    for name in ("a.gif", "b.gif"):
        save(name, walk(3), duration=40)
    run("compress", "a.gif", "b.gif", *TAKES)
    for inputs in (["a.vqc", "b.vqc"], ["."]):
        arguments = ["-d", "back", "-f", "--actions-out", "found.txt"]
        one_line_error(run("decompress", *inputs, *arguments), 2)
    assert not Path("found.txt").exists()


@pytest.mark.parametrize(
    ("suffix", "side", "seconds"),
    [(".webp", 16_384, 1), (".gif", 65_536, 1), (".gif", 8, 60)],
)
def test_what_a_format_cannot_hold_ends_in_an_error(suffix: str, side: int, seconds: int) -> None:
    """Frames that are the same are joined, and their times have no room."""
    shades = [0] * 20 + [255]
    frames = (np.full((1, side, 3), shade, np.uint8) for shade in shades)
    timing = timing_of([Fraction(seconds)] * len(shades))
    with pytest.raises(ClipError):
        write_clip(io.BytesIO(), suffix, frames, timing, range(len(shades)))


def test_transparency_is_shown_on_white_and_told(run: Run) -> None:
    clear = [Image.new("RGBA", (8, 8), (255, 0, 0, 0)), Image.new("RGBA", (8, 8), (0, 0, 0, 255))]
    clear[0].save("a.webp", save_all=True, append_images=clear[1:], duration=40, lossless=True)
    result = run("compress", "a.webp", *TAKES)
    assert "not kept: transparency" in result.err
    black, white = np.zeros((8, 8, 3), np.uint8), np.full((8, 8, 3), 255, np.uint8)
    assert np.array_equal(vqcodec.indices("a.vqc"), indices_of(np.stack([white, black]), []))
    arguments = ["--remove-source", "--allow-lossy", "--allow-larger", "-f"]
    result = run("compress", "a.webp", *arguments, *TAKES)
    assert result.code == 1
    assert "a.webp: kept: transparency (shown on white) would be lost" in result.err
    assert Path("a.webp").exists()


def test_sources_are_kept_unless_that_is_allowed(run: Run) -> None:
    Path("in").mkdir()
    save("in/a.gif", walk(4), duration=40)
    result = run("compress", "in", "--remove-source", "--dry-run", *TAKES)
    assert "kept: the result of a clip is lossy" in result.err
    result = run("compress", "in/a.gif", "--remove-source", *TAKES)
    assert result.code == 1
    assert "in/a.gif: kept: the result of a clip is lossy" in result.err
    save_folder("walk", walk(3))
    result = run("compress", "--clip", "walk", "--remove-source", "--allow-lossy", *TAKES)
    assert result.code == 1
    assert "walk: kept: it is a folder" in result.err
    assert len(names_in(Path("walk"))) == 3
    arguments = ["--remove-source", "--skip-existing", "--allow-lossy"]
    assert run("compress", "in/a.gif", *arguments, *TAKES).code == 0
    assert names_in(Path("in")) == ["a.vqc"]
    vqcodec.verify("in/a.vqc")


def test_dry_runs_name_what_clips_would_lose(run: Run) -> None:
    Path("in").mkdir()
    save("in/tail.gif", walk(3), duration=40)
    with Path("in/tail.gif").open("ab") as file:
        file.write(b"more")
    alpha = np.concatenate([walk(3), np.zeros((3, 20, 28, 1), np.uint8)], axis=3)
    save("in/alpha.webp", alpha, duration=40, lossless=True)
    save("in/plain.gif", walk(3), duration=40)
    save_folder("frames", walk(3))
    Image.fromarray(alpha[0]).save("frames/frame0.png")
    common = ["--remove-source", "--allow-larger", *TAKES]
    for inputs, more in (
        (["in"], ["-f"]),
        (["in"], ["-f", "--allow-lossy"]),
        (["--clip", "frames"], ["-f", "--allow-lossy"]),
    ):
        told = [
            set(run("compress", *inputs, *common, *more, *dry).err.splitlines())
            for dry in (["--dry-run"], [])
        ]
        assert told[0] == told[1]
        assert any("transparency" in line for line in told[0])
    assert names_in(Path("in")) == ["alpha.vqc", "alpha.webp", "plain.vqc", "tail.gif", "tail.vqc"]


def test_what_does_not_decode_gets_no_name(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    encode = pipeline.encode

    def encode_wrongly(*arguments: Any, **more: Any) -> pipeline.Encoded:
        encoded = encode(*arguments, **more)
        encoded.indices[0, 0] ^= 1
        return encoded

    save("a.gif", walk(3), duration=40)
    monkeypatch.setattr(pipeline, "encode", encode_wrongly)
    result = run("compress", "a.gif", "--verify", *TAKES)
    assert result.code == 1
    assert "differs from what was coded: indices" in result.err
    assert not Path("a.vqc").exists()


def test_salvage(run: Run) -> None:
    save("walk.gif", walk(70), duration=100)
    run("compress", "walk.gif", *TAKES)
    data = bytearray(Path("walk.vqc").read_bytes())
    data[-1] ^= 1
    Path("walk.vqc").write_bytes(data)
    one_line_error(run("decompress", "walk.vqc", "-o", "back/"), 1)
    result = run("decompress", "walk.vqc", "-o", "back/", "--salvage")
    assert result.code == EXIT_SALVAGED
    assert "tile 2 is lost, seconds 4.60 to 7.00 show what was before, or grey" in result.err
    names = [f"back/{number:04d}.png" for number in (45, 46, 69)]
    before, *lost = (Path(name).read_bytes() for name in names)
    assert lost == [before, before]


def test_limits_say_which_option_helps(run: Run) -> None:
    save("walk.gif", walk(4), duration=40)
    arguments = ["--max-pixels", 4 * 28 * 20 - 1]
    error = one_line_error(run("compress", "walk.gif", *arguments, *TAKES), 1)
    assert error.endswith("; --max-pixels raises the limit\n")
    run("compress", "walk.gif", *TAKES)
    error = one_line_error(run("decompress", "walk.vqc", "-o", "b.png", *arguments), 1)
    assert error.endswith("; --max-pixels raises the limit\n")


@pytest.mark.parametrize("suffix", ["gif", "webp", "png"])
def test_damaged_animations_end_in_a_line(run: Run, suffix: str) -> None:
    save(f"a.{suffix}", walk(6), duration=40, lossless=True)
    whole = Path(f"a.{suffix}").read_bytes()
    rng = np.random.default_rng(0)
    for number in range(12):
        data = bytearray(whole)
        if number % 2:
            del data[int(rng.integers(4, len(data))) :]
        else:
            for at in rng.integers(4, len(data), 8):
                data[at] ^= int(rng.integers(1, 256))
        Path(f"a.{suffix}").write_bytes(data)
        result = run("compress", f"a.{suffix}", "-f", *TAKES)
        assert result.code in (0, 1)


def test_a_picture_outside_its_animation_keeps_a_clip(run: Run) -> None:
    """Programs that know no animated PNG show it instead."""
    save("a.png", walk(4), duration=40, default_image=True)
    told = "a picture outside the animation"
    assert f"not kept: {told}" in run("compress", "a.png", *TAKES).err
    assert vqcodec.inspect("a.vqc").frames == 3
    result = run("compress", "a.png", "--remove-source", "--allow-lossy", "-f", *TAKES)
    assert (result.code, f"{told} would be lost" in result.err) == (1, True)
    assert Path("a.png").exists()


@pytest.mark.parametrize("suffix", ["gif", "png", "webp"])
def test_data_behind_the_end_are_told_and_keep_a_clip(run: Run, suffix: str) -> None:
    """Pillow reads the first of two animations that were joined."""
    name = f"a.{suffix}"
    save(name, walk(4), duration=40)
    data = Path(name).read_bytes()
    remove = ("compress", name, "--remove-source", "--allow-lossy", "--allow-larger", "-f", *TAKES)
    for more in (data, b"x", b"\0\0x"):
        Path(name).write_bytes(data + more)
        result = run("compress", name, "-f", *TAKES)
        assert "not kept: further pictures or other data after the picture's end" in result.err
        result = run(*remove)
        assert result.code == 1
        assert "after the picture's end would be lost" in result.err
        assert Path(name).exists()
    for nothing in (b"", bytes(9000), b"\n"):
        Path(name).write_bytes(data + nothing)
        assert run(*remove).code == 0
        assert not Path(name).exists()


def test_what_is_no_block_of_a_gif_is_told(run: Run) -> None:
    """Pillow steps over it."""
    save("a.gif", walk(4), duration=40)
    data = Path("a.gif").read_bytes()
    Path("a.gif").write_bytes(data[:-1] + b"secret" + data[-1:])
    assert "after the picture's end" in run("compress", "a.gif", "-f", *TAKES).err
