"""Options of one medium that are given for another, and what errors call options."""

from __future__ import annotations

from pathlib import Path

import click
import pytest
from clip_commands import save
from conftest import Run, one_line_error, photo
from test_sound import babble
from tiny_clip import walk

from vqcodec.cli import cli
from vqcodec.cli.cluster import _Lines
from vqcodec.cli.media import OF_ONE_MEDIUM
from vqcodec.codec.search import Wish, WishError
from vqcodec.container import Medium

soundfile = pytest.importorskip("soundfile")
pytest.importorskip("soxr")
VALUES: dict[str, list[object]] = {
    "--effort": [3],
    "--tune": ["psnr", "--effort", 3],
    "--range": [0, 1],
    "--thumbnail": [20],
    "--format-quality": [20],
    "--speaker": ["LJ"],
    "--clip": [],
    "--fps": [3],
    "--actions": ["actions.txt"],
    "--actions-out": ["found.txt"],
    "--steadiness": [1],
}
SOURCES = {
    Medium.PICTURE: ("photo.png", "random"),
    Medium.SOUND: ("talk.wav", "tiny-sound"),
    Medium.CLIP: ("walk.gif", "clips"),
}
RESULTS = {Medium.PICTURE: "a.webp", Medium.SOUND: "a.wav", Medium.CLIP: "a.gif"}


@pytest.fixture(autouse=True)
def sources(no_shipped_sound: None, clip_models: None, run: Run, sound_data: bytes) -> None:
    """There is a file of each medium, and a model."""
    Path("../sound.safetensors").write_bytes(sound_data)
    assert run("models", "install", "../sound.safetensors").code == 0
    photo(40, 30).save("photo.png")
    soundfile.write("talk.wav", babble(16000).T, 16000)
    save("walk.gif", walk(4), duration=40)
    Path("actions.txt").write_text("\nleft\n\nso 3\n")


def options_of(command: str) -> set[str]:
    """Return the names of a command's options."""
    found = cli.get_command(click.Context(cli), command)
    assert found is not None
    return {parameter.opts[0] for parameter in found.params}


def wrong(command: str) -> list[tuple[str, Medium]]:
    """Return the options of one medium that a command has, each with every other medium."""
    own = [name for name in OF_ONE_MEDIUM if name in options_of(command)]
    pairs = [(name, medium) for name in own for medium in Medium if medium != OF_ONE_MEDIUM[name]]
    return [pair for pair in pairs if pair != ("--clip", Medium.PICTURE)]  # which becomes a clip


def test_every_option_of_one_medium_is_tried() -> None:
    assert VALUES.keys() == OF_ONE_MEDIUM.keys()
    assert OF_ONE_MEDIUM.keys() <= options_of("compress") | options_of("decompress")


@pytest.mark.parametrize(("option", "medium"), wrong("compress"))
def test_compress_refuses_options_of_other_media(run: Run, option: str, medium: Medium) -> None:
    source, model = SOURCES[medium]
    more = ["-o", "a.vqc", "--model", model, option, *VALUES[option]]
    error = one_line_error(run("compress", source, *more), 2)
    told = "--effort" if "--effort" in more else option
    assert f"error: {told} is not for {medium.plural}; see `vqcodec compress --help`" in error
    assert not Path("a.vqc").exists()


@pytest.mark.parametrize(("option", "medium"), wrong("decompress"))
def test_decompress_refuses_options_of_other_media(run: Run, option: str, medium: Medium) -> None:
    source, model = SOURCES[medium]
    assert run("compress", source, "-o", "in.vqc", "--model", model).code == 0
    more = ["-o", RESULTS[medium], option, *VALUES[option]]
    error = one_line_error(run("decompress", "in.vqc", *more), 2)
    assert f"error: {option} is not for {medium.plural}; see `vqcodec decompress --help`" in error
    assert not list(Path().glob("a.*"))


def test_folders_of_several_media_take_the_options_of_each(run: Run) -> None:
    Path("in").mkdir()
    for source, model in SOURCES.values():
        assert run("compress", source, "-d", "in", "--model", model).code == 0
    result = run("decompress", "in", "--thumbnail", 10, "-d", "out")
    assert (result.code, result.err) == (0, "")
    assert len(list(Path("out").iterdir())) == 3


def test_folders_without_a_medium_warn_of_its_options(run: Run) -> None:
    Path("in").mkdir()
    Path("talk.wav").rename("in/talk.wav")
    result = run("compress", "in", "--effort", 3, "--tune", "psnr")
    assert result.code == 0
    assert result.err.splitlines() == [
        "vqcodec: warning: --effort: it is for pictures, and there are none",
        "vqcodec: warning: --tune: it is for pictures, and there are none",
    ]
    assert Path("in/talk.vqc").exists()


def test_files_of_which_one_is_of_the_medium_are_taken(run: Run) -> None:
    for source, model in SOURCES.values():
        assert run("compress", source, "--model", model).code == 0
    one_line_error(run("decompress", "talk.vqc", "walk.vqc", "--thumbnail", 9, "-d", "out"), 2)
    result = run("decompress", "talk.vqc", "photo.vqc", "--thumbnail", 9, "-d", "out")
    assert (result.code, result.err) == (0, "")


def test_of_a_file_that_is_missing_that_is_told(run: Run) -> None:
    error = one_line_error(run("compress", "none.wav", "--effort", 3), 1)
    assert "none.wav: No such file" in error


WISHES: dict[str, tuple[str, list[object]]] = {
    "quality": ("-q", [2]),
    "target_size": ("--target-size", ["4KB"]),
    "target_bpp": ("--target-bpp", [0.3]),
    "target_psnr": ("--target-psnr", [30]),
    "target_bitrate": ("--target-bitrate", ["2k"]),
    "lossless": ("--lossless", []),
}


@pytest.mark.parametrize(("name", "medium"), [(n, m) for n in WISHES for m in Medium])
def test_errors_call_wishes_as_options_are_called(run: Run, name: str, medium: Medium) -> None:
    option, value = WISHES[name]
    source, model = SOURCES[medium]
    more = ["-o", "a.vqc", "--model", model, option, *value]
    result = run("compress", source, *more)
    if "cannot be had" in result.err:
        assert f"{source}: {option} cannot be had of {medium.noun}" in one_line_error(result, 2)
    assert "_" not in result.err
    other, others = WISHES["lossless" if name == "quality" else "quality"]
    error = one_line_error(run("compress", source, *more, other, *others), 2)
    names = [option for option, _ in WISHES.values()]
    assert f"give one of {', '.join(names[:-1])} and {names[-1]}" in error


@pytest.mark.parametrize(("name", "medium"), [(n, m) for n in WISHES for m in Medium])
def test_errors_in_the_log_of_a_cluster_call_wishes_as_options_are_called(
    capsys: pytest.CaptureFixture[str], name: str, medium: Medium
) -> None:
    wish = Wish(**{name: True if name == "lossless" else 2})  # type: ignore[arg-type]
    try:
        wish.for_medium(medium)
    except WishError as error:
        show = _Lines()
        show({"source": "target_bpp.wav", "error": str(error), "warnings": ["once more"]})
        show({"source": "a.png", "error": f"{name}: No such file", "warnings": []})
        option, _ = WISHES[name]
        assert capsys.readouterr().err.splitlines() == [
            f"vqcodec: error: target_bpp.wav: {option} cannot be had of {medium.noun}",
            f"vqcodec: error: a.png: {name}: No such file",
        ]


def test_every_wish_is_tried() -> None:
    assert WISHES.keys() == set(Wish.__dataclass_fields__)
    assert {option for option, _ in WISHES.values()} <= options_of("compress")


@pytest.mark.parametrize("name", ["target_bpp", "target_psnr", "quality"])
def test_errors_of_numbers_call_options_by_their_names(run: Run, name: str) -> None:
    option, _ = WISHES[name]
    error = one_line_error(run("compress", "photo.png", option, "nan"), 2)
    assert f"error: {option} is nan, not a finite number" in error


def test_names_of_files_are_left_as_they_are(run: Run) -> None:
    Path("talk.wav").rename("target_bpp.wav")
    error = one_line_error(run("compress", "target_bpp.wav", "--target-bpp", "1"), 2)
    assert "error: target_bpp.wav: --target-bpp cannot be had of sound" in error


@pytest.mark.parametrize("medium", Medium)
def test_damaged_files_of_which_something_is_left_are_told_of_salvage(
    run: Run, medium: Medium
) -> None:
    source, model = SOURCES[medium]
    assert run("compress", source, "-o", "in.vqc", "--model", model).code == 0
    data = Path("in.vqc").read_bytes()
    hurt = {
        "changed.vqc": data[:-1] + bytes([data[-1] ^ 1]),
        "short.vqc": data[:-1],
        "long.vqc": data + b"\0",
    }
    for name, damaged in hurt.items():
        Path(name).write_bytes(damaged)
        error = one_line_error(run("decompress", name, "-d", "out"), 1)
        assert error.endswith("; --salvage decodes the tiles that hold\n")
        assert "; `vqcodec decompress --salvage`" in one_line_error(run("inspect", name), 1)
        assert run("decompress", name, "-d", "out", "--salvage").code in (0, 3)
    Path("dead.vqc").write_bytes(data[:9] + b"\xff" + data[10:])
    assert "--salvage" not in one_line_error(run("decompress", "dead.vqc", "-d", "out"), 1)


@pytest.mark.parametrize("medium", Medium)
def test_warnings_of_a_format_are_told_of_results_alone(run: Run, medium: Medium) -> None:
    source, model = SOURCES[medium]
    lossy = {Medium.PICTURE: ".jpg", Medium.SOUND: ".ogg", Medium.CLIP: ".gif"}[medium]
    assert run("compress", source, "-o", "in.vqc", "--model", model).code == 0
    for name in ("in", "again"):
        Path(f"{name}.vqc").write_bytes(Path("in.vqc").read_bytes())
    Path("hurt.vqc").write_bytes(Path("in.vqc").read_bytes()[:-1])
    out = ["-d", "out", "--format", lossy[1:]]
    one_line_error(run("decompress", "hurt.vqc", *out), 1)
    one_line_error(run("decompress", "none.vqc", *out), 1)
    one_line_error(run("decompress", "in.vqc", *out, "--model", "none"), 1)
    result = run("decompress", "hurt.vqc", "in.vqc", "again.vqc", *out)
    lines = result.err.splitlines()
    assert (result.code, len(lines)) == (1, 2)
    assert [line.split(":")[1] for line in sorted(lines)] == [" error", " warning"]
    assert "once more" in result.err or "colours" in result.err


def test_warnings_of_what_is_read_are_told_of_results_alone(run: Run) -> None:
    frames = [photo(40, 30, seed=seed) for seed in (1, 2)]
    frames[0].save("moves.gif", save_all=True, append_images=frames[1:])
    assert "not kept" in run("compress", "moves.gif", "-o", "a.vqc", "--model", "random").err
    more = ["-o", "b.vqc", "--model", "random", "-q", 40]
    assert "not kept" not in one_line_error(run("compress", "moves.gif", *more), 2)


def test_a_picture_to_be_like_is_named_where_it_is_none(run: Run) -> None:
    more = ["-o", "a.png", "--like"]
    error = one_line_error(run("sample", "random", *more, "talk.wav"), 1)
    assert "error: talk.wav: not a picture" in error
    error = one_line_error(run("sample", "random", *more, "photo.png", "--max-pixels", 9), 1)
    assert "error: photo.png: 40x30 is more than 9 pixels; --max-pixels raises" in error
