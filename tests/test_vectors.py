"""The conformance vectors, through the codec and through the reference decoder.

Those that are streams of single tiles are in test_streams.py.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import reference
import reference_clip
import reference_picture
from PIL import Image
from test_container import SPEC

import vqcodec
from vqcodec import errors
from vqcodec.audio import chunks as sound_chunks
from vqcodec.audio.waveform import Waveform
from vqcodec.clip import chunks as clip_chunks
from vqcodec.container import parse
from vqcodec.engines.engine import VARIABLE
from vqcodec.image import chunks
from vqcodec.media.checking import verify
from vqcodec.models.photo_model import PhotoModel
from vqcodec.registry.load import parse_model

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

VECTORS = Path(__file__).parent.parent / "format" / "vectors"
GROUPS = ("valid", "limits", "faulty")


@dataclass(frozen=True)
class Vector:
    path: Path
    says: dict[str, Any]

    @property
    def data(self) -> bytes:
        return self.path.read_bytes()

    @property
    def model(self) -> bytes:
        return (VECTORS / "models" / self.says["model"]).read_bytes()


def vectors(*groups: str) -> list[Any]:
    paths = [path for group in groups for path in sorted((VECTORS / group).glob("*.toml"))]
    found = [Vector(p.with_suffix(".vqc"), tomllib.loads(p.read_text("utf-8"))) for p in paths]
    return [pytest.param(v, id=f"{v.path.parent.name}/{v.path.stem}") for v in found]


decodes = pytest.mark.parametrize("vector", vectors("valid", "limits"))
rejected = pytest.mark.parametrize("vector", vectors("faulty"))


@pytest.fixture
def installed(vector: Vector, no_installed_models: Path) -> None:
    """The vector's model alone, for the codec to find by its hash, whatever is in it."""
    no_installed_models.mkdir()
    digest = hashlib.sha256(vector.model).hexdigest()
    (no_installed_models / f"{digest}.safetensors").write_bytes(vector.model)


@decodes
@pytest.mark.usefixtures("installed")
def test_codec_decodes(vector: Vector) -> None:
    says = vector.says
    grid = verify(vector.data, device="cpu")
    assert list(grid.shape) == says["grid"]
    assert reference.indices_sha256(grid) == says["indices_sha256"]
    if is_sound(vector):
        check_description(vector)
    if is_clip(vector):
        check_clip(vector)
    if not says.keys() & {"pixels", "pixels_sha256"}:
        return
    image = vqcodec.decompress(vector.data, device="cpu")
    if "pixels_sha256" in says:
        assert pixels_sha256(np.asarray(image)) == says["pixels_sha256"]
        return
    expected = Image.open(vector.path.with_name(says["pixels"]))
    difference = np.asarray(image.convert("RGB")).astype(int) - np.asarray(expected)
    assert abs(difference).max() <= says["pixels_differ_by"]
    alpha, metadata = chunks.unpack(parse(vector.data))
    held = {
        "ALPH": lambda: alpha.tobytes(),
        "cicp": lambda: metadata.cicp,
        "dens": lambda: metadata.density.pack(),
        "exif": lambda: metadata.exif,
        "iccp": lambda: metadata.icc,
        "irb0": lambda: metadata.resources,
        "pngc": lambda: chunks.write_png_chunks(metadata.png_chunks),
        "time": lambda: metadata.modified.to_bytes(8, "little", signed=True),
        "xmp0": lambda: metadata.xmp,
        "xmpe": lambda: metadata.xmp_extension,
    }
    for kind, digest in says.get("chunks_sha256", {}).items():
        assert hashlib.sha256(held[kind]()).hexdigest() == digest


def pixels_sha256(samples: np.ndarray) -> str:
    """Of samples (rows, columns, 3), row by row."""
    return hashlib.sha256(samples.astype(np.uint8).tobytes()).hexdigest()


exact = pytest.mark.parametrize(
    "vector", [v for v in vectors("valid", "limits") if "pixels_sha256" in v.values[0].says]
)


@exact
@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("engine", ["onnxruntime", "torch"])
@pytest.mark.parametrize("window", [1, 2, 64])
@pytest.mark.parametrize("threads", [1, 2])
def test_exact_pixels_are_the_same_however_they_are_made(
    vector: Vector, engine: str, window: int, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip(engine)
    monkeypatch.setenv(VARIABLE, engine)
    monkeypatch.setattr(PhotoModel, "window", window)
    monkeypatch.setattr("vqcodec.processors.threads", lambda: threads)
    model = parse_model(vector.model, sha256=hashlib.sha256(vector.model).hexdigest())
    image = vqcodec.decompress(vector.data, model=model)
    assert pixels_sha256(np.asarray(image)) == vector.says["pixels_sha256"]


def is_sound(vector: Vector) -> bool:
    """Tell what the file says that it holds, whether or not it holds it."""
    return vector.data[9:10] == b"\2"


def check_description(vector: Vector) -> None:
    """Check what the chunks of sound hold."""
    description = sound_chunks.unpack(parse(vector.data))
    model = reference.load(vector.model)
    speakers = reference.read_speakers(reference.parse(vector.data), model)
    assert list(description.speakers) == speakers
    wave = reference.read_wave(reference.parse(vector.data))
    assert description.waveform == Waveform(
        rate=wave["rate"],
        samples=wave["samples"],
        levels=tuple(wave["levels"]),
        channels=tuple(wave["channels"]),
    )
    held = {
        "spkr": lambda: sound_chunks.pack_speakers(description.speakers),
        "tags": lambda: sound_chunks.pack_tags(description.tags),
        "time": lambda: description.modified.to_bytes(8, "little", signed=True),
    }
    for kind, digest in vector.says.get("chunks_sha256", {}).items():
        assert hashlib.sha256(held[kind]()).hexdigest() == digest


def is_clip(vector: Vector) -> bool:
    """Tell what the file says that it holds, whether or not it holds it."""
    return vector.data[9:10] == b"\3"


def check_clip(vector: Vector) -> None:
    """Check what the chunks of a clip hold."""
    description = clip_chunks.unpack(parse(vector.data))
    file, model = reference.parse(vector.data), reference_clip.load(vector.model)
    timing = reference_clip.read_timing(file)
    exact = [Fraction(ticks, timing["scale"]) for ticks in timing["ticks"]]
    assert list(description.timing.durations()) == exact
    assert description.timing.loops == timing["loops"]
    actions = reference_clip.read_actions(file, len(model.actions) - 1)
    assert (description.actions or bytes(len(actions))) == actions
    held = {
        "ACTS": lambda: description.actions,
        "CLIP": lambda: clip_chunks.pack_timing(description.timing),
        "time": lambda: description.modified.to_bytes(8, "little", signed=True),
    }
    for kind, digest in vector.says.get("chunks_sha256", {}).items():
        assert hashlib.sha256(held[kind]()).hexdigest() == digest


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("vector", [v for v in vectors("valid", "limits") if is_clip(v.values[0])])
def test_clips_are_as_long_and_large_as_told(vector: Vector) -> None:
    file = reference.parse(vector.data)
    clip = vqcodec.decompress_clip(vector.data)
    sides = file["groups"][-1][1], file["height"], file["width"], 3
    assert clip.frames.shape == sides
    assert clip.durations.shape == sides[:1]


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("vector", [v for v in vectors("valid", "limits") if is_sound(v.values[0])])
def test_sound_is_as_long_and_has_as_many_channels_as_told(vector: Vector) -> None:
    wave = reference.read_wave(reference.parse(vector.data))
    part = (0, min(wave["samples"], 1000) / wave["rate"])
    if wave["rate"] != 16000:
        pytest.importorskip("soxr")
    samples, rate = vqcodec.decompress_audio(vector.data, crop=part)
    assert rate == wave["rate"]
    assert samples.shape == (len(wave["channels"]), min(wave["samples"], 1000))
    assert np.isfinite(samples).all()


@decodes
def test_reference_decodes(vector: Vector) -> None:
    says = vector.says
    grid = reference.decode(vector.data, vector.model)
    assert list(grid.shape) == says["grid"]
    assert reference.indices_sha256(grid) == says["indices_sha256"]
    file = reference.parse(vector.data)
    if "pixels_sha256" in says:
        samples = reference_picture.pixels(grid, file, reference_picture.load(vector.model))
        assert pixels_sha256(samples) == says["pixels_sha256"]
    held = reference_picture.unpack(file)
    for kind, digest in says.get("chunks_sha256", {}).items():
        assert hashlib.sha256(held[kind.encode()]).hexdigest() == digest


@rejected
@pytest.mark.usefixtures("installed")
@pytest.mark.filterwarnings("ignore::vqcodec.errors.ModelWarning")  # of models that are faulty
@pytest.mark.parametrize("way", ["verify", "decompress"])
def test_codec_rejects(vector: Vector, way: str) -> None:
    decompress = vqcodec.decompress_audio if is_sound(vector) else vqcodec.decompress
    if is_clip(vector):
        decompress = vqcodec.decompress_clip
    read = verify if way == "verify" else decompress
    with pytest.raises(vqcodec.VqcError) as caught:
        read(vector.data, device="cpu")
    if vector.says["expect"] == "Model":
        assert isinstance(caught.value, vqcodec.ModelError)
    else:
        assert isinstance(caught.value, getattr(errors, f"{vector.says['expect']}Error"))


def everything(vector: Vector) -> None:
    """Look at all of a file and of its model."""
    file = reference.parse(vector.data)
    reference_picture.unpack(file)
    reference.decode(vector.data, vector.model)
    if file["medium"] == reference.PICTURE:
        reference_picture.load(vector.model)
        list(reference_picture.literal(file))


@rejected
def test_reference_rejects(vector: Vector) -> None:
    expected = {"Model": reference.ModelError}.get(
        vector.says["expect"], getattr(reference, vector.says["expect"], None)
    )
    with pytest.raises((reference.VqcError, reference.ModelError)) as caught:
        everything(vector)
    assert caught.type is expected


@decodes
def test_valid_files_are_written_as_they_are_read(vector: Vector) -> None:
    assert vqcodec.container.serialise(parse(vector.data)) == vector.data


def test_programs_write_the_vectors_again(tmp_path: Path) -> None:
    """If this fails on purpose: `python format/generate.py` renews them."""
    subprocess.run([sys.executable, VECTORS.parent / "generate.py", tmp_path], check=True)
    made = {p.relative_to(tmp_path): p.read_bytes() for p in tmp_path.glob("*/*")}
    kept = {
        p.relative_to(VECTORS): p.read_bytes()
        for group in ("models", "streams", *GROUPS)
        for p in (VECTORS / group).iterdir()
    }
    assert made.keys() == kept.keys()
    assert [path for path in made if made[path] != kept[path]] == []


def test_each_error_of_the_tables_has_a_vector() -> None:
    """A faulty vector quotes a piece of every row of sections 3 and 4 that names an error."""
    faulty = [v.values[0].says for v in vectors("faulty")]
    sections = SPEC.split("\n## ")[3:5]
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in "\n".join(sections).splitlines()
        if line.startswith("|")
    ]
    checked = 0
    for row in rows:
        text = " | ".join(row)
        for error in row[-1].split(", "):
            if error in {"NotVqc", "Version", "Truncated", "Corrupt", "Checksum", "Limit"}:
                fitting = [f for f in faulty if f["expect"] == error and f["rule"] in text]
                assert fitting, f"no vector for {error} of: {text}"
                checked += 1
    assert checked >= 20


def test_each_class_of_error_has_vectors() -> None:
    expected = {v.values[0].says["expect"] for v in vectors("faulty")}
    named = {c.__name__.removesuffix("Error") for c in vqcodec.FormatError.__subclasses__()}
    assert expected == named | {"Model"}
