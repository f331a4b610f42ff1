"""format/reference.py, written from SPEC.md alone, reads what the codec writes."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from conftest import photo
from test_models import damaged
from torch import Tensor

import vqcodec
from vqcodec.container import parse, serialise
from vqcodec.errors import ModelCorruptError
from vqcodec.models.photo import Photo
from vqcodec.models.vqvae import VqVae
from vqcodec.registry.load import parse_model

sys.path.insert(0, str(Path(__file__).parent.parent / "format"))
import reference


def both_reject(
    data: bytes,
    model: VqVae | Photo,
    model_data: bytes,
    read: Callable[..., object] = vqcodec.indices,
) -> pytest.ExceptionInfo:
    """The codec and the reference, with the same class of error."""
    with pytest.raises(vqcodec.FormatError) as ours:
        read(data, model=model)
    with pytest.raises(reference.VqcError) as theirs:
        reference.decode(data, model_data)
    assert type(ours.value).__name__ == type(theirs.value).__name__ + "Error"
    return theirs


@pytest.mark.parametrize("prior", [True, False])
@pytest.mark.parametrize("size", [(1, 1), (17, 5), (300, 70)])
def test_reference_decodes_the_same_indices(
    model: VqVae, model_data: bytes, size: tuple[int, int], prior: bool
) -> None:
    data = vqcodec.compress(photo(*size), model=model, prior=prior)
    grid = vqcodec.indices(data, model=model)
    found = reference.decode(data, model_data)
    assert found == grid.tolist()
    flat = [[index for (index,) in row] for row in found]
    assert reference.indices_sha256(found) == reference.indices_sha256(flat)


@pytest.mark.parametrize("prior", [True, False])
@pytest.mark.parametrize("quality", [1, 2, 3])
@pytest.mark.parametrize("size", [(1, 1), (300, 70)])
def test_reference_decodes_the_same_indices_of_several_groups(
    photo_like: Photo,
    photo_data: bytes,
    size: tuple[int, int],
    quality: int,
    prior: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("vqcodec.codec.pipeline.TILE_LOG2", 4)  # 300 columns are two tiles
    data = vqcodec.compress(photo(*size), model=photo_like, quality=quality, prior=prior)
    grid = vqcodec.indices(data, model=photo_like)
    assert grid.shape[2] == 5
    assert reference.decode(data, photo_data) == grid.tolist()


@pytest.mark.parametrize("end", [0, 5, 20, -1])
def test_reference_rejects_what_the_codec_rejects(
    model: VqVae, model_data: bytes, photo_like: Photo, photo_data: bytes, end: int
) -> None:
    both_reject(vqcodec.compress(photo(40, 30), model=model)[:end], model, model_data)
    both_reject(vqcodec.compress(photo(40, 30), model=photo_like)[:end], photo_like, photo_data)


@pytest.mark.parametrize("quality", [0, 4, 255])
def test_another_quality_is_corrupt_in_both(
    photo_like: Photo, photo_data: bytes, quality: int
) -> None:
    container = parse(vqcodec.compress(photo(40, 30), model=photo_like))
    strange = replace(container, header=replace(container.header, quality=quality))
    error = both_reject(serialise(strange), photo_like, photo_data)
    assert error.type is reference.Corrupt


@pytest.mark.parametrize("read", [vqcodec.decompress, vqcodec.indices])
@pytest.mark.parametrize("index", [7, 20, 31])
def test_a_fixed_length_index_without_a_codeword_is_corrupt_in_both(
    photo_like: Photo, photo_data: bytes, index: int, read: Callable[..., object]
) -> None:
    # One position: two groups of 7 codewords and two of 20 in slice 0, one of 20 in slice 1.
    container = parse(vqcodec.compress(photo(9, 9), model=photo_like, prior=False))
    valid, without = (
        serialise(replace(container, tiles=((first << 4 * 5 + 7).to_bytes(4, "big"),)))
        for first in (6, index)
    )
    assert reference.decode(valid, photo_data) == [[[6, 0, 0, 0, 0]]]
    assert vqcodec.indices(valid, model=photo_like).tolist() == [[[6, 0, 0, 0, 0]]]
    error = both_reject(without, photo_like, photo_data, read)
    assert error.type is reference.Corrupt


def test_a_coded_index_without_a_codeword_is_corrupt_in_both(
    photo_like: Photo, photo_data: bytes
) -> None:
    # The highest quantile is the last of 20 symbols, of which 7 have codewords.
    container = parse(vqcodec.compress(photo(9, 9), model=photo_like))
    point = ((2**64 - 1) >> 24) * (2**24 - 1)
    tile = (point >> 32).to_bytes(4, "little") + (point % 2**32).to_bytes(4, "little")
    error = both_reject(serialise(replace(container, tiles=(tile,))), photo_like, photo_data)
    assert error.match("without a codeword")


@pytest.mark.parametrize(
    ("name", "place", "value"),
    [
        ("codebooks.1.0.1.channels", 1, 0),  # twice in a block
        ("codebooks.1.0.2.channels", 0, 0),  # twice in a slice
        ("codebooks.2.1.8.channels", 0, 8),
        ("codebooks.2.1.8.channels", 0, -1),
        ("codebooks.1.0.2.vectors", 0, 4096),
        ("codebooks.1.0.2.vectors", 0, -4096),
        ("codebooks.1.0.2.vectors", 0, -32768),  # whose 16-bit magnitude is itself
        ("codebooks.1.0.4.bias", 0, 4096),
        ("codebooks.1.0.4.bias", 0, -32768),
        ("codebooks.1.0.4.embedding", 0, -128),
        ("prior.precisions", 5, 2**21),
        ("prior.precisions", 5, -1),
        ("prior.hidden.1.bias", 0, 2**24),
    ],
)
def test_wrong_models_are_refused_by_both(
    photo_data: bytes, name: str, place: int, value: int
) -> None:
    def change(tensors: dict[str, Tensor], metadata: dict) -> None:
        assert tensors[name].flatten()[place] != value
        tensors[name].view(-1)[place] = value

    data = damaged(photo_data, change)
    with pytest.raises(ModelCorruptError):
        parse_model(data, sha256="", device=torch.device("cpu"))
    with pytest.raises(reference.ModelError, match=name[:13]):
        reference.load(data)


def test_blocks_without_groups_are_refused_by_both(photo_data: bytes) -> None:
    def change(tensors: dict[str, Tensor], metadata: dict) -> None:
        for part in ("channels", "vectors", "bias", "embedding"):
            name = f"codebooks.1.1.8.{part}"
            tensors[name] = tensors[name][:0].contiguous()

    data = damaged(photo_data, change)
    with pytest.raises(ModelCorruptError):
        parse_model(data, sha256="", device=torch.device("cpu"))
    with pytest.raises(reference.ModelError):
        reference.load(data)
