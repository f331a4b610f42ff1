"""What is written is verified and replaces nothing else; sources go only when that is safe."""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from conftest import Run, one_line_error, photo, removing
from PIL import Image

from vqcodec import storage
from vqcodec.codec.search import Wish
from vqcodec.errors import VerificationError
from vqcodec.image import pipeline
from vqcodec.models.vqvae import VqVae


def test_hidden_files_of_killed_processes_are_removed_after_a_day(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, young = tmp_path / ".vqcodec-0.part", tmp_path / ".vqcodec-1.part"
    for path in (old, young):
        path.write_bytes(b"half")
    two_days_ago = time.time() - 2 * 24 * 3600
    os.utime(old, (two_days_ago, two_days_ago))
    monkeypatch.delattr(os, "O_TMPFILE", raising=False)
    storage.write_whole(tmp_path / "a", b"whole", overwrite=False)
    assert {path.name for path in tmp_path.iterdir()} == {young.name, "a"}


@pytest.mark.parametrize("has_nameless", [True, False], ids=["nameless", "hidden"])
def test_writing_replaces_only_what_it_may(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_nameless: bool
) -> None:
    if not has_nameless:
        monkeypatch.delattr(os, "O_TMPFILE", raising=False)
    target = tmp_path / "new" / "folder" / "a"
    for _ in range(2):  # the same bytes are no reason to complain
        storage.write_whole(target, b"first", overwrite=False)
    with pytest.raises(FileExistsError, match="holds something else"):
        storage.write_whole(target, b"second", overwrite=False)
    assert target.read_bytes() == b"first"
    target.chmod(0o640)
    storage.write_whole(target, b"second", overwrite=True)
    assert target.read_bytes() == b"second"
    assert target.stat().st_mode & 0o777 == 0o640

    def refuse(written: bytes) -> None:
        assert written == b"third"
        raise VerificationError("no")

    with pytest.raises(VerificationError):
        storage.write_whole(target, b"third", overwrite=True, check=refuse)
    assert target.read_bytes() == b"second"
    assert [path.name for path in target.parent.iterdir()] == ["a"]


def test_without_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(*_: object, **__: object) -> None:
        raise PermissionError

    monkeypatch.delattr(os, "O_TMPFILE", raising=False)
    monkeypatch.setattr(os, "link", no_links)
    storage.write_whole(tmp_path / "a", b"first", overwrite=False)
    with pytest.raises(FileExistsError):
        storage.write_whole(tmp_path / "a", b"second", overwrite=False)
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_bytes() == b"first"


@pytest.fixture
def one(folder: Path) -> Path:
    """A picture."""
    path = Path("pictures/a.png")
    photo(40, 30).save(path)
    return path


@pytest.fixture
def meanwhile(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], None]:
    """Have something done after a picture was read and before its result is written."""

    def arrange(done: Callable[[], object]) -> None:
        encode = pipeline.encode

        def encode_then(*arguments: object, **more: object) -> pipeline.Encoded:
            encoded = encode(*arguments, **more)  # type: ignore[arg-type]
            done()
            return encoded

        monkeypatch.setattr(pipeline, "encode", encode_then)

    return arrange


def replaced(path: Path) -> None:
    """Put another file of the same size and time in its place."""
    found = path.stat()
    path.with_suffix(".new").write_bytes(bytes(found.st_size))
    os.utime(path.with_suffix(".new"), ns=(found.st_atime_ns, found.st_mtime_ns))
    path.with_suffix(".new").replace(path)


def grown(path: Path) -> None:
    found = path.stat()
    path.write_bytes(path.read_bytes() + b"more")
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))


def touched(path: Path) -> None:
    found = path.stat()
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns + 1000))


@pytest.mark.parametrize("change", [replaced, grown, touched])
def test_source_that_changes_is_kept(
    one: Path, run: Run, meanwhile: Callable[..., None], model: VqVae, change: Callable[..., None]
) -> None:
    meanwhile(lambda: change(one))
    error = one_line_error(run(*removing()), 1)
    assert "pictures/a.png: kept: it changed after it was read" in error
    assert one.exists()
    pipeline.verify(one.with_suffix(".vqc").read_bytes(), model=model)


def test_source_that_goes_is_told(one: Path, run: Run, meanwhile: Callable[..., None]) -> None:
    meanwhile(one.unlink)
    assert "No such file" in one_line_error(run(*removing()), 1)
    assert one.with_suffix(".vqc").exists()


def test_output_that_appears_meanwhile_is_not_replaced(
    one: Path, run: Run, meanwhile: Callable[..., None]
) -> None:
    result = one.with_suffix(".vqc")
    meanwhile(lambda: result.write_bytes(b"precious"))
    error = one_line_error(run(*removing()), 1)
    assert "pictures/a.vqc: exists and holds something else" in error
    assert result.read_bytes() == b"precious"
    assert one.exists()


def test_what_is_wrong_on_the_disk_is_found(
    one: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_back = storage._read_back
    monkeypatch.setattr(storage, "_read_back", lambda stream: read_back(stream)[:-1] + b"?")
    for option in ("--remove-source", "--verify"):
        arguments = ["compress", one, option, "--model", "../random.safetensors"]
        error = one_line_error(run(*arguments), 1)
        assert "pictures/a.png: what was written does not decode" in error
        assert [path.name for path in Path("pictures").iterdir()] == ["a.png"]
    assert run("compress", one, "--model", "../random.safetensors").code == 0


@pytest.mark.parametrize(
    "change",
    [
        lambda e: dataclasses.replace(e, data=e.data + b"?"),
        lambda e: dataclasses.replace(e, indices=e.indices ^ 1),
        lambda e: dataclasses.replace(e, header=dataclasses.replace(e.header, width=41)),
        *(
            lambda e, part=part: dataclasses.replace(
                e, picture=dataclasses.replace(e.picture, **part)
            )
            for part in ({"alpha": None}, {"alpha": np.zeros((30, 40), np.uint8)}, {"icc": b"?"})
        ),
    ],
    ids=["bytes", "indices", "header", "no alpha", "alpha", "metadata"],
)
def test_each_difference_is_found(
    model: VqVae, change: Callable[..., pipeline.Encoded], request: pytest.FixtureRequest
) -> None:
    image = photo(40, 30)
    image.putalpha(100)
    encoded = pipeline.encode(image, model, Wish())
    pipeline.confirm(encoded, encoded.data, model)
    name = request.node.callspec.id.split()[-1]
    with pytest.raises(VerificationError, match=name):
        pipeline.confirm(change(encoded), encoded.data, model)


def test_a_run_goes_on_where_another_ended(one: Path, run: Run) -> None:
    original, result = one.read_bytes(), one.with_suffix(".vqc")
    assert run("compress", one, "--model", "../random.safetensors").code == 0
    data = result.read_bytes()
    # Another picture's result is none of this picture.
    photo(40, 30, seed=9).save(one)
    other = one.read_bytes()
    error = one_line_error(run(*removing("--skip-existing")), 1)
    assert "pictures/a.vqc: exists and holds something else; -f overwrites it" in error
    assert (one.read_bytes(), result.read_bytes()) == (other, data)
    one.write_bytes(original)
    assert run(*removing("--skip-existing")).code == 0
    assert not one.exists()
    assert result.read_bytes() == data


def test_a_source_of_which_something_is_dropped_is_kept(folder: Path, run: Run) -> None:
    frames = [photo(20, 20, seed=k) for k in range(2)]
    frames[0].save("pictures/a.gif", save_all=True, append_images=frames[1:])
    result = run(*removing())
    assert result.code == 1
    assert "pictures/a.gif: kept: pictures/a.vqc does not hold all of it" in result.err
    assert Image.open("pictures/a.gif").n_frames == 2


@pytest.mark.usefixtures("one")
def test_what_exists_is_skipped_and_counted(run: Run, model_file: Path) -> None:
    photo(20, 20).save("pictures/b.png")
    model = ("--model", str(model_file))
    assert run("compress", "pictures/a.png", *model).code == 0
    before = Path("pictures/a.vqc").stat()
    result = run("compress", "pictures", "--skip-existing", *model)
    assert result.code == 0
    assert result.err == "vqcodec: 1 of 2 skipped: their results exist\n"
    assert Path("pictures/a.vqc").stat() == before
    assert Path("pictures/b.vqc").exists()
    result = run("compress", "pictures", "--skip-existing", "--model", "not even looked for")
    assert (result.code, result.out) == (0, "")
    result = run("decompress", "pictures", "-d", "out", "--skip-existing", *model)
    assert (result.code, result.err) == (0, "")
    Path("out/a.png").unlink()
    result = run("decompress", "pictures", "-d", "out", "--skip-existing", *model)
    assert result.err == "vqcodec: 1 of 2 skipped: their results exist\n"
    assert Path("out/a.png").exists()


@pytest.mark.usefixtures("one")
def test_what_would_lose_sources_is_refused(run: Run) -> None:
    for arguments in (
        ["-", "-o", "a.vqc", "--remove-source"],
        ["pictures/a.png", "-o", "-", "--remove-source"],
        ["pictures/a.png", "-o", "/dev/null", "--remove-source"],
        ["pictures/a.png", "-o", "pictures/a.png", "-f", "--remove-source"],
        ["pictures/a.png", "--remove-source", "--no-verify"],
        ["pictures/a.png", "--skip-existing", "-f"],
    ):
        one_line_error(run("compress", *arguments, "--model", "../random.safetensors"), 2)
    assert [path.name for path in Path("pictures").iterdir()] == ["a.png"]
