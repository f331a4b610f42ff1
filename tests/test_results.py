"""What `decompress` does where results of an earlier run, or other files, are in the way, and in
which formats it writes files of which medium.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from clip_commands import TAKES
from clip_commands import save as save_clip
from conftest import Run, one_line_error, photo
from PIL import features
from test_sound_cli import save as save_sound
from tiny_clip import walk

from vqcodec.audio.formats import FORMATS

soundfile = pytest.importorskip("soundfile")
pytest.importorskip("soxr")
PICTURES = [".png", ".jpg", ".webp", ".tiff", *([".avif"] if features.check("avif") else [])]
CLIPS = [".webp", ".gif", ".png", ".apng"]
KINDS = [
    *(("photo", suffix) for suffix in PICTURES),
    *(("talk", suffix) for suffix in sorted(FORMATS)),
    *(("walk", suffix) for suffix in CLIPS),
]
MODELS = {
    "photo.png": ["--model", "random"],
    "talk.wav": ["--model", "tiny-sound"],
    "walk.gif": TAKES,
}


@pytest.fixture(autouse=True)
def compressed(no_shipped_sound: None, clip_models: None, run: Run, sound_data: bytes) -> None:
    """A folder `in` with a file of each medium, and one of others in `others`."""
    path = Path("../sound.safetensors")
    path.write_bytes(sound_data)
    assert run("models", "install", path).code == 0
    for folder, more in (("in", 0), ("others", 1)):
        Path(folder).mkdir()
        photo(60 + more, 40, seed=more).save("photo.png")
        save_sound("talk.wav", 1.0 + more)
        save_clip("walk.gif", walk(4 + more), duration=40)
        for name, model in MODELS.items():
            assert run("compress", name, "-d", folder, *model).code == 0
            Path(name).unlink()


@pytest.mark.parametrize(("name", "suffix"), KINDS)
def test_results_are_made_again_if_they_are_not_whole(run: Run, name: str, suffix: str) -> None:
    target = Path(f"{name}{suffix}")
    arguments = ["decompress", f"in/{name}.vqc", "-o", target]
    assert run(*arguments).code == 0
    whole = target.read_bytes()
    result = run(*arguments, "--skip-existing")
    assert (result.code, result.out) == (0, "")
    assert "1 of 1 skipped: their results exist" in result.err
    assert target.read_bytes() == whole
    for part in (0.0, 0.2, 0.5, 0.9):
        target.write_bytes(whole[: int(part * len(whole))])
        result = run(*arguments, "--skip-existing")
        assert result.code == 0
        assert "->" in result.out
        assert len(target.read_bytes()) == len(whole)


@pytest.mark.parametrize(("name", "suffix"), KINDS)
def test_files_that_are_no_results_are_left_alone(run: Run, name: str, suffix: str) -> None:
    target = Path(f"{name}{suffix}")
    arguments = ["decompress", f"in/{name}.vqc", "-o", target, "--skip-existing"]
    target.write_bytes(b"precious and no such file")
    assert f"{target} is no {suffix} file; -f overwrites it" in run(*arguments).err
    assert target.read_bytes() == b"precious and no such file"
    assert run("decompress", f"others/{name}.vqc", "-o", target, "-f").code == 0
    other = target.read_bytes()
    result = run(*arguments)
    assert result.code == 0
    assert ("is of another file than" in result.err) == (name != "walk")
    assert target.read_bytes() == other


def test_parts_are_compared_with_parts(run: Run) -> None:
    for name, suffix, crop in (("photo", "png", "3,4,20,10"), ("talk", "ogg", "0.2,0.75")):
        arguments = ["decompress", f"in/{name}.vqc", "-o", f"{name}.{suffix}", "--skip-existing"]
        assert run(*arguments, "--crop", crop).code == 0
        assert "another" not in run(*arguments, "--crop", crop).err
        assert "or of it in part" in run(*arguments).err


def test_folders_of_frames_are_whole_if_all_frames_are_there(run: Run) -> None:
    arguments = ["decompress", "in/walk.vqc", "-o", "walk/", "--skip-existing"]
    Path("walk").mkdir()
    assert "->" in run(*arguments).out
    assert "1 of 1 skipped" in run(*arguments).err
    Path("walk/0002.png").unlink()
    assert "is of another file than" in run(*arguments).err
    assert not Path("walk/0002.png").exists()


def test_a_choice_is_for_files_of_its_medium(run: Run) -> None:
    usual = {"photo.png", "talk.wav", "walk.webp"}
    for chosen, changed, warned in (
        ("jpg", {"photo.jpg"}, ["JPEG is lossy"]),
        ("webp", {"photo.webp"}, []),
        ("mp3", {"talk.mp3"}, [".mp3 is lossy"]),
        ("flac", {"talk.flac"}, []),
        ("gif", {"walk.gif"}, ["a GIF has 256 colours"]),
        ("png", {"walk.png"}, []),
    ):
        result = run("decompress", "in", "-d", chosen, "--format", chosen)
        assert result.code == 0
        stems = {Path(name).stem for name in changed}
        kept = {name for name in usual if Path(name).stem not in stems}
        assert {path.name for path in Path(chosen).iterdir()} == changed | kept
        lines = result.err.splitlines()
        assert len(lines) == len(warned)
        assert all(text in line for text, line in zip(warned, lines, strict=True))


@pytest.mark.parametrize(
    ("name", "wrong", "known"),
    [
        ("photo", ["mp3", "wav", "mp4", "frames"], "a picture cannot be written as .* but as .png"),
        ("talk", ["png", "jpg", "gif", "mp4"], "sound cannot be written as .* but as .wav, .flac"),
        ("walk", ["jpg", "mp3", "tiff"], "a clip cannot be written as .* but as .webp, .gif"),
    ],
)
def test_formats_of_other_media_are_refused_in_one_line(
    run: Run, name: str, wrong: list[str], known: str
) -> None:
    shutil.copytree("in", "alone", ignore=lambda _, names: set(names) - {f"{name}.vqc"})
    for suffix in wrong:
        for arguments in (
            [f"in/{name}.vqc", "--format", suffix],
            ["alone", "--format", suffix],
            *([[f"in/{name}.vqc", "-o", f"x.{suffix}"]] if suffix != "frames" else []),
        ):
            error = one_line_error(run("decompress", *arguments, "--dry-run"), 2)
            assert re.search(known, error)
