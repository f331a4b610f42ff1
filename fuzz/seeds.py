"""Make the seed corpus: two tiny random models, and small files that they decode.

    python fuzz/seeds.py

The models' weights depend on torch's random numbers, so the files are committed.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageCms

from vqcodec.container import Chunk, parse, serialise
from vqcodec.image.pipeline import compress
from vqcodec.models import photo, vqvae
from vqcodec.models.autoencoder import Decoder, Encoder
from vqcodec.models.config import (
    AutoencoderConfig,
    LatentPriorConfig,
    PriorConfig,
    ProductConfig,
    TransformConfig,
)
from vqcodec.models.latent_prior import LatentPrior
from vqcodec.models.model import Model
from vqcodec.models.pixelcnn import PixelCNN
from vqcodec.models.product import Block, Codebooks
from vqcodec.models.transform import Analysis, Gains, Synthesis
from vqcodec.registry.load import parse_model

CORPUS = Path(__file__).parent / "corpus"


def vqvae_bytes() -> bytes:
    """Architecture `vqvae-pixelcnn-1`."""
    torch.manual_seed(1)
    config = AutoencoderConfig(hidden=2, residual_blocks=1, code_dim=2, codebook_size=5)
    return vqvae.model_bytes(
        name="tiny",
        licence="CC0-1.0",
        description="random",
        config=config,
        encoder=Encoder(config),
        codebook=torch.randn(5, 2),
        decoder=Decoder(config),
        prior=PixelCNN(PriorConfig(codebook_size=5, embedding=1, channels=2, layers=1)),
    )


def photo_bytes() -> bytes:
    """Architecture `photo-1`; one of the qualities has no indices at all."""
    torch.manual_seed(2)
    config = TransformConfig(widths=(1, 1, 1), depths=(0, 0, 1), latents=6, details=1, qualities=3)
    prior = LatentPrior(LatentPriorConfig(channels=2, layers=1, slices=(4, 2), hidden=2), config)
    books = [Codebooks([[], []], torch.zeros(6))]
    for size in (3, 6):
        single = Block(torch.tensor([[0]]), *_random(1, size, 1))
        pair = Block(torch.tensor([[1, 2]]), *_random(1, 6, 2))
        more = Block(torch.tensor([[3]]), *_random(1, 2, 1))
        last = Block(torch.tensor([[4], [5]]), *_random(2, 4, 1))
        books.append(Codebooks([[single, pair, more], [last]], torch.zeros(6)))
    return photo.model_bytes(
        name="tiny-photo",
        licence="CC0-1.0",
        description="random",
        parts=photo.Parts(
            config=config,
            product=ProductConfig(codebook_size=6),
            analysis=Analysis(config),
            synthesis=Synthesis(config),
            gains=Gains(config),
            prior=prior,
            codebooks=books,
        ),
    )


def _random(groups: int, size: int, channels: int) -> tuple[torch.Tensor, ...]:
    vectors = torch.randn(groups, size, channels)
    bias = -torch.rand(groups, size)
    return vectors, bias, torch.asinh(vectors), -bias


def picture(width: int, height: int) -> Image.Image:
    """A picture with edges."""
    y, x = np.mgrid[0:height, 0:width]
    planes = [(x * 7 + y * 3) % 256, (x * y) % 256, 255 * (x > y)]
    return Image.fromarray(np.stack(planes, axis=-1).astype(np.uint8))


def with_everything() -> Image.Image:
    """A picture with alpha and all kinds of metadata."""
    image = picture(9, 6)
    image.putalpha(picture(9, 6).convert("L"))
    exif = Image.Exif()
    exif[0x010E] = "text"
    image.info["exif"] = exif.tobytes()
    image.info["icc_profile"] = ImageCms.ImageCmsProfile(ImageCms.createProfile("XYZ")).tobytes()
    image.info["xmp"] = b"<x:xmpmeta/>"
    return image


def files(model: Model) -> dict[str, bytes]:
    """Name small files of a model."""
    side = 18 * model.stride
    found = {
        "one": compress(picture(1, 1), model=model),
        "fixed": compress(picture(37, 21), model=model, prior=False),
        "prior": compress(picture(37, 21), model=model),
        "everything": compress(with_everything(), model=model),
        "lowest": compress(picture(20, 20), model=model, quality=1 if model.qualities else None),
    }
    plain = parse(found["one"])
    note = Chunk(type=b"note", data=b"hi")
    found["unknown-chunk"] = serialise(replace(plain, chunks=(note,)))
    if model.stride == 4:  # several tiles, within the fuzzed decoder's limit
        wide = parse(compress(picture(side, 8), model=model, prior=False))
        header = replace(wide.header, tile_log2=4)
        tiles = (bytes(-(-2 * 9 * 3 // 8)),) * 2
        found["tiles"] = serialise(replace(wide, header=header, tiles=tiles))
    return found


def main() -> None:
    """Write the corpus."""
    for folder in ("container", "model"):
        (CORPUS / folder).mkdir(parents=True, exist_ok=True)
    for name, data in (("vqvae", vqvae_bytes()), ("photo", photo_bytes())):
        (CORPUS / "model" / f"{name}.safetensors").write_bytes(data)
        digest = hashlib.sha256(data).hexdigest()
        model = parse_model(data, sha256=digest, device=torch.device("cpu"))
        for case, file in files(model).items():
            (CORPUS / "container" / f"{name}-{case}.vqc").write_bytes(file)


if __name__ == "__main__":
    main()
