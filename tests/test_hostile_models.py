"""Models are data: bounded, checked by hash, and nothing in them is ever run."""

from __future__ import annotations

import json
import re
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from changed_models import Tensors, changed
from conftest import photo
from hypothesis import given
from hypothesis import strategies as st

import vqcodec
from vqcodec.errors import ModelCorruptError
from vqcodec.models import header
from vqcodec.prior import units
from vqcodec.registry import store
from vqcodec.registry.load import parse_model, read_model

PACKAGE = Path(vqcodec.__file__).parent


def refused(data: bytes, match: str | None = None) -> None:
    with pytest.raises(ModelCorruptError, match=match):
        parse_model(data, sha256="")


def nested(depth: int) -> list:
    value: list = []
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("table", "key", "value"),
    [
        ("transform", "widths", [8, 12]),
        ("transform", "widths", [8, 12, 16, 20]),
        ("transform", "widths", [1 << 31] * 3),
        ("transform", "widths", [10**30] * 3),
        ("transform", "widths", 8),
        ("transform", "depths", [1, 1]),
        ("transform", "depths", [10**9, 1, 1]),
        ("transform", "latents", [24]),
        ("transform", "qualities", 0),
        ("transform", "gain_octaves", float("nan")),
        ("transform", "gain_octaves", 10**400),
        ("transform", "details", 0),
        ("transform", "details", 24),
        ("transform", "details", 1 << 40),
        ("latent_prior", "slices", 24),
        ("latent_prior", "slices", []),
        ("latent_prior", "slices", [8, 8, 7]),
        ("latent_prior", "slices", [25, -1]),
        ("latent_prior", "slices", [10**30, 24 - 10**30]),
        ("latent_prior", "slices", [1] * (1 << 16)),
        ("latent_prior", "slices", [8, 8, "8"]),
        ("latent_prior", "layers", 1 << 40),
        ("latent_prior", "hidden", "12"),
        ("product", "distance_bits", float("nan")),
        ("product", "codebook_size", True),
    ],
)
def test_configurations_are_bounded_before_a_network_is_made(
    photo_data: bytes, table: str, key: str, value: Any
) -> None:
    def change(tensors: Tensors, metadata: dict) -> None:
        metadata[table][key] = value

    refused(changed(photo_data, change))


@pytest.mark.parametrize("key", ["architecture", "name", "licence", "description"])
@pytest.mark.parametrize("value", [nested(900), 7, None, "\x1b[2J", "\ud800", "a\0"])
def test_texts_are_printable_texts(photo_data: bytes, key: str, value: Any) -> None:
    def change(tensors: Tensors, metadata: dict) -> None:
        metadata[key] = value

    refused(changed(photo_data, change), f"{key} is not a printable text")


@pytest.mark.parametrize(
    "name",
    [
        "analysis.layers.0.weight",
        "analysis.details.bias",
        "synthesis.layers.0.bias",
        "synthesis.details.0.weight",
        "gains",
    ],
)
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_numbers_are_finite(photo_data: bytes, name: str, value: float) -> None:
    def change(tensors: Tensors, metadata: dict) -> None:
        tensors[name].flat[0] = value

    refused(changed(photo_data, change))


def test_codewords_are_finite(model_data: bytes) -> None:
    def change(tensors: Tensors, metadata: dict) -> None:
        tensors["codebook"][0, 0] = float("nan")

    refused(changed(model_data, change), "finite")


@pytest.mark.parametrize("gain", [1e-45, 1e-38, 3e38])
def test_weights_that_overflow_give_a_picture(photo_data: bytes, gain: float) -> None:
    def change(tensors: Tensors, metadata: dict) -> None:
        tensors["gains"].fill(gain)
        for name, tensor in tensors.items():
            if name.startswith("synthesis") and name.endswith("weight"):
                tensor.fill(65504.0)

    hostile = parse_model(changed(photo_data, change), sha256="00" * 32)
    data = vqcodec.compress(photo(20, 20), model=hostile)
    assert vqcodec.decompress(data, model=hostile).size == (20, 20)


def test_logits_of_a_block_are_bounded(photo_data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(units, "LOGITS_MAX", 20)  # the largest block's
    parse_model(photo_data, sha256="")
    monkeypatch.setattr(units, "LOGITS_MAX", 20 - 1)
    refused(photo_data, "logits per position")


def with_tensor(data: bytes, entry: dict[str, Any], tail: bytes = b"") -> bytes:
    """Add a tensor that no model needs at a model file's end."""
    size = int.from_bytes(data[:8], "little")
    table, body = json.loads(data[8 : 8 + size]), data[8 + size :]
    table["further"] = entry | {"data_offsets": [len(body), len(body) + len(tail)]}
    text = json.dumps(table).encode()
    return struct.pack("<Q", len(text)) + text + body + tail


@pytest.mark.parametrize(
    ("entry", "tail"),
    [
        ({"dtype": "F4", "shape": [2]}, b"x"),
        ({"dtype": "F8_E8M0", "shape": [1]}, b"x"),
        ({"dtype": "F32", "shape": [0, 1 << 62, 1 << 62]}, b""),
        ({"dtype": "F32", "shape": [1 << 62, 1 << 62, 0]}, b""),
        ({"dtype": "F32", "shape": [(1 << 64) - 1, 0]}, b""),
        ({"dtype": "F32", "shape": [1 << 65, 0]}, b""),
        ({"dtype": "F32", "shape": [-1]}, b"abcd"),
        ({"dtype": "F32", "shape": [2]}, b"abcd"),
        ({"dtype": "Q9", "shape": [4]}, b"abcd"),
        ({"dtype": "F32"}, b"abcd"),
    ],
)
def test_headers_that_lie_are_refused(
    model_data: bytes, entry: dict[str, Any], tail: bytes
) -> None:
    refused(with_tensor(model_data, entry, tail))


def test_further_tensors_are_ignored(model_data: bytes) -> None:
    entry = {"dtype": "F32", "shape": [1]}
    assert parse_model(with_tensor(model_data, entry, b"abcd"), sha256="")


def test_sizes_are_held_against_the_file(model_data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    for wrong in (model_data[:-1], model_data + b"\0", struct.pack("<Q", 1 << 60) + b"{}"):
        refused(wrong)
        path.write_bytes(wrong)
        with pytest.raises(ModelCorruptError):
            store.install(path)
    padded = struct.pack("<Q", header.HEADER_MAX + 1) + b" " * (header.HEADER_MAX + 1)
    refused(padded, "not a safetensors file")


@pytest.mark.parametrize(
    "text", ["[" * 100_000, '{"a":' * 100_000, "[[]]", "7", '"x"', "", "\ud800", "{" + " " * 99]
)
def test_json_bombs_are_refused(text: str) -> None:
    for whole in (text, json.dumps({"__metadata__": {"vqcodec": text}})):
        encoded = whole.encode("utf-8", "surrogatepass")
        refused(struct.pack("<Q", len(encoded)) + encoded)


@pytest.mark.parametrize(
    "end",
    ["x", None, [], {}, 0.0, True, float("nan"), 1 << 70, -9, 10**4299, 10**4300 - 1, -(10**4299)],
)
def test_ends_of_tensors_are_numbers(end: object) -> None:
    table = {"__metadata__": {"vqcodec": "{}"}, "x": {"data_offsets": [0, end]}}
    text = json.dumps(table).encode()
    head = struct.pack("<Q", len(text)) + text
    with pytest.raises(ModelCorruptError):
        header.read_metadata(head, len(head))


@given(st.binary(max_size=200), st.booleans())
def test_any_bytes_are_a_model_error(data: bytes, sized: bool) -> None:
    refused(struct.pack("<Q", len(data)) + data if sized else data)


def test_files_larger_than_any_model_are_not_read(
    model_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "MODEL_BYTES_MAX", model_file.stat().st_size - 1)
    with pytest.raises(ModelCorruptError, match="larger than any model"):
        store.find(model_file)


def test_the_hash_is_checked_before_the_contents(model_file: Path) -> None:
    found = store.find(model_file)
    data = bytearray(model_file.read_bytes())
    data[100] ^= 1  # in the JSON header
    model_file.write_bytes(data)
    with pytest.raises(ModelCorruptError, match="SHA-256"):
        read_model(found, "cpu")


RUNS_CODE = re.compile(
    r"pickle|marshal|shelve|torch\.load\b|np\.load\b|allow_pickle|(?<![.\w])(eval|exec)\("
)


def test_the_package_has_no_reader_that_runs_what_it_reads() -> None:
    sources = sorted(PACKAGE.rglob("*.py"))
    assert len(sources) > 40
    for path in sources:
        assert not RUNS_CODE.search(path.read_text(encoding="utf-8")), path
    for bad in ("import pickle", "torch.load(path)", "np.load(x)", "exec(text)", "= eval(x)"):
        assert RUNS_CODE.search(bad)


AUDIT = """
import os, pickle, sys
from PIL import Image
import vqcodec
seen = []
sys.addaudithook(lambda event, _: seen.append(event) if "pickle" in event else None)
image = Image.linear_gradient("L").resize((24, 20)).convert("RGBA")
for model in ({vqvae!r}, {photo!r}):
    loaded = vqcodec.load_model(model, device="cpu")
    data = vqcodec.compress(image, model=loaded)
    assert vqcodec.decompress(data, model=loaded).size == image.size
    vqcodec.inspect(data)
print(seen)
pickle.loads(pickle.dumps(os.getcwd))
print(seen)
"""


def test_nothing_is_unpickled(model_file: Path, photo_data: bytes, tmp_path: Path) -> None:
    """An audit hook sees no class looked up by pickle, and would see one."""
    other = tmp_path / "photo.safetensors"
    other.write_bytes(photo_data)
    code = AUDIT.format(vqvae=str(model_file), photo=str(other))
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.splitlines() == ["[]", "['pickle.find_class']"]
