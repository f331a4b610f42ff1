"""What is written is verified and replaces nothing else; sources go only when that is safe."""

from __future__ import annotations

import dataclasses
import errno
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from conftest import Run, one_line_error, photo, removing
from PIL import Image

import vqcodec
from vqcodec import storage
from vqcodec.codec.search import Wish
from vqcodec.errors import SourceKeptError, VerificationError
from vqcodec.image import pipeline
from vqcodec.image.picture import Metadata
from vqcodec.image.reading import picture_of
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


def no_links(*_: object, **__: object) -> None:
    raise PermissionError


def test_without_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "O_TMPFILE", raising=False)
    monkeypatch.setattr(os, "link", no_links)
    storage.write_whole(tmp_path / "a", b"first", overwrite=False)
    with pytest.raises(FileExistsError):
        storage.write_whole(tmp_path / "a", b"second", overwrite=False)
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_bytes() == b"first"


@pytest.fixture
def linked(tmp_path: Path) -> Path:
    """A folder for results, with links in it and a folder beside it that holds a file."""
    root = tmp_path / "root"
    for folder in (root / "inner", tmp_path / "outside"):
        folder.mkdir(parents=True)
        (folder / "file").write_bytes(b"precious")
    for name, leads_to in {
        "to-file": "inner/file",
        "to-folder": "inner",
        "to-nothing": "none",
        "to-itself": "to-itself",
        "to-outside-file": "../outside/file",
        "to-outside-folder": "../outside",
        "to-outside-nothing": "../outside/none",
    }.items():
        (root / name).symlink_to(leads_to)
    (tmp_path / "root-link").symlink_to("root")
    return root


def contents(folder: Path) -> dict[Path, bytes | None]:
    return {
        path: path.read_bytes() if path.is_file() else None for path in sorted(folder.rglob("*"))
    }


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize(
    ("name", "link"),
    [
        ("to-nothing", "to-nothing"),
        ("to-nothing/a", "to-nothing"),
        ("to-itself", "to-itself"),
        ("to-outside-file", "to-outside-file"),
        ("to-outside-nothing", "to-outside-nothing"),
        ("to-outside-nothing/a", "to-outside-nothing"),
        ("to-outside-folder/a", "to-outside-folder"),
        ("to-outside-folder/file", "to-outside-folder"),
        ("to-outside-folder/new/folder/a", "to-outside-folder"),
        ("to-folder/../../outside/a", "to-folder"),
    ],
)
def test_links_that_lead_out_or_nowhere_are_not_followed(
    linked: Path, name: str, link: str, overwrite: bool
) -> None:
    """Nothing is written, no folder is made, and the error names the link."""
    before = contents(linked.parent)
    with pytest.raises(PermissionError) as caught:
        storage.write_whole(linked / name, b"new", overwrite=overwrite, inside=linked)
    assert caught.value.filename == str(linked / name)
    assert f"{linked / link} leads to" in caught.value.strerror
    assert contents(linked.parent) == before


@pytest.mark.parametrize("root", ["root", "root-link"])
@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("a", "a"),
        ("new/folder/a", "new/folder/a"),
        ("to-file", "inner/file"),
        ("to-folder/a", "inner/a"),
        ("to-folder/new/a", "inner/new/a"),
        ("to-folder/../a", "a"),
    ],
)
def test_links_inside_the_folder_are_followed(
    linked: Path, root: str, name: str, written: str
) -> None:
    links = [path for path in linked.iterdir() if path.is_symlink()]
    folder = linked.with_name(root)
    storage.write_whole(folder / name, b"new", overwrite=True, inside=folder)
    assert (linked / written).read_bytes() == b"new"
    assert all(path.is_symlink() for path in links)


def test_the_folder_of_results_is_the_targets_own_unless_it_is_told(linked: Path) -> None:
    storage.write_whole(linked / "to-outside-folder" / "a", b"new", overwrite=False)
    assert (linked.parent / "outside" / "a").read_bytes() == b"new"
    with pytest.raises(PermissionError, match="is outside of"):
        storage.write_whole(linked / "to-outside-file", b"new", overwrite=True)
    with pytest.raises(PermissionError, match="is outside of"):
        storage.write_whole(linked.parent / "a", b"new", overwrite=True, inside=linked)


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
    vqcodec.verify(one.with_suffix(".vqc").read_bytes(), model=model)


def nothing(path: Path) -> None:
    """Leave it as it is."""


class Moment:
    """Has something done just before or after a source is set aside."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.before: Callable[[Path], object] = nothing
        self.after: Callable[[Path], object] = nothing
        rename = Path.rename

        def watched(path: Path, target: Path) -> Path:
            self.before(path)
            renamed = rename(path, target)
            self.after(path)
            return renamed

        monkeypatch.setattr(Path, "rename", watched)


@pytest.fixture
def moment(monkeypatch: pytest.MonkeyPatch) -> Moment:
    return Moment(monkeypatch)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A file in a folder of its own."""
    path = tmp_path / "sources" / "a.png"
    path.parent.mkdir()
    path.write_bytes(b"picture")
    return path


def test_sources_are_deleted(source: Path) -> None:
    storage.remove_source(source, storage.state_of(source))
    assert list(source.parent.iterdir()) == []


def test_of_a_link_among_the_sources_the_link_is_deleted(source: Path) -> None:
    link = source.with_name("link.png")
    link.symlink_to(source.name)
    state = storage.state_of(link)
    storage.remove_source(link, state)
    assert contents(source.parent) == {source: b"picture"}


@pytest.mark.parametrize("change", [replaced, grown, touched])
def test_source_that_changes_in_the_last_moment_is_put_back(
    source: Path, moment: Moment, change: Callable[[Path], None]
) -> None:
    """After it was found unchanged, and before it is deleted."""
    state = storage.state_of(source)
    moment.before = change
    with pytest.raises(SourceKeptError, match="it changed"):
        storage.remove_source(source, state)
    assert list(source.parent.iterdir()) == [source]
    assert storage.state_of(source) != state


def test_link_among_the_sources_whose_picture_changes_is_put_back_as_a_link(
    source: Path, moment: Moment
) -> None:
    link = source.with_name("link.png")
    link.symlink_to(source.name)
    moment.before = lambda _: touched(source)
    with pytest.raises(SourceKeptError):
        storage.remove_source(link, storage.state_of(link))
    assert link.is_symlink()
    assert contents(source.parent) == {link: b"picture", source: b"picture"}


def test_file_that_takes_the_name_of_a_source_stays(source: Path, moment: Moment) -> None:
    moment.after = lambda path: path.write_bytes(b"new")
    storage.remove_source(source, storage.state_of(source))
    assert contents(source.parent) == {source: b"new"}


def test_source_that_cannot_be_put_back_is_kept_and_told(
    source: Path, moment: Moment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Since another file has its name, or since there are no hard links."""
    moment.before = grown
    moment.after = lambda path: path.write_bytes(b"new")
    for known in ({source: b"new"}, {}):
        with pytest.raises(SourceKeptError, match="kept as") as caught:
            storage.remove_source(source, storage.state_of(source))
        found = contents(source.parent)
        (aside,) = found.keys() - known.keys()
        assert found == known | {aside: b"picturemore"}
        assert "a.png.set-aside-by-vqcodec" in aside.name
        assert str(aside) in str(caught.value)
        aside.unlink()
        source.write_bytes(b"picture")
        moment.after = nothing
        monkeypatch.setattr(os, "link", no_links)


@pytest.mark.parametrize("name", ["a" * 255, "ä" * 127, "a.part"])
def test_names_of_any_length_are_set_aside_and_never_removed(
    source: Path, moment: Moment, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = source.rename(source.with_name(name))
    two_days_ago = time.time() - 2 * 24 * 3600
    os.utime(source, (two_days_ago, two_days_ago))
    state = storage.state_of(source)
    moment.before = grown
    monkeypatch.setattr(os, "link", no_links)
    with pytest.raises(SourceKeptError, match="kept as"):
        storage.remove_source(source, state)
    (aside,) = source.parent.iterdir()
    storage._remove_stale(aside.parent)
    assert aside.read_bytes() == b"picturemore"


def remove_and_be_killed(source: Path, step: int) -> None:
    import child

    child._kill_at(step)
    storage.remove_source(source, storage.state_of(source))


@pytest.mark.skipif(sys.platform == "win32", reason="no processes to fork")
def test_killed_at_any_step_of_removal_nothing_is_lost(tmp_path: Path) -> None:
    """A source is there under its name or set aside until it is deleted."""
    import child

    folder = tmp_path / "pictures"
    folder.mkdir()
    seen = set()
    for step in range(1, 10):
        source = folder / "a.png"
        source.write_bytes(b"picture")
        process = child._FORKS.Process(target=remove_and_be_killed, args=(source, step))
        process.start()
        process.join()
        found = list(folder.iterdir())
        if process.exitcode == 0:
            assert found == []
            break
        assert process.exitcode == -signal.SIGKILL
        assert [path.read_bytes() for path in found] == [b"picture"]
        seen |= {found[0].name.split(".set-aside")[0] != found[0].name}
        found[0].unlink()
    assert process.exitcode == 0
    assert seen == {False, True}


def test_source_that_goes_is_told(one: Path, run: Run, meanwhile: Callable[..., None]) -> None:
    meanwhile(one.unlink)
    assert "No such file" in one_line_error(run(*removing()), 1)
    assert one.with_suffix(".vqc").exists()


@pytest.mark.parametrize("step", ["rename", "unlink"])
def test_source_that_cannot_be_deleted_is_kept_and_told(
    one: Path, run: Run, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """As in a folder that is not writable: the result is there, and its line says so."""
    do = getattr(Path, step)

    def refused(path: Path, *more: object, **options: object) -> object:
        if ".png" in path.name:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return do(path, *more, **options)

    monkeypatch.setattr(Path, step, refused)
    result = run(*removing("-d", "out"))
    assert one_line_error(result, 1) == (
        f"vqcodec: error: {Path('pictures/a.png')}: kept: cannot be deleted: Permission denied\n"
    )
    assert f"{Path('pictures/a.png')} -> {Path('out/a.vqc')}" in result.out
    assert one.exists()


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
        lambda e: dataclasses.replace(e, header=dataclasses.replace(e.header, shape=(30, 41))),
        *(
            lambda e, part=part: dataclasses.replace(
                e, picture=dataclasses.replace(e.picture, **part)
            )
            for part in (
                {"alpha": None},
                {"alpha": np.zeros((30, 40), np.uint8)},
                {"metadata": Metadata(icc=b"?")},
            )
        ),
    ],
    ids=["bytes", "indices", "header", "no alpha", "alpha", "metadata"],
)
def test_each_difference_is_found(
    model: VqVae, change: Callable[..., pipeline.Encoded], request: pytest.FixtureRequest
) -> None:
    image = photo(40, 30)
    image.putalpha(100)
    encoded = pipeline.encode(picture_of(image, max_pixels=1 << 20), model, Wish())
    pipeline.confirm(encoded, encoded.data, model)
    name = request.node.callspec.id.split()[-1]
    with pytest.raises(VerificationError, match=name):
        pipeline.confirm(change(encoded), encoded.data, model)


def test_a_run_goes_on_where_another_ended(one: Path, run: Run) -> None:
    original, result = one.read_bytes(), one.with_suffix(".vqc")
    date = one.stat().st_mtime_ns
    assert run("compress", one, "--model", "../random.safetensors").code == 0
    data = result.read_bytes()
    # Another picture's result is none of this picture.
    photo(40, 30, seed=9).save(one)
    other = one.read_bytes()
    error = one_line_error(run(*removing("--skip-existing")), 1)
    assert "pictures/a.vqc: exists and holds something else; -f overwrites it" in error
    assert (one.read_bytes(), result.read_bytes()) == (other, data)
    one.write_bytes(original)
    os.utime(one, ns=(date, date))  # which the result holds too
    assert run(*removing("--skip-existing")).code == 0
    assert not one.exists()
    assert result.read_bytes() == data


def test_a_source_of_which_something_is_dropped_is_kept(folder: Path, run: Run) -> None:
    frames = [photo(20, 20, seed=k) for k in range(2)]
    frames[0].save("pictures/a.gif", save_all=True, append_images=frames[1:])
    result = run(*removing())
    assert result.code == 1
    assert "pictures/a.gif: kept: the result lacks frame 2" in result.err
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
