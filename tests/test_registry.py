from __future__ import annotations

import copy
import hashlib
import json
import os
import pickle
import struct
import sys
import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from changed_models import Tensors, changed
from conftest import MODELS, Run, one_line_error, photo

import vqcodec
from vqcodec.cli.terminal import escaped
from vqcodec.errors import ModelCorruptError, ModelError, ModelNotFoundError, ModelWarning
from vqcodec.models.vqvae import VqVae
from vqcodec.registry import load, store
from vqcodec.registry.load import check_model, load_model
from vqcodec.registry.manifest import shipped


def test_a_file_is_a_model(model_file: Path, model_data: bytes) -> None:
    found = store.find(model_file)
    assert found.name == "random"
    assert found.sha256 == hashlib.sha256(model_data).hexdigest()
    assert vqcodec.load_model(model_file, device="cpu").name == "random"


def test_installed_models_are_found_by_name_and_hash(model_file: Path, model_data: bytes) -> None:
    digest = hashlib.sha256(model_data).digest()
    with pytest.raises(ModelNotFoundError):
        store.find("random")
    with pytest.raises(ModelNotFoundError):
        store.find_by_prefix(digest[:8])
    installed = store.install(model_file)
    assert installed.path.read_bytes() == model_data
    assert store.find("random") == store.find_by_prefix(digest[:8]) == installed
    assert list(installed.path.parent.iterdir()) == [installed.path]
    assert store.install(model_file) == installed


def test_what_is_installed_is_what_was_checked(
    model_file: Path, model_data: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is read once: another that takes its place meanwhile is not installed."""
    read = store.read_file

    def read_then_change(path: Path) -> bytes:
        data = read(path)
        path.write_bytes(b"another")
        return data

    monkeypatch.setattr(store, "read_file", read_then_change)
    checked: list[bytes] = []
    installed = store.install(model_file, checked.append)
    assert checked == [installed.path.read_bytes()] == [model_data]


def test_what_is_checked_to_be_no_model_is_not_installed(
    model_file: Path, no_installed_models: Path
) -> None:
    data = bytearray(model_file.read_bytes())
    at = data.index(b"prior.hidden.bias")
    data[at : at + 5] = b"other"
    model_file.write_bytes(data)
    with pytest.raises(ModelCorruptError):
        store.install(model_file, check_model)
    assert list(no_installed_models.iterdir()) == []


def unknown(_: Tensors, metadata: dict[str, Any]) -> None:
    metadata["architecture"] = "unknown-1"


def nameless(_: Tensors, metadata: dict[str, Any]) -> None:
    del metadata["name"]


def incomplete(tensors: Tensors, _: dict[str, Any]) -> None:
    del tensors["prior.hidden.bias"]


def not_finite(tensors: Tensors, _: dict[str, Any]) -> None:
    next(values for values in tensors.values() if values.dtype == np.float32).flat[0] = np.nan


WRONG: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "text": lambda _: b"no model " * 20,
    "short": lambda data: data[:-1],
    "long": lambda data: data + b"0",
    "unknown": partial(changed, change=unknown),
    "nameless": partial(changed, change=nameless),
    "incomplete": partial(changed, change=incomplete),
    "not finite": partial(changed, change=not_finite),
}


@pytest.mark.parametrize("kind", WRONG)
def test_errors_of_installing_name_the_file(
    run: Run, model_data: bytes, no_installed_models: Path, kind: str
) -> None:
    path = Path("mine.safetensors")
    path.write_bytes(WRONG[kind](model_data))
    error = one_line_error(run("models", "install", path), 1)
    assert error.startswith(f"vqcodec: error: {path}: ")
    assert error.count(str(path)) == 1
    assert not any(no_installed_models.glob("*"))


def test_installed_models_are_uninstalled_by_name_or_hash(
    model_file: Path, model_data: bytes, no_installed_models: Path
) -> None:
    digest = hashlib.sha256(model_data).hexdigest()
    for name in ("random", digest[:8], digest):
        store.install(model_file)
        assert store.uninstall(name) == no_installed_models / f"{digest}.safetensors"
        assert list(no_installed_models.iterdir()) == []
        with pytest.raises(ModelNotFoundError):
            store.uninstall(name)


def test_what_is_shipped_is_not_installed_as_well(run: Run, no_installed_models: Path) -> None:
    entry = min(shipped(), key=lambda entry: entry.size)
    Path("copy.safetensors").write_bytes(entry.path.read_bytes())
    result = run("models", "install", "copy.safetensors")
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith(f"{entry.name} ({entry.sha256[:16]}) is shipped with vqcodec")
    assert not no_installed_models.exists()


@pytest.mark.filterwarnings("ignore")
def test_damaged_models_are_uninstalled_by_hash(no_installed_models: Path) -> None:
    no_installed_models.mkdir()
    paths = [no_installed_models / f"{digits:0<64}.safetensors" for digits in ("abcd0123", "abcd")]
    for path in paths:
        path.write_bytes(b"damaged")
    for name in ("", "abcd", "abcd012"):  # fewer digits than name a model
        with pytest.raises(ModelNotFoundError):
            store.uninstall(name)
    assert store.uninstall("abcd0123") == paths[0]
    assert list(no_installed_models.iterdir()) == [paths[1]]


def test_names_of_several_models_are_not_enough_to_uninstall(no_installed_models: Path) -> None:
    no_installed_models.mkdir()
    for number in (1, 2):
        digits = f"{'ab' * 5}{number}"
        (no_installed_models / f"{digits:0<64}.safetensors").write_bytes(b"damaged")
    with pytest.raises(ModelNotFoundError, match="several"):
        store.uninstall("abababab")
    assert len(list(no_installed_models.iterdir())) == 2


def test_only_installed_models_are_uninstalled(model_file: Path) -> None:
    for entry in shipped():
        for name in (entry.name, entry.sha256[:16]):
            with pytest.raises(ModelError, match="is shipped with vqcodec"):
                store.uninstall(name)
        assert entry.path.exists()
    with pytest.raises(ModelError, match="is a file"):
        store.uninstall(str(model_file))
    assert model_file.exists()


def headed(text: str) -> bytes:
    """A model file that consists of a header."""
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def described(end: object = 0, **said: object) -> bytes:
    """A model file without tensors, but for one that ends somewhere."""
    table: dict[str, object] = {"__metadata__": {"vqcodec": json.dumps(said)}}
    if end:
        table["x"] = {"data_offsets": [0, end]}
    return headed(json.dumps(table))


def unreadable(path: Path) -> None:
    path.write_bytes(b"secret")
    path.chmod(0)


def pipe(path: Path) -> None:
    if not hasattr(os, "mkfifo"):
        pytest.skip("no named pipes")
    os.mkfifo(path)


BAD: dict[str, Callable[[Path], object]] = (
    {
        "a folder": Path.mkdir,
        "a named pipe": pipe,
        "a dangling link": lambda path: path.symlink_to("nothing"),
        "a link to itself": lambda path: path.symlink_to(path.name),
        "unreadable": unreadable,
    }
    | {
        name: lambda path, data=data: path.write_bytes(data)  # type: ignore[misc]
        for name, data in {
            "empty": b"",
            "no model": b"\xff" * 100,
            "not JSON": headed("{"),
            "deep": headed("[" * 100_000),
            "cut": described(name="x")[:-1],
            "too long": described(name="x") + b"?",
            "without a name": described(),
            "with a name that is none": described(name=["x"]),
            "with a name that clears screens": described(name="\x1b[2J"),
            "with an end of many digits": described(10**4299, name="x"),
            "with an end of too many digits": headed(
                '{"x": {"data_offsets": [0, ' + "9" * 5000 + "]}}"
            ),
        }.items()
    }
)


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_file_among_installed_models_is_named_once_and_passed_over(
    model_file: Path, model_data: bytes, no_installed_models: Path, kind: str, run: Run
) -> None:
    installed = store.install(model_file)
    bad = no_installed_models / f"{'0' * 64}.safetensors"
    BAD[kind](bad)
    if kind == "unreadable" and os.access(bad, os.R_OK):
        pytest.skip("nothing is forbidden here")
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        names = [model.name for model in vqcodec.list_models()]
        assert store.find("random") == installed
        assert store.find_by_prefix(hashlib.sha256(model_data).digest()[:8]) == installed
    assert names == [*(entry.name for entry in shipped()), "random"]
    assert [warning.category for warning in told] == [ModelWarning]
    assert str(bad) in str(told[0].message)
    store._told.clear()  # as in another process
    result = run("models", "list")
    assert result.code == 0
    assert result.out.count("\n") == len(names)
    assert result.err.count("\n") == result.err.count(str(bad)) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        vqcodec.list_models()


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize("command", ["compress", "decompress"])
def test_a_bad_installed_model_is_named_once_by_a_command_of_many_files(
    model_file: Path, no_installed_models: Path, run: Run, command: str, processes: int
) -> None:
    store.install(model_file)
    for number in range(4):
        photo(32, 32, seed=number).save(f"{number}.png")
    files = [f"{number}.png" for number in range(4)]
    if command == "decompress":
        assert run("compress", *files, "--model", "random").code == 0
        for file in files:
            Path(file).unlink()
        files = [f"{number}.vqc" for number in range(4)]
    bad = no_installed_models / f"{'0' * 64}.safetensors"
    bad.write_bytes(b"no model")
    store._told.clear()  # as in another process
    load._loaded.clear()
    model = ("--model", "random") if command == "compress" else ()
    result = run(command, *files, *model, "--jobs", processes)
    assert result.code == 0
    warned = [line for line in result.err.splitlines() if str(bad) in line]
    assert len(warned) == 1
    assert warned[0].startswith("vqcodec: warning: models: ")


def test_uninstall_and_its_errors_are_one_line(run: Run, model_file: Path) -> None:
    assert run("models", "install", model_file).code == 0
    result = run("models", "uninstall", "random")
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith("deleted ")
    assert result.out.count("\n") == 1
    assert "no model is called" in one_line_error(run("models", "uninstall", "random"), 1)
    assert "shipped" in one_line_error(run("models", "uninstall", "paper"), 1)


def test_nothing_that_is_printed_commands_a_terminal() -> None:
    everything = "".join(map(chr, range(sys.maxunicode + 1)))
    assert escaped(everything).isprintable()
    assert escaped("\x1b[2J\n\u202egnp\udc80") == r"\x1b[2J\n\u202egnp\udc80"
    assert escaped("Bäume 木.png") == "Bäume 木.png"


def test_names_with_line_breaks_stay_on_their_line(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(described(name="a\nb", description="c\td"))
    store.install(path)
    lines = run("models", "list").out.splitlines()
    assert len(lines) == len(shipped()) + 1
    assert r"a\nb" in lines[-1]
    assert r"c\td" in lines[-1]


def test_what_a_model_says_of_itself_hides_no_fact(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(described(name="x", sha256="0" * 64, source="shipped"))
    shown = json.loads(run("models", "show", path).out)
    assert shown["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert shown["source"] == "file"
    deep: object = 0
    for _ in range(800):
        deep = [deep]
    path.write_bytes(described(name="x", deep=deep))
    result = run("models", "show", path)
    assert result.code == 0 or "nested too deep" in one_line_error(result, 1)


def test_a_damaged_model_is_refused_by_its_hash(model_file: Path) -> None:
    installed = store.install(model_file)
    data = bytearray(installed.path.read_bytes())
    data[-1] ^= 1
    installed.path.write_bytes(data)
    with pytest.raises(ModelCorruptError, match="SHA-256"):
        store.read_verified(installed)


@pytest.mark.parametrize("data", [b"", b"\0" * 100, b"\xff" * 100, b"\x02\0\0\0\0\0\0\0{}"])
def test_what_is_no_model_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(data)
    with pytest.raises(ModelCorruptError):
        store.find(path)
    with pytest.raises(ModelError):
        store.find(tmp_path / "none.safetensors")


@pytest.mark.parametrize("name", ["random", "random-photo", "random-photo-2"])
def test_models_are_pickled_by_their_file(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "_loaded", {})
    monkeypatch.setattr(load, "_files", {})
    monkeypatch.chdir(MODELS)
    model = load_model(f"{name}.safetensors")
    packed = pickle.dumps(model)
    assert len(packed) < 1000
    assert pickle.loads(packed) is copy.deepcopy(model) is model
    monkeypatch.chdir(MODELS.parent)
    monkeypatch.setattr(load, "_loaded", {})  # as in another process
    other = pickle.loads(packed)
    assert other is not model
    assert other.sha256 == model.sha256


def test_models_of_no_file_cannot_be_pickled(model: VqVae) -> None:
    load_model(MODELS / "random.safetensors")
    with pytest.raises(ModelNotFoundError):
        pickle.dumps(replace(model, sha256="0" * 64))


def test_unknown_names_say_what_there_is() -> None:
    with pytest.raises(ModelNotFoundError, match="paper"):
        store.find("papre")


def test_shipped_models_are_what_the_manifest_says() -> None:
    assert [entry.name for entry in shipped()]
    for entry in shipped():
        data = entry.path.read_bytes()
        assert len(data) == entry.size <= 32 << 20
        assert hashlib.sha256(data).hexdigest() == entry.sha256
        metadata = store.read_metadata(entry.path)
        assert metadata["name"] == entry.name
        assert metadata["licence"] == entry.licence


def test_devices(model_file: Path) -> None:
    assert vqcodec.load_model(model_file, device="auto")
    with pytest.raises(ValueError, match="none of cpu, cuda, mps, auto"):
        vqcodec.load_model(model_file, device="abacus")
