from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

import vqcodec
from vqcodec.errors import ModelCorruptError, ModelError, ModelNotFoundError
from vqcodec.registry import store
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
    assert not list(installed.path.parent.glob("*.partial"))
    assert store.install(model_file) == installed


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
    with pytest.raises(ValueError, match="available"):
        vqcodec.load_model(model_file, device="abacus")
