from __future__ import annotations

import ast
import io
import json
import os
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import click
import numpy as np
import pytest
from conftest import Run, one_line_error, photo
from PIL import Image

import vqcodec
from vqcodec import processors
from vqcodec.cli import _COMMANDS, cli, main
from vqcodec.container import read

SPEC_EXAMPLE = bytes.fromhex(
    "8b5651430d0a1a0a 01010000 0a04 0123456789abcdef 0206 01 0496d0ab6b"
    "4ee78445 6e6f7465026869 4af82325 02ffe000"
)


def leftovers(folder: Path = Path()) -> list[str]:
    return [path.name for path in folder.rglob("*") if ".part" in path.name]


@pytest.mark.usefixtures("installed")
def test_compress_and_decompress_beside_the_input(run: Run) -> None:
    photo().save("photo.png")
    result = run("compress", "photo.png", "--model", "random")
    assert result.code == 0
    assert "photo.png -> photo.vqc" in result.out
    assert "bpp" in result.out
    result = run("decompress", "photo.vqc", "-o", "out.png")
    assert result.code == 0
    assert Image.open("out.png").size == photo().size
    assert run("decompress", "photo.vqc", "-d", "there").code == 0
    assert Path("there/photo.png").read_bytes() == Path("out.png").read_bytes()
    assert not leftovers()


@pytest.mark.usefixtures("installed")
def test_results_are_ordinary_files(run: Run) -> None:
    photo().save("photo.png")
    assert run("compress", "photo.png", "--model", "random").code == 0
    assert Path("photo.vqc").stat().st_mode == Path("photo.png").stat().st_mode


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("suffix", ["jpg", "webp", "tiff", "bmp"])
def test_decompress_to_any_format(run: Run, suffix: str) -> None:
    photo().save("photo.png")
    run("compress", "photo.png", "--model", "random")
    assert run("decompress", "photo.vqc", "-o", f"out.{suffix}").code == 0
    with Image.open(f"out.{suffix}") as image:
        assert image.size == photo().size
    one_line_error(run("decompress", "photo.vqc", "-o", "out.xyz"), 2)


@pytest.mark.usefixtures("installed")
def test_folders_are_mirrored(run: Run) -> None:
    Path("in/deep").mkdir(parents=True)
    photo().save("in/a.png")
    photo(20, 20).save("in/deep/b.jpg")
    Path("in/notes.txt").write_text("no picture")
    assert run("compress", "in", "-d", "out", "--model", "random").code == 0
    assert {str(p.relative_to("out")) for p in Path("out").rglob("*.vqc")} == {
        "a.vqc",
        str(Path("deep") / "b.vqc"),
    }
    assert run("decompress", "out", "-d", "back").code == 0
    assert Path("back/deep/b.png").exists()


@pytest.mark.usefixtures("installed")
def test_crop(run: Run) -> None:
    photo().save("photo.png")
    run("compress", "photo.png", "--model", "random")
    assert run("decompress", "photo.vqc", "-o", "c.png", "--crop", "10,20,30,9").code == 0
    assert Image.open("c.png").size == (30, 9)
    one_line_error(run("decompress", "photo.vqc", "-o", "d.png", "--crop", "80,0,30,9"), 2)
    one_line_error(run("decompress", "photo.vqc", "-o", "d.png", "--crop", "1,2,3"), 2)
    assert not Path("d.png").exists()


@pytest.mark.usefixtures("installed")
def test_existing_files_are_safe(run: Run) -> None:
    photo().save("photo.png")
    original = Path("photo.png").read_bytes()
    Path("photo.vqc").write_bytes(b"precious")
    error = one_line_error(run("compress", "photo.png", "--model", "random"), 2)
    assert "-f overwrites" in error
    assert Path("photo.vqc").read_bytes() == b"precious"
    assert run("compress", "photo.png", "--model", "random", "-f").code == 0
    error = one_line_error(run("decompress", "photo.vqc"), 2)
    assert Path("photo.png").read_bytes() == original
    for same in ("photo.png", "./photo.png"):
        error = one_line_error(run("compress", "photo.png", "-o", same, "-f"), 2)
        assert "same file" in error


@pytest.mark.usefixtures("installed")
def test_a_failed_file_leaves_nothing_and_stops_nothing(run: Run) -> None:
    Path("bad.png").write_bytes(b"\x89PNG\r\n\x1a\n and then nothing")
    photo().save("good.png")
    result = run("compress", "bad.png", "good.png", "--model", "random")
    assert result.code == 1
    assert result.err.count("vqcodec: error: bad.png: ") == 1
    assert Path("good.vqc").exists()
    assert not Path("bad.vqc").exists()
    data = Path("good.vqc").read_bytes()
    Path("cut.vqc").write_bytes(data[:-5])
    Path("good.png").unlink()
    Path("good.png").write_bytes(b"precious")
    assert run("decompress", "cut.vqc").code == 1
    one_line_error(run("decompress", "cut.vqc", "-o", "good.png", "-f"), 1)
    assert Path("good.png").read_bytes() == b"precious"
    assert not leftovers()


@pytest.mark.usefixtures("installed")
def test_names_with_dots_and_hidden_files(run: Run) -> None:
    Path("in/.thumbs").mkdir(parents=True)
    for name in ("in/IMG_v1.0.png", "in/IMG_v1.1.png", "in/.thumbs/t.png", "in/.hidden.png"):
        photo(20, 20).save(name)
    assert run("compress", "in", "-d", "out", "--model", "random").code == 0
    found = sorted(str(p.relative_to("out")) for p in Path("out").rglob("*") if p.is_file())
    assert found == ["IMG_v1.0.vqc", "IMG_v1.1.vqc"]
    Path("in/IMG_v1.0.png").rename("IMG_v1.0")
    assert run("compress", "IMG_v1.0", "--model", "random").code == 0
    assert Path("IMG_v1.0.vqc").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX files")
@pytest.mark.usefixtures("installed")
def test_links_modes_and_devices_are_respected(run: Run) -> None:
    photo().save("photo.png")
    Path("real.vqc").write_bytes(b"old")
    Path("real.vqc").chmod(0o600)
    Path("link.vqc").symlink_to("real.vqc")
    assert run("compress", "photo.png", "-o", "link.vqc", "-f", "--model", "random").code == 0
    assert Path("link.vqc").is_symlink()
    assert Path("real.vqc").stat().st_mode & 0o777 == 0o600
    assert Path("real.vqc").read_bytes()[1:4] == b"VQC"
    assert run("compress", "photo.png", "-o", "/dev/null", "--model", "random").code == 0
    assert not Path("/dev/null").is_file()


@pytest.mark.usefixtures("installed")
def test_warnings_name_their_file(run: Run) -> None:
    for name in ("a", "b"):
        frames = [photo(20, 20, seed=k) for k in range(2)]
        frames[0].save(f"{name}.gif", save_all=True, append_images=frames[1:])
    result = run("compress", "a.gif", "b.gif", "--model", "random")
    assert result.code == 0
    lines = result.err.splitlines()
    assert [line.split(":")[:3] for line in lines] == [
        ["vqcodec", " warning", " a.gif"],
        ["vqcodec", " warning", " b.gif"],
    ]


@pytest.mark.usefixtures("installed")
def test_usage_errors(run: Run) -> None:
    photo().save("a.png")
    photo().save("a.jpg")
    Path("empty").mkdir()
    for arguments in (
        ["compress"],
        ["compress", "a.png", "a.jpg", "-o", "b.vqc"],
        ["compress", "a.png", "-o", "b.vqc", "-d", "c"],
        ["compress", "a.png", "-o", "empty"],
        ["compress", "empty"],
        ["compress", "a.png", "--device", "abacus"],
        ["compress", "a.png", "--threads", "0"],
        ["compress", "-", "-d", "empty"],
        ["compress", ""],
        ["compress", "a.png", "-o", ""],
        ["compress", "a.png", "-o", "new/"],
        ["nonsense"],
        ["train", "none.toml", "--data", ".", "--out", "x.safetensors"],
    ):
        one_line_error(run(*arguments), 2)
    assert not list(Path().rglob("*.vqc"))


@pytest.mark.usefixtures("installed")
def test_bad_inputs(run: Run) -> None:
    assert "No such file" in one_line_error(run("compress", "none.png"), 1)
    photo().save("a.png")
    assert "not a .vqc" in one_line_error(run("decompress", "a.png", "-o", "b.png"), 1)
    Path("notes.txt").write_text("no picture")
    assert "or a picture" in one_line_error(run("inspect", "notes.txt"), 1)
    assert "no model" in one_line_error(run("compress", "a.png", "--model", "none"), 1)
    Path("example.vqc").write_bytes(SPEC_EXAMPLE)
    assert "not installed" in one_line_error(run("decompress", "example.vqc"), 1)
    one_line_error(run("compress", "a.png", "--model", "random", "--max-pixels", "10"), 1)


def test_inspect_sums_to_the_file(run: Run) -> None:
    Path("example.vqc").write_bytes(SPEC_EXAMPLE)
    found = json.loads(run("inspect", "example.vqc", "--json").out)
    assert sum(span["size"] for span in found["spans"]) == found["bytes"] == len(SPEC_EXAMPLE)
    assert found["model_name"] is None
    assert "chunk note" in run("inspect", "example.vqc").out


def test_inspect_lists_the_parts_of_a_picture(run: Run) -> None:
    photo().save("a.jpg", comment=b"text")
    data = Path("a.jpg").read_bytes()
    shown = run("inspect", "a.jpg").out
    assert "comment" in shown
    assert "would delete this file" in shown
    Path("a.jpg").write_bytes(data + b"video")
    assert "would keep this file: video or other data" in run("inspect", "a.jpg").out
    found = json.loads(run("inspect", "a.jpg", "--json").out)
    assert sum(part["bytes"] for part in found["parts"]) == len(data) + 5
    assert found["lost"]


@pytest.mark.usefixtures("installed")
def test_inspect_verify(run: Run) -> None:
    photo().save("a.png")
    run("compress", "a.png", "--model", "random")
    result = run("inspect", "a.vqc", "--json", "--verify")
    assert len(json.loads(result.out)["indices_sha256"]) == 64
    data = bytearray(Path("a.vqc").read_bytes())
    data[-1] ^= 1
    Path("a.vqc").write_bytes(data)
    assert "checksum" in one_line_error(run("inspect", "a.vqc"), 1)


@pytest.mark.usefixtures("installed")
def test_models(run: Run) -> None:
    assert "random" in run("models", "list").out
    facts = json.loads(run("models", "show", "random").out)
    assert facts["licence"] == "CC0-1.0"
    result = run("models", "verify")
    assert result.code == 0
    assert "ok" in result.out
    path = Path(facts["file"])
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    assert run("models", "verify").code == 1
    path.write_bytes(data[:100])
    assert run("models", "verify").code == 1
    (path.parent / "stray.safetensors").mkdir()
    assert run("models", "list").code == 0
    photo().save("photo.png")
    one_line_error(run("compress", "photo.png", "--model", "random"), 1)


@pytest.mark.usefixtures("installed")
def test_pipes(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    buffer = io.BytesIO()
    photo().save(buffer, "PNG")

    class Pipe:
        def __init__(self, data: bytes = b"") -> None:
            self.buffer = io.BytesIO(data)

        def isatty(self) -> bool:
            return False

        def write(self, text: str) -> int:
            raise AssertionError("text in the middle of data")

        def flush(self) -> None:
            pass

    data = buffer.getvalue()
    for command in ("compress", "decompress"):
        out = Pipe()
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stdin", Pipe(data))
            patch.setattr(sys, "stdout", out)
            patch.setattr(sys, "argv", ["vqcodec", command, "-", "--model", "random"])
            with pytest.raises(SystemExit) as exit_:
                main()
        assert exit_.value.code == 0
        data = out.buffer.getvalue()
    assert np.asarray(Image.open(io.BytesIO(data))).shape == (61, 83, 3)


def test_every_command_has_help(run: Run) -> None:
    text = run("--help").out
    for command, summary in _COMMANDS.items():
        assert summary in text
        assert "Usage: vqcodec" in run(command, "--help").out
    assert run("--version").out.startswith("vqcodec ")


def _command(*arguments: str) -> str:
    argv = ["vqcodec", *arguments]
    return f"import sys; sys.argv = {argv}; from vqcodec.cli import main; main()"


@pytest.fixture
def with_qualities(run: Run, photo_data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "random-photo.safetensors"
    path.write_bytes(photo_data)
    assert run("models", "install", path).code == 0


@pytest.mark.usefixtures("with_qualities")
def test_qualities_and_targets(run: Run) -> None:
    photo(200, 160).save("photo.png")
    sizes = {}
    for quality in ("1", "3"):
        out = f"{quality}.vqc"
        result = run("compress", "photo.png", "-q", quality, "--model", "random-photo", "-o", out)
        assert result.code == 0
        sizes[quality] = Path(out).stat().st_size
        shown = run("inspect", out)
        assert f"quality {quality}" in shown.out
    assert sizes["1"] < sizes["3"]
    target = sum(sizes.values()) // 2
    for name, option, value in (
        ("a.vqc", "--target-size", f"{target}"),
        ("b.vqc", "--target-size", f"{target / 1000} KB"),
        ("c.vqc", "--target-size", f"{target / 1024}KiB"),
        ("d.vqc", "--target-bpp", f"{8 * target / (200 * 160)}"),
    ):
        result = run("compress", "photo.png", option, value, "--model", "random-photo", "-o", name)
        assert result.code == 0, result.err
        # Random weights: sizes rise with quality on the whole, not from each step to the next.
        assert 0.9 * sizes["1"] <= Path(name).stat().st_size <= target
    result = run("compress", "photo.png", "--target-psnr", "5", "--model", "random-photo")
    assert result.code == 0


@pytest.mark.usefixtures("with_qualities", "installed")
def test_wishes_that_cannot_be_met(run: Run) -> None:
    photo(200, 160).save("photo.png")
    common = ("compress", "photo.png", "--model", "random-photo")
    assert "give one of" in one_line_error(run(*common, "-q", "2", "--target-bpp", "0.2"), 2)
    assert "40KB" in one_line_error(run(*common, "--target-size", "small"), 2)
    assert "not 1 to 3" in one_line_error(run(*common, "-q", "9"), 2)
    assert "least" in one_line_error(run(*common, "--target-size", "10"), 2)
    assert "no qualities" in one_line_error(
        run("compress", "photo.png", "--model", "random", "-q", "2"), 2
    )
    assert not Path("photo.vqc").exists()


def folder_of(*names: str) -> None:
    for number, name in enumerate(names):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        photo(24, 20, seed=number).save(name)


@pytest.mark.usefixtures("installed")
def test_a_folder_is_compressed_again_and_again(run: Run) -> None:
    folder_of("in/1.jpg", "in/1.png", "in/2.png", "in/3.mpo")
    Path("in/notes.txt").write_text("no picture")
    Path("in/raw.CR2").write_bytes(b"raw")
    first = run("compress", "in", "--model", "random")
    assert first.code == 0
    assert "in/1.png -> in/1.png.vqc" in first.out
    assert "4 of 4 files done" in first.out
    assert "smaller" in first.out
    assert first.err.splitlines() == [
        "vqcodec: in/1.jpg and in/1.png would become in/1.vqc alike: "
        "they become in/1.jpg.vqc and in/1.png.vqc",
        "vqcodec: left out: 1 .cr2 (camera raw: develop them first), 1 .txt",
    ]
    Path("in/1.jpg").unlink()
    folder_of("in/new.png")
    before = {path: path.read_bytes() for path in Path("in").glob("*.vqc")}
    second = run("compress", "in", "--model", "random")
    assert second.code == 0
    assert second.out.splitlines()[0].startswith("in/new.png -> in/new.vqc")
    assert len(second.out.splitlines()) == 1
    assert "3 of 4 results exist and were left as they are" in second.err
    assert before.items() <= {path: path.read_bytes() for path in Path("in").glob("*.vqc")}.items()
    back = run("decompress", "in", "-d", "back")
    assert back.code == 0
    names = {path.name for path in Path("back").iterdir()}
    assert names == {"1.jpg.png", "1.png", "2.png", "3.png", "new.png"}


@pytest.mark.usefixtures("installed")
def test_several_processes_do_what_one_does(run: Run) -> None:
    folder_of("in/a.png", "in/b.png", "in/c.png")
    frames = [photo(20, 20, seed=k) for k in range(2)]
    frames[0].save("in/d.gif", save_all=True, append_images=frames[1:])
    Path("in/e.png").write_bytes(b"\x89PNG\r\n\x1a\n and then nothing")
    found = {}
    for count in (1, 2):
        result = run("compress", "in", "-d", f"out{count}", "-j", count, "--model", "random")
        assert result.code == 1
        assert "4 of 5 files done, 1 failed" in result.out
        assert result.err.count("vqcodec: error: in/e.png: ") == 1
        assert result.err.count("vqcodec: warning: in/d.gif: not kept: frame 2") == 1
        assert len(result.err.splitlines()) == 2
        found[count] = {p.name: p.read_bytes() for p in Path(f"out{count}").iterdir()}
    assert found[1] == found[2]
    error = run("compress", "in", "-d", "out3", "-j", "2", "--model", "none")
    assert "no model" in one_line_error(error, 1)


@pytest.mark.usefixtures("installed")
def test_dry_run_says_all_and_does_nothing(run: Run) -> None:
    folder_of("in/1.jpg", "in/1.png", "in/2.png")
    frames = [photo(20, 20, seed=k) for k in range(2)]
    frames[0].save("in/moving.gif", save_all=True, append_images=frames[1:])
    assert run("compress", "in/2.png", "--model", "random").code == 0
    before = {path: path.read_bytes() for path in Path("in").iterdir()}
    result = run("compress", "in", "--remove-source", "--dry-run", "--model", "none such")
    assert result.code == 0
    assert result.out.splitlines() == [
        "in/2.png: in/2.vqc exists",
        "in/1.jpg -> in/1.jpg.vqc",
        "in/1.png -> in/1.png.vqc",
        "in/moving.gif -> in/moving.vqc",
    ]
    assert "in/moving.gif: kept: the result lacks frame 2" in result.err
    assert "alike" in result.err
    assert {path: path.read_bytes() for path in Path("in").iterdir()} == before
    assert run("decompress", "in", "--dry-run", "-d", "out").out == "in/2.vqc -> out/2.png\n"
    assert not Path("out").exists()


@pytest.mark.usefixtures("installed")
def test_a_source_that_is_smaller_is_kept(run: Run) -> None:
    Image.new("RGB", (150, 150)).save("a.png", optimize=True)
    Image.new("RGB", (150, 150)).save("b.png", optimize=True)
    common = ("compress", "a.png", "b.png", "--prior", "none", "--model", "random")
    result = run(*common)
    assert result.code == 0
    assert "warning: a.png: the result is larger than the picture file" in result.err
    result = run(*common, "--remove-source", "-f")
    assert result.code == 1
    assert "error: b.png: kept: the result is larger" in result.err
    assert "2 sources kept: the result is larger (2)" in result.out
    assert Path("a.png").exists()
    result = run(*common, "--remove-source", "-f", "--allow-larger")
    assert (result.code, result.err) == (0, "")
    assert not Path("a.png").exists()


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "avif", "tiff"])
def test_format_of_all_results(run: Run, suffix: str) -> None:
    folder_of("in/a.png", "in/b.png")
    assert run("compress", "in", "-d", "out", "--model", "random").code == 0
    result = run("decompress", "out", "--format", suffix)
    assert result.code == 0
    assert ("is lossy" in result.err) == (suffix in ("jpg", "avif"))
    assert (result.err == "") == (suffix not in ("jpg", "avif"))
    names = {"jpg": "JPEG", "tiff": "TIFF"}
    with Image.open(f"out/a.{suffix}") as image:
        assert image.format == names.get(suffix, suffix.upper())
    if suffix in ("png", "tiff"):
        one_line_error(run("decompress", "out", "-f", "--format-quality", "5"), 2)
        return
    sizes = []
    for quality in ("5", "95"):
        arguments = ("decompress", "out", "-f", "--format", suffix, "--format-quality", quality)
        result = run(*arguments)
        assert result.code == 0
        assert "is lossy" in result.err
        sizes.append(Path(f"out/b.{suffix}").stat().st_size)
    assert sizes[0] < sizes[1]


@pytest.mark.usefixtures("installed")
def test_formats_that_lose_something_are_told(run: Run) -> None:
    photo().save("a.png")
    assert run("compress", "a.png", "--model", "random").code == 0
    assert "GIF has 256 colours" in run("decompress", "a.vqc", "-o", "a.gif").err
    assert not run("decompress", "a.vqc", "-o", "a.tif", "--format", "tiff").err
    assert "two formats" in one_line_error(
        run("decompress", "a.vqc", "-o", "b.png", "--format", "jpg"), 2
    )


@pytest.mark.skipif(not Path("/dev/stdout").exists(), reason="no such device")
@pytest.mark.parametrize("name", ["-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"])
def test_names_of_stdout_are_pipes(name: str, model_file: Path, tmp_path: Path) -> None:
    photo().save(tmp_path / "a.png")
    code = _command("compress", "a.png", "-o", name, "--model", str(model_file))
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout[1:4] == b"VQC"
    assert b"a.png -> -" in done.stderr
    with (tmp_path / "a.vqc").open("wb") as file:
        code = _command("compress", "a.png", "-o", "a.vqc", "--model", str(model_file))
        command = [sys.executable, "-c", code]
        assert subprocess.run(command, cwd=tmp_path, stdout=file, check=False).returncode == 0
    assert (tmp_path / "a.vqc").read_bytes() == done.stdout


@pytest.mark.usefixtures("installed")
def test_what_is_written_need_not_be_readable(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    photo().save("photo.png")
    Path("out.vqc").write_bytes(b"old")
    access = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: "out" not in path and access(path, mode))
    assert run("compress", "photo.png", "-o", "out.vqc", "-f", "--model", "random").code == 0
    assert Path("out.vqc").read_bytes()[1:4] == b"VQC"
    for name in _COMMANDS:
        command = cli.get_command(click.Context(cli), name)
        assert command is not None
        for option in command.params:
            writes = re.search(r"\b[Ww]rite\b", getattr(option, "help", None) or "")
            if isinstance(option.type, click.Path) and writes:
                assert not option.type.readable, (name, option.name)


@pytest.mark.skipif(sys.platform == "win32", reason="no such shell")
@pytest.mark.parametrize("closed", ["0<&-", "1>&-", "2>&-", "0<&- 1>&- 2>&-"])
def test_streams_may_be_closed(closed: str, model_file: Path, tmp_path: Path) -> None:
    photo().save(tmp_path / "a.png")

    def command(*arguments: str) -> int:
        code = _command(*arguments, "--model", str(model_file))
        line = ["sh", "-c", f'exec "$@" {closed}', "sh", sys.executable, "-c", code]
        return subprocess.run(line, cwd=tmp_path, capture_output=True, check=False).returncode

    assert command("compress", "a.png") == command("decompress", "a.vqc", "-o", "b.png") == 0
    assert Image.open(tmp_path / "b.png").size == photo().size
    assert command("compress", "no.png") == 1


DECEIVING = "\x1b[2J\x1b]0;title\x07\nvqcodec: all is well\r\u202egnp.\x9b1m"


@pytest.mark.usefixtures("installed")
@pytest.mark.skipif(sys.platform == "win32", reason="no such names")
def test_names_cannot_deceive_a_terminal(run: Run) -> None:
    Path("in").mkdir()
    for name in (f"{DECEIVING}.png", f"{DECEIVING}.jpg", "\udcff.png"):
        photo(20, 20).save(Path("in") / name)
    Path(f"in/{DECEIVING}bad.png").write_bytes(b"no picture")
    Path("in/a.\x1b[1m").write_bytes(b"")
    results = [
        run("compress", "in", "--model", "random"),
        run("compress", "in", "--model", "random", "--dry-run"),
        run("compress", f"in/{DECEIVING}.gif", "--model", "random"),
        run("compress", "in", "--model", DECEIVING, "-f"),
        run("compress", "in", f"--{DECEIVING}"),
        run(DECEIVING),
        run("decompress", "in", "-d", "out"),
    ]
    for result in results:
        text = result.out + result.err
        assert "all is well" in text
        for line in text.splitlines():
            assert line.isprintable()
            assert not line.startswith("vqcodec: all is well")
    assert "in/\\udcff.png -> in/\\udcff.vqc" in results[0].out


@pytest.mark.usefixtures("installed")
def test_dates_come_back(run: Run) -> None:
    photo(20, 20).save("a.png")
    date = 981_173_106_123_456_700
    os.utime("a.png", ns=(date, date))
    assert run("compress", "a.png", "--model", "random").code == 0
    assert run("decompress", "a.vqc", "-o", "b.png").err == ""
    assert Path("b.png").stat().st_mtime_ns == date
    assert run("decompress", "a.vqc", "-o", "c.png", "--no-mtime").err == ""
    assert Path("c.png").stat().st_mtime_ns != date
    assert run("compress", "a.png", "--no-mtime", "-f", "--model", "random").code == 0
    assert run("decompress", "a.vqc", "-o", "d.png").err == ""
    assert Path("d.png").stat().st_mtime_ns != date


@pytest.mark.usefixtures("installed")
def test_dates_that_cannot_be_had_are_told(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    photo(20, 20).save("a.png")
    os.utime("a.png", (20_000_000_000, 20_000_000_000))
    if Path("a.png").stat().st_mtime == 20_000_000_000:  # some file systems end earlier
        result = run("compress", "a.png", "--model", "random", "-o", "late.vqc")
        assert result.code == 0
        assert "not kept: the date" in result.err
        result = run("compress", "a.png", "--model", "random", "-o", "b.vqc", "--remove-source")
        assert result.code == 1
        assert "kept: the result lacks its date" in result.err
    os.utime("a.png", (0, 0))
    assert run("compress", "a.png", "--model", "random").code == 0

    def failing(*arguments: object, **more: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "utime", failing)
    result = run("decompress", "a.vqc", "-o", "b.png")
    assert result.code == 0
    assert "its date is none" in result.err


def test_threads_that_there_are_no_processors_for(
    run: Run, model_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processors, "granted", lambda: 1)
    photo(20, 20).save("a.png")
    result = run("compress", "a.png", "--threads", "64", "--model", model_file)
    assert result.code == 0
    assert result.err == "vqcodec: --threads 64: 1 processor can be used\n"


def test_without_arguments_there_is_help(run: Run) -> None:
    for arguments in ((), ("models",)):
        result = run(*arguments)
        assert result.code in (0, 2)
        assert "Usage: vqcodec" in result.out + result.err
        assert "error" not in result.err


@pytest.mark.usefixtures("installed")
def test_a_file_is_parsed_once_to_be_inspected_and_verified(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo().save("a.png")
    assert run("compress", "a.png", "--model", "random").code == 0
    parsed = []
    parse = read._Reader.container
    monkeypatch.setattr(read._Reader, "container", lambda self: parsed.append(1) or parse(self))
    assert "verified" in run("inspect", "--verify", "a.vqc").out
    assert len(parsed) == 1


def test_only_commands_name_options() -> None:
    """Errors of the package say what is wrong; which option helps, the command line adds."""
    package = Path(vqcodec.__file__).parent
    context = click.Context(cli)
    commands = [cli.get_command(context, name) for name in _COMMANDS]
    parameters = [parameter for command in commands if command for parameter in command.params]
    names = {name for parameter in parameters for name in parameter.opts if name[0] == "-"}
    assert {"--max-pixels", "-f", "--resume"} <= names
    option = re.compile(rf"(^|[\s`])({'|'.join(names)})([\s`,;.:]|$)")
    for path in package.rglob("*.py"):
        inside = path.relative_to(package)
        if inside.parts[0] in ("cli", "batch") or inside.name == "ffmpeg.py":  # options of its own
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                assert not option.search(node.value), f"{path}: {node.value}"


def test_hints_need_no_package_of_this_name_on_an_index() -> None:
    """pip takes the vqcodec that is installed for `vqcodec[extra]`, but never to upgrade it."""
    extras = metadata.metadata("vqcodec").get_all("Provides-Extra")
    assert extras is not None
    root = Path(__file__).parents[1]
    for path in (*root.glob("vqcodec/**/*.py"), *root.glob("bench/**/*.py")):
        text = path.read_text("utf-8")
        assert "pip install --upgrade" not in text, path
        for named in re.findall(r"pip install ['\"]?vqcodec(?:\[([\w,-]+)\])?", text):
            assert named, path
            assert set(named.split(",")) <= set(extras), path


@pytest.mark.usefixtures("installed")
def test_errors_name_the_option_that_helps(run: Run) -> None:
    photo().save("a.png")
    Image.fromarray(np.zeros((4, 4), np.float32)).save("real.tif")
    assert run("compress", "a.png", "--model", "random").code == 0
    fewer = ("--max-pixels", "9")
    for arguments, option in (
        (("inspect", "a.vqc", *fewer), "--max-pixels"),
        (("decompress", "a.vqc", "-o", "b.png", *fewer), "--max-pixels"),
        (("compress", "a.png", "-o", "b.vqc", *fewer), "--max-pixels"),
        (("compress", "real.tif", "-o", "b.vqc"), "--range LOW HIGH"),
    ):
        assert option in one_line_error(run(*arguments), 1).split("; ")[1]


@pytest.mark.parametrize("command", ["compress", "decompress", "tokens"])
def test_ray_that_is_missing_is_named(
    run: Run, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    Path("some").mkdir()
    place = ["-o" if command == "tokens" else "-d", "results"]
    error = one_line_error(run(command, "some", *place, "--ray"), 1)
    assert "vqcodec[ray]" in error
