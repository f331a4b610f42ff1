"""format/reference.py, written from SPEC.md alone, reads what the codec writes."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from conftest import photo

import vqcodec
from vqcodec.models.vqvae import VqVae

sys.path.insert(0, str(Path(__file__).parent.parent / "format"))
import reference


@pytest.mark.parametrize("prior", [True, False])
@pytest.mark.parametrize("size", [(1, 1), (17, 5), (300, 70)])
def test_reference_decodes_the_same_indices(
    model: VqVae, model_data: bytes, size: tuple[int, int], prior: bool
) -> None:
    data = vqcodec.compress(photo(*size), model=model, prior=prior)
    assert (
        reference.decode(data, model_data) == vqcodec.indices(data, model=model)[:, :, 0].tolist()
    )


def test_reference_rejects_what_the_codec_rejects(model: VqVae, model_data: bytes) -> None:
    data = vqcodec.compress(photo(40, 30), model=model)
    for end in (0, 5, 20, len(data) - 1):
        with pytest.raises(vqcodec.FormatError) as ours:
            vqcodec.indices(data[:end], model=model)
        with pytest.raises(reference.VqcError) as theirs:
            reference.decode(data[:end], model_data)
        assert type(ours.value).__name__ == type(theirs.value).__name__ + "Error"
