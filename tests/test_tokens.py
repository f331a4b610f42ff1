"""Tokens: from pictures and .vqc files into files of three formats, and all the way back."""

from __future__ import annotations

import base64
import io
import json
import sys
import tarfile
import weakref
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from conftest import MODELS, Run, one_line_error, photo
from frozen.renew import FROZEN
from PIL import Image

import vqcodec
from vqcodec import tokens
from vqcodec.errors import (
    MissingPackageError,
    ModelError,
    ModelNotFoundError,
    NotVqcError,
    PictureError,
    PixelLimitError,
    TokensError,
)
from vqcodec.models.model import Model
from vqcodec.models.photo import Photo
from vqcodec.models.vqvae import VqVae
from vqcodec.tokens import Tokens, arrays
from vqcodec.tokens.archive import pictures, tar_members

FORMATS = ["npz", "tar", "parquet"]


@pytest.fixture(params=FORMATS)
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Where to write a file of each format."""
    if request.param == "parquet":
        pytest.importorskip("pyarrow")
    return tmp_path / f"tokens.{request.param}"


@pytest.fixture(params=["vqvae", "photo"])
def any_model(request: pytest.FixtureRequest, model: VqVae, photo_like: Photo) -> Model:
    return model if request.param == "vqvae" else photo_like


def equal(one: Tokens, other: Tokens) -> bool:
    facts = ("shape", "quality", "model", "name")
    return np.array_equal(one.indices, other.indices) and all(
        getattr(one, fact) == getattr(other, fact) for fact in facts
    )


def some(model: Model, count: int = 3) -> list[Tokens]:
    quality = {} if not model.qualities else {"quality": 2}
    return [
        tokens.tokenize(
            photo(50 + n, 40, n), model=model, name=f"Bild {n} \N{BEAR FACE}", **quality
        )
        for n in range(count)
    ]


def test_pictures_have_the_tokens_that_compressing_chooses(any_model: Model) -> None:
    for quality in [None] if not any_model.qualities else [1, 2.4, 3]:
        found = tokens.tokenize(photo(), model=any_model, quality=quality)
        data = vqcodec.compress(photo(), model=any_model, quality=quality)
        assert np.array_equal(found.indices, vqcodec.indices(data, model=any_model))
        assert tokens.to_vqc(found, model=any_model) == data
        assert (found.shape, found.model) == ((61, 83), any_model.sha256)


def test_pixels_of_tokens_are_those_of_their_file(any_model: Model) -> None:
    for each in some(any_model):
        image = vqcodec.decompress(tokens.to_vqc(each, model=any_model), model=any_model)
        assert np.array_equal(tokens.to_image(each, model=any_model), image)


def test_what_a_picture_is_given_as_is_of_no_matter(model: VqVae, tmp_path: Path) -> None:
    image = photo()
    image.save(tmp_path / "a.png")
    data = (tmp_path / "a.png").read_bytes()
    forms = (image, np.asarray(image), tmp_path / "a.png", str(tmp_path / "a.png"), data)
    first, *others = (tokens.tokenize(form, model=model) for form in forms)
    assert all(equal(first, other) for other in others)


@pytest.mark.parametrize("name", ["paper-fixed", "photo", "photo-low"])
def test_files_have_the_tokens_that_they_hold(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("pixels were decoded")

    data = (FROZEN / f"{name}.vqc").read_bytes()
    with monkeypatch.context() as patch:
        for place in ("image.drawing", "codec.transform", "tokens.coding"):
            patch.setattr(f"vqcodec.{place}.decode_indices", refuse)
        found = tokens.tokenize(data, name=name)
    assert np.array_equal(found.indices, vqcodec.indices(data))
    assert np.array_equal(vqcodec.indices(tokens.to_vqc(found)), found.indices)
    assert np.array_equal(tokens.to_image(found), vqcodec.decompress(data))


def test_files_of_exact_pixels_have_none(model: VqVae) -> None:
    page = Image.new("RGB", (64, 64), "white")
    literal = vqcodec.compress(page, lossless=True)
    mixed = (Path(__file__).parent.parent / "fuzz/corpus/container/vqvae-mixed.vqc").read_bytes()
    for data in (literal, mixed):
        with pytest.raises(TokensError, match="stored exactly"):
            tokens.tokenize(data)
    assert tokens.tokenize(page, model=model).indices.shape == (16, 16, 1)


def test_what_is_no_picture_is_told(tmp_path: Path) -> None:
    with pytest.raises(PictureError):
        tokens.tokenize(b"nothing")
    with pytest.raises(FileNotFoundError):
        tokens.tokenize(tmp_path / "none.png")
    with pytest.raises(ValueError, match="quality is 80"):
        tokens.tokenize(photo(), quality=80)
    with pytest.raises(PixelLimitError):
        tokens.tokenize(FROZEN / "photo.vqc", max_pixels=9)


def test_files_of_tokens_hold_all_that_was_written(path: Path, any_model: Model) -> None:
    written = some(any_model)
    tokens.write(path, iter(written), model=any_model)
    found = list(tokens.read(path))
    assert len(found) == len(written)
    assert all(map(equal, found, written))
    assert all(each.indices.dtype == np.uint16 for each in found)
    ((key, codebook),) = tokens.codebooks(path).items()
    assert key == (any_model.sha256, written[0].quality)
    expected = tokens.codebook_of(any_model, key[1])
    assert len(codebook) == len(expected) == any_model.groups(key[1])
    assert all(map(np.array_equal, codebook, expected))
    for each, original in zip(found, written, strict=True):
        assert tokens.to_vqc(each, model=any_model) == tokens.to_vqc(original, model=any_model)


def test_one_file_may_hold_tokens_of_several_models(path: Path) -> None:
    names = ("paper", "photo", "photo-low", "paper-fixed")
    written = [tokens.tokenize(FROZEN / f"{name}.vqc", name=name) for name in names]
    tokens.write(path, written)
    assert all(map(equal, tokens.read(path), written))
    codebooks = tokens.codebooks(path)
    assert set(codebooks) == {(each.model, each.quality) for each in written}
    assert codebooks[written[0].model, 0][0].shape == (512, 64)
    for each in written:
        sizes = [len(codewords) for codewords in codebooks[each.model, each.quality]]
        assert (each.indices < sizes).all()


def test_files_without_pictures(path: Path) -> None:
    tokens.write(path, [])
    assert list(tokens.read(path)) == []
    assert tokens.codebooks(path) == {}


def test_codewords_are_those_that_the_model_decodes(model: VqVae, photo_like: Photo) -> None:
    (codewords,) = tokens.codebook_of(model, 0)
    assert np.array_equal(codewords, model.codebook)
    rng = np.random.default_rng(0)
    books = photo_like.codebooks[1]
    codebook = tokens.codebook_of(photo_like, 2)
    assert [len(codewords) for codewords in codebook] == list(books.codewords)
    indices = rng.integers(0, books.codewords, (20, len(codebook)))
    sums = [sum(codebook[group][index].sum() for group, index in enumerate(row)) for row in indices]
    # The channels of groups are disjoint; others are constant.
    assert np.allclose(np.diff(sums), np.diff(books.values(indices).sum(1)))


def test_pictures_are_not_kept(path: Path, model: VqVae) -> None:
    """What is written is let go of, and so is what was read."""
    alive: set[int] = set()
    most = 0

    def watched(array: np.ndarray) -> None:
        nonlocal most
        alive.add(id(array))
        weakref.finalize(array, alive.discard, id(array))
        most = max(most, len(alive))

    def made() -> Iterator[Tokens]:
        rng = np.random.default_rng(0)
        for _ in range(60):
            indices = rng.integers(0, model.codebook_size, (256, 256, 1), dtype=np.uint16)
            watched(indices)
            yield Tokens(indices=indices, shape=(1024, 1024), quality=0, model=model.sha256)

    tokens.write(path, made(), model=model)
    assert most <= (17 if path.suffix == ".parquet" else 2)
    most = 0
    for number, each in enumerate(tokens.read(path)):
        watched(each.indices)
        assert number < 60
    assert most <= 2


def test_existing_files_are_kept(path: Path, model: VqVae) -> None:
    path.write_bytes(b"mine")
    with pytest.raises(FileExistsError):
        tokens.write(path, some(model), model=model)
    assert path.read_bytes() == b"mine"
    tokens.write(path, some(model), model=model, overwrite=True)
    assert len(list(tokens.read(path))) == 3


def test_a_file_appears_whole_or_not_at_all(path: Path, model: VqVae) -> None:
    def broken() -> Iterator[Tokens]:
        yield from some(model)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tokens.write(path, broken(), model=model)
    assert not list(path.parent.glob("*tokens*"))


def test_other_suffixes_are_refused(tmp_path: Path) -> None:
    for use in (
        lambda path: tokens.write(path, []),
        tokens.read,
        tokens.codebooks,
    ):
        with pytest.raises(ValueError, match=r"end in \.parquet, \.npz, \.tar"):
            use(tmp_path / "tokens.csv")


def test_parquet_without_pyarrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    path = tmp_path / "tokens.parquet"
    with pytest.raises(MissingPackageError, match="need pyarrow"):
        tokens.write(path, [])
    path.touch()
    with pytest.raises(MissingPackageError, match="need pyarrow"):
        list(tokens.read(path))


def test_tensors(model: VqVae) -> None:
    torch = pytest.importorskip("torch")
    (each,) = some(model, 1)
    tensor = each.tensor()
    assert tensor.dtype == torch.int64
    assert np.array_equal(tensor.numpy(), each.indices)


def test_numpy_reads_npz_and_webdatasets_names_are_kept(tmp_path: Path, model: VqVae) -> None:
    written = some(model)
    tokens.write(tmp_path / "a.npz", written, model=model)
    with np.load(tmp_path / "a.npz", allow_pickle=False) as archive:
        assert np.array_equal(archive["00000002.indices"], written[2].indices)
        assert json.loads(archive["00000002.json"])["name"] == written[2].name
    tokens.write(tmp_path / "a.tar", written, model=model)
    with tarfile.open(tmp_path / "a.tar", "r:") as archive:
        names = archive.getnames()
    assert names[0].startswith("__codebooks__/")  # which WebDataset passes over
    assert names[1:3] == ["00000000.json", "00000000.indices.npy"]


def test_webdataset_reads_tar(tmp_path: Path, model: VqVae) -> None:
    webdataset = pytest.importorskip("webdataset")
    written = some(model)
    tokens.write(tmp_path / "a.tar", written, model=model)
    found = list(webdataset.WebDataset(str(tmp_path / "a.tar"), shardshuffle=False).decode())
    assert [sample["json"]["name"] for sample in found] == [each.name for each in written]
    assert np.array_equal(found[1]["indices.npy"], written[1].indices)


def test_parquet_that_other_programs_wrote_again(tmp_path: Path, model: VqVae) -> None:
    pa = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    written = some(model)
    tokens.write(tmp_path / "a.parquet", written, model=model)
    table = parquet.read_table(tmp_path / "a.parquet")
    wide = pa.schema(
        [
            ("name", pa.large_string()),
            ("model", pa.large_string()),
            *((name, pa.int64()) for name in table.schema.names[2:-1]),
            ("indices", pa.large_list(pa.int64())),
        ]
    )
    parquet.write_table(table.cast(wide), tmp_path / "b.parquet", row_group_size=2)
    assert all(map(equal, tokens.read(tmp_path / "b.parquet"), written))
    assert tokens.codebooks(tmp_path / "b.parquet") == {}


VALUES: dict[str, Any] = {
    "indices": np.zeros((2, 3, 1), np.uint16),
    "shape": (8, 12),
    "quality": 0,
    "model": "0" * 64,
}


@pytest.mark.parametrize(
    "wrong",
    [
        {"indices": np.zeros((2, 3, 1))},
        {"indices": np.zeros((2, 3), np.uint16)},
        {"indices": np.zeros((0, 3, 1), np.uint16)},
        {"indices": np.full((2, 3, 1), -1)},
        {"indices": np.full((2, 3, 1), 1 << 16)},
        {"indices": np.broadcast_to(np.uint16(0), (1 << 14, 1 << 14, 2))},
        {"shape": (0, 12)},
        {"shape": (8, 1 << 24)},
        {"quality": -1},
        {"quality": 256},
        {"model": "paper"},
        {"model": "0" * 63 + "A"},
        {"name": "a" * 4097},
    ],
)
def test_values_that_no_picture_has(wrong: dict[str, Any]) -> None:
    Tokens(**VALUES)
    with pytest.raises(TokensError):
        Tokens(**{**VALUES, **wrong})


@pytest.mark.parametrize("use", [tokens.to_vqc, tokens.to_image])
def test_tokens_that_are_none_of_the_model(
    use: Callable[..., object], model: VqVae, photo_like: Photo
) -> None:
    def refused(reason: str, given: Model = photo_like, **changes: Any) -> None:
        (right,) = some(given, 1)
        values = {name: getattr(right, name) for name in ("indices", *list(VALUES)[1:])}
        with pytest.raises(TokensError, match=reason):
            use(Tokens(**(values | changes)), model=given)

    (right,) = some(photo_like, 1)
    refused("quality is 0", quality=0)
    refused("quality is 9", quality=9)
    refused("quality is 1", model, quality=1)
    refused("pixels have indices", shape=(400, 400))
    refused("pixels have indices", indices=right.indices[:, :, :-1])
    refused("has no codeword", indices=np.full_like(right.indices, 4000))
    refused("has no codeword", model, indices=np.full((10, 13, 1), 65535))
    with pytest.raises(ModelError, match="the tokens are of model"):
        use(right, model=model)
    with pytest.raises(ModelNotFoundError):
        use(right)
    wrong = Tokens(**{**VALUES, "quality": 9, "model": photo_like.sha256})
    with pytest.raises(TokensError, match="quality is 9"):
        tokens.write("never.npz", [wrong], model=photo_like)


def test_pixels_are_limited(model: VqVae) -> None:
    (each,) = some(model, 1)
    with pytest.raises(PixelLimitError):
        tokens.to_image(each, model=model, max_pixels=40 * 50 - 1)


# Files from hostile hands.


def all_of(path: Path) -> int:
    """Read everything; return the number of pictures."""
    tokens.codebooks(path)
    return len(list(tokens.read(path)))


def test_truncated_files(path: Path, model: VqVae) -> None:
    tokens.write(path, some(model), model=model)
    data = path.read_bytes()
    for end in range(0, len(data), max(1, len(data) // 300)):
        path.write_bytes(data[:end])
        try:
            assert all_of(path) <= 3
        except TokensError:
            continue
        assert path.suffix == ".tar"  # which may end behind any of its files


def test_changed_files_end_in_tokens_or_an_error(path: Path, model: VqVae) -> None:
    tokens.write(path, some(model), model=model)
    data = path.read_bytes()
    failed = 0
    for number in range(400):
        rng = Random(number)
        changed = bytearray(data)
        for _ in range(rng.choice((1, 3, 20))):
            at = rng.choice(
                (rng.randrange(len(data)), rng.randrange(max(0, len(data) - 1500), len(data)))
            )
            changed[at] = rng.randrange(256)
        path.write_bytes(changed)
        try:
            all_of(path)
        except TokensError:
            failed += 1
    assert failed > 40


@pytest.mark.parametrize("data", [b"", b"PK\5\6" + bytes(18), b"PAR1", bytes(512), bytes(10240)])
def test_files_of_nothing_hold_nothing(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    with suppress(TokensError):
        assert all_of(path) == 0


def tar_of(files: dict[str, bytes]) -> io.BytesIO:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    stream.seek(0)
    return stream


FACTS = {"name": "a", "model": "0" * 64, "quality": 0, "height": 8, "width": 12}
INDICES = arrays.pack(VALUES["indices"])


def npy(array: np.ndarray, **options: Any) -> bytes:
    out = io.BytesIO()
    np.save(out, array, **options)
    return out.getvalue()


@pytest.mark.parametrize(
    "files",
    [
        {"0.json": json.dumps(FACTS).encode()},
        {"0.indices.npy": INDICES, "1.json": json.dumps(FACTS).encode()},
        {"0.json": b"{", "0.indices.npy": INDICES},
        {"0.json": b"[]", "0.indices.npy": INDICES},
        {"0.json": b"[" * 60_000, "0.indices.npy": INDICES},
        {"0.json": b" " * 70_000, "0.indices.npy": INDICES},
        *(
            {"0.json": json.dumps(FACTS | wrong).encode(), "0.indices.npy": INDICES}
            for wrong in (
                {"name": 1},
                {"height": "8"},
                {"height": True},
                {"width": 1e9},
                {"quality": 10**30},
                {"model": None},
            )
        ),
        *(
            {"0.json": json.dumps(FACTS).encode(), "0.indices.npy": wrong}
            for wrong in (
                b"",
                INDICES[:-1],
                INDICES + b"\0",
                INDICES.replace(b"(2, 3, 1)", b"(9, 9, 9)"),
                INDICES.replace(b"(2, 3, 1)", b"(-2,-3,1)"),
                npy(np.zeros((2, 3, 1))),
                npy(np.zeros((2, 3), np.uint16)),
                npy(np.zeros((2, 3, 1), np.uint16, order="F")),
                npy(np.array([[[{}]]], dtype=object), allow_pickle=True),
            )
        ),
    ],
)
def test_archives_that_are_not_of_tokens(files: dict[str, bytes], tmp_path: Path) -> None:
    right = {"0.json": json.dumps(FACTS).encode(), "0.indices.npy": INDICES, "0.txt": b"more"}
    (found,) = pictures(tar_members(tar_of(right)))
    assert equal(found, Tokens(**VALUES, name="a"))
    with pytest.raises(TokensError):
        list(pictures(tar_members(tar_of(files))))
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    with pytest.raises(TokensError):
        list(tokens.read(tmp_path / "a.npz"))


@pytest.mark.parametrize(
    "files",
    [
        {"__codebooks__/a.npy": npy(np.zeros((2, 2), np.float32))},
        {f"__codebooks__/{'0' * 64}.0.001.npy": npy(np.zeros((2, 2), np.float32))},
        {f"__codebooks__/{'0' * 64}.0.000.npy": npy(np.zeros((2, 2)))},
        {f"__codebooks__/{'0' * 64}.0.000.npy": npy(np.zeros(2, np.float32))},
    ],
)
def test_archives_with_wrong_codebooks(files: dict[str, bytes], tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(tar_of(files).getvalue())
    with pytest.raises(TokensError):
        tokens.codebooks(tmp_path / "a.tar")


def test_members_that_claim_to_be_large_are_not_unpacked(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("0.json", bytes(1 << 25))
    assert (tmp_path / "a.npz").stat().st_size < 1 << 16
    with pytest.raises(TokensError, match="33554432 bytes, the limit is 65536"):
        list(tokens.read(tmp_path / "a.npz"))


def test_links_in_archives_are_not_followed(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for number in range(3):
            link = tarfile.TarInfo(f"{number}.json")
            link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
            archive.addfile(link)
    assert list(tokens.read(tmp_path / "a.tar")) == []


def parquet_of(path: Path, metadata: dict[str, str] | None = None, **changes: Any) -> Path:
    pa = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    row = {**FACTS, "rows": 2, "columns": 3, "groups": 1, "indices": [0] * 6} | changes
    types = {name: pa.int32() for name in row} | {"name": pa.string(), "model": pa.string()}
    types["indices"] = pa.list_(pa.uint16())
    schema = pa.schema([(name, types[name]) for name, value in row.items() if value is not ...])
    columns = {name: [value] for name, value in row.items() if value is not ...}
    table = pa.table(columns, schema=schema.with_metadata(metadata))
    parquet.write_table(table, path)
    return path


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": ...},
        {"indices": ...},
        {"name": None},
        {"indices": None},
        {"indices": [0, None, 0, 0, 0, 0]},
        {"indices": [0] * 5},
        {"rows": -2, "columns": -3},
        {"rows": 1 << 30, "columns": 1 << 30},
        {"height": 0},
        {"model": "a"},
        {"name": "a" * 5000},
    ],
)
def test_parquet_that_is_not_of_tokens(wrong: dict[str, Any], tmp_path: Path) -> None:
    path = parquet_of(tmp_path / "a.parquet")
    (found,) = tokens.read(path)
    assert equal(found, Tokens(**VALUES, name="a"))
    with pytest.raises(TokensError):
        list(tokens.read(parquet_of(path, **wrong)))


def test_parquet_with_wrong_codebooks(tmp_path: Path) -> None:
    right = base64.b64encode(npy(np.zeros((2, 2), np.float32))).decode()
    name = f"codebook/{'0' * 64}.0.000.npy"
    path = parquet_of(tmp_path / "a.parquet", {name: right, "other": "text"})
    assert set(tokens.codebooks(path)) == {("0" * 64, 0)}
    for metadata in ({name: right + "!"}, {name: ""}, {"codebook/a": right}):
        with pytest.raises(TokensError):
            tokens.codebooks(parquet_of(path, metadata))


# The command.


def test_the_command_writes_folders(run: Run, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VQCODEC_MODELS", "none")
    Path("in/deep").mkdir(parents=True)
    photo(60, 40).save("in/b.png")
    photo(40, 60, 1).save("in/deep/a.jpg")
    file = MODELS / "random.safetensors"
    Path("in/c.vqc").write_bytes(vqcodec.compress(photo(20, 20), model=file))
    Path("in/page.vqc").write_bytes(vqcodec.compress(photo(20, 20), lossless=True))
    Path("in/wrong.png").write_text("no picture")
    Path("in/notes.txt").write_text("no picture")
    result = run("tokens", "in", "-o", path, "--model", file)
    assert result.code == 1
    assert result.out.startswith(f"{path}: 3 of 5 pictures, {15 * 10 * 2 + 25} tokens, ")
    errors = result.err.splitlines()
    assert [line.split(": ")[2] for line in errors[1:]] == ["in/page.vqc", "in/wrong.png"]
    assert errors[0] == "vqcodec: left out: 1 .txt"
    found = list(tokens.read(path))
    assert [each.name for each in found] == ["b.png", "c.vqc", "deep/a.jpg"]
    assert [each.shape for each in found] == [(40, 60), (20, 20), (60, 40)]
    one_line_error(run("tokens", "in/b.png", "-o", path), 1)
    assert run("tokens", "in/b.png", "-o", path, "-f", "--model", file).code == 0
    assert [each.name for each in tokens.read(path)] == ["b.png"]


def test_the_command_ends_in_one_line(run: Run) -> None:
    Path("empty").mkdir()
    Path("bad.vqc").write_bytes(b"bad")
    assert "end in .parquet" in one_line_error(run("tokens", "empty", "-o", "a.csv"), 2)
    assert "no file has tokens" in one_line_error(run("tokens", "empty", "-o", "a.npz"), 1)
    result = run("tokens", "bad.vqc", "-o", "a.npz")
    assert result.code == 1
    assert "bad.vqc" in result.err.splitlines()[0]
    assert not Path("a.npz").exists()
    assert run("tokens", "bad.vqc").code == 2


@pytest.mark.parametrize(
    ("data", "held"),
    [(b"fLaC\0\0\0\x22", "sound"), (b"\0\0\0\x18ftypisom", "a clip")],
)
def test_files_of_other_media_are_said_to_be(run: Run, data: bytes, held: str) -> None:
    Path("a.bin").write_bytes(data)
    (error, _) = run("tokens", "a.bin", "-o", "a.npz").err.splitlines()
    assert error == f"vqcodec: error: a.bin: the file holds {held}, not a picture"


def test_qualities_are_for_pictures(run: Run, photo_like: Photo) -> None:
    file = MODELS / "random-photo.safetensors"
    photo().save("a.png")
    Path("b.vqc").write_bytes(vqcodec.compress(photo(), model=photo_like, quality=3))
    arguments = ("-o", "a.npz", "-q", "1", "--model", file)
    assert run("tokens", "a.png", "b.vqc", *arguments).code == 0
    assert [each.quality for each in tokens.read("a.npz")] == [1, 3]
    assert {quality for _, quality in tokens.codebooks("a.npz")} == {1, 3}


def test_readers_tell_files_apart_by_what_they_hold(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes((FROZEN / "photo-low.vqc").read_bytes())
    assert tokens.tokenize(tmp_path / "a.png").quality == 1
    with pytest.raises((NotVqcError, PictureError)):
        tokens.tokenize(b"\x8bVQC\r\n\x1a")
