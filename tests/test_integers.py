"""What a model file holds in integers, against the networks that trained it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from conftest import LATENT_PRIOR, photo
from random_networks import random_codebooks, random_latent_prior

import vqcodec
from vqcodec.errors import CorruptError
from vqcodec.models.photo import Photo
from vqcodec.models.photo import parse_model as parse_photo
from vqcodec.networks.latent_prior import precision_of
from vqcodec.networks.product import export, take
from vqcodec.prior.codebooks import Codebooks


@torch.no_grad()
def test_integers_say_what_training_says(photo_like: Photo) -> None:
    """Step by step in integers, and all at once on the training network's integer grid."""
    prior, quality, rows, columns = random_latent_prior().double(), 2, 5, 7
    codebooks = random_codebooks(quality - 1).double()
    for block in codebooks.blocks():
        block.vectors.copy_((block.vectors * 32.0).round() / 32.0)
        block.bias.copy_(((block.bias - block.bias.amax(1, keepdim=True)) * 16.0).round() / 16.0)
    rng = torch.Generator().manual_seed(0)
    picked = [
        torch.randint(b.bias.shape[1], (b.groups, rows * columns), generator=rng)
        for b in codebooks.blocks()
    ]
    parts = [take(block.embedding, k) for block, k in zip(codebooks.blocks(), picked, strict=True)]
    seen = codebooks.place(parts, torch.zeros(rows * columns, 24, dtype=torch.float64))
    image = seen.view(1, rows, columns, 24).permute(0, 3, 1, 2)
    means, scales = prior(image, torch.tensor([quality]), integer=True)
    flat = [values[0].flatten(1).T.double() for values in (means, precision_of(scales))]
    expected = [b.logits(b.of(flat[0]), b.of(flat[1])) for b in codebooks.blocks()]

    indices = torch.cat(picked).T.view(1, rows, columns, -1).int()
    prior_of_it = photo_like.prior_of(quality)
    context = prior_of_it.context([(rows, columns)])
    compared = 0
    for step in context.steps():
        i, j = step.row, step.column
        done = 0
        for part, (groups, size) in enumerate(prior_of_it.parts):
            said = expected[part][:, i * columns + j].numpy()  # (g, n, K)
            logits = context.logits(part, slice(0, len(i)))
            assert logits.shape == said.shape == (groups, len(i), size)
            ours = logits / 16.0
            # Both are logits but for a summand; ours are rounded down to 1/16 bit.
            difference = (ours - ours[..., :1]) - (said - said[..., :1])
            assert np.abs(difference).max() < 0.13
            compared += said.size
            context.put(part, indices[0, i, j, done : done + groups].numpy())
            done += groups
    assert compared == sum(e.numel() for e in expected)


def test_codebooks_survive_their_file() -> None:
    codebooks = random_codebooks(1)
    tensors = export(codebooks, LATENT_PRIOR.slices)
    integers = Codebooks(
        {name: tensor.numpy() for name, tensor in tensors.items()},
        slices=LATENT_PRIOR.slices,
        size=32,
    )
    assert integers.parts == ((2, 7), (1, 20), (1, 20), (1, 20))
    latents = 3.0 * torch.randn(50, 24)
    indices = integers.nearest(latents.numpy())
    values = torch.from_numpy(integers.values(indices))
    blocks = list(codebooks.blocks())
    with torch.no_grad():
        found = [block.distances(block.of(latents)).argmin(2) for block in blocks]
        parts = [take(block.vectors, k) for block, k in zip(blocks, found, strict=True)]
        expected = codebooks.place(parts, codebooks.rest.expand(50, -1))
    # Rounding to 1/32 may tip which of two codewords is nearer.
    assert ((values - expected).abs() <= 1.0 / 32.0).double().mean() > 0.98
    with pytest.raises(CorruptError, match="codebook of 7"):
        integers.values(np.full((1, 5), 7))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_cuda_gives_the_same(photo_like: Photo, photo_data: bytes) -> None:
    data = vqcodec.compress(photo(600, 300), model=photo_like)
    there = parse_photo(photo_data, sha256=photo_like.sha256, device="cuda")
    here = vqcodec.indices(data, model=photo_like)
    assert np.array_equal(vqcodec.indices(data, model=there), here)
