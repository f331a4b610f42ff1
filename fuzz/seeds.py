"""Make the seed corpus: tiny models, small files that they decode, and picture files.

    python fuzz/seeds.py

The models' weights depend on torch's random numbers, and profiles hold the time when they were
made, so the files are committed.
"""

from __future__ import annotations

import hashlib
import io
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from PIL import Image, ImageCms, PngImagePlugin

from vqcodec.audio.pipeline import compress_audio
from vqcodec.clip.pipeline import compress_clip
from vqcodec.codec.coding import encode_grid
from vqcodec.codec.literal import encode_literal
from vqcodec.codec.search import Wish
from vqcodec.codec.transform import measure_pixels
from vqcodec.container import Chunk, Header, Mode, parse, serialise
from vqcodec.grid import area_of
from vqcodec.image.colour import SRGB_CHROMATICITIES, rgb_profile
from vqcodec.image.inventory.parts import Density, Unit
from vqcodec.image.picture import Metadata, Picture
from vqcodec.image.pipeline import compress, encode
from vqcodec.models.clip import ClipVqVae
from vqcodec.models.config import (
    AutoencoderConfig,
    LatentPriorConfig,
    PriorConfig,
    ProductConfig,
    TransformConfig,
)
from vqcodec.models.config_clip import ClipConfig, TemporalConfig
from vqcodec.models.model import PictureModel, SoundModel
from vqcodec.networks.autoencoder import Decoder, Encoder
from vqcodec.networks.clip_prior import ClipPrior
from vqcodec.networks.latent_prior import LatentPrior
from vqcodec.networks.model_files import (
    ClipParts,
    PhotoParts,
    VqVaeParts,
    write_clip,
    write_photo,
    write_vqvae,
)
from vqcodec.networks.pixelcnn import PixelCNN
from vqcodec.networks.product import Block, Codebooks
from vqcodec.networks.transform import Analysis, Gains, Synthesis
from vqcodec.registry.load import parse_model

CORPUS = Path(__file__).parent / "corpus"
ALL_METADATA = Metadata(
    cicp=b"\x01\x0d\0\x01",
    density=Density(Unit.INCH, (300, 1), (300, 1)),
    resources=b"8BIM\x04\x04\0\0\0\0\0\0",
    png_chunks=(("tEXt", b"Title\0text"), ("iTXt", b"Author\0\0\0\0\0text")),
    modified=0,
    xmp=b"<x:xmpmeta/>",
    xmp_extension=b"<x:xmpmeta/>",
)


def vqvae_bytes() -> bytes:
    """Architecture `vqvae-pixelcnn-1`."""
    torch.manual_seed(1)
    config = AutoencoderConfig(hidden=2, residual_blocks=1, code_dim=2, codebook_size=5)
    parts = VqVaeParts(
        config=config,
        encoder=Encoder(config),
        codebook=torch.randn(5, 2),
        decoder=Decoder(config),
        prior=PixelCNN(PriorConfig(codebook_size=5, embedding=1, channels=2, layers=1)),
    )
    return write_vqvae(parts, name="tiny", licence="CC0-1.0", description="random")


def clip_bytes() -> bytes:
    """Architecture `vqvae-clip-1`."""
    torch.manual_seed(3)
    config = AutoencoderConfig(hidden=2, residual_blocks=1, code_dim=2, codebook_size=5)
    prior = PriorConfig(codebook_size=5, embedding=1, channels=2, layers=1)
    temporal = TemporalConfig(embedding=2, channels=3, layers=1)
    parts = ClipParts(
        autoencoder=config,
        encoder=Encoder(config),
        codebook=torch.randn(5, 2),
        decoder=Decoder(config),
        prior=prior,
        temporal=temporal,
        clip=ClipConfig(actions=("left", "right")),
        network=ClipPrior(prior, temporal, 2),
    )
    return write_clip(parts, name="tiny-clip", licence="CC0-1.0", description="random")


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
    parts = PhotoParts(
        config=config,
        product=ProductConfig(codebook_size=6),
        analysis=Analysis(config),
        synthesis=Synthesis(config),
        gains=Gains(config),
        prior=prior,
        codebooks=books,
    )
    return write_photo(parts, name="tiny-photo", licence="CC0-1.0", description="random")


def _random(groups: int, size: int, channels: int) -> tuple[torch.Tensor, ...]:
    vectors = torch.randn(groups, size, channels)
    bias = -torch.rand(groups, size)
    return vectors, bias, torch.asinh(vectors), -bias


def picture(width: int, height: int) -> Image.Image:
    """A picture with edges."""
    y, x = np.mgrid[0:height, 0:width]
    planes = [(x * 7 + y * 3) % 256, (x * y) % 256, 255 * (x > y)]
    return Image.fromarray(np.stack(planes, axis=-1).astype(np.uint8))


def with_everything() -> Picture:
    """A picture with alpha and the oldest kinds of metadata."""
    exif = Image.Exif()
    exif[0x010E] = "text"
    metadata = Metadata(
        icc=ImageCms.ImageCmsProfile(ImageCms.createProfile("XYZ")).tobytes(),  # a small one
        exif=exif.tobytes().removeprefix(b"Exif\0\0"),
        xmp=b"<x:xmpmeta/>",
    )
    alpha = np.asarray(picture(9, 6).convert("L"))
    return Picture(pixels=np.asarray(picture(9, 6)), alpha=alpha, metadata=metadata)


def files(model: PictureModel) -> dict[str, bytes]:
    """Name small files of a model."""
    side = 18 * model.stride
    seen = Picture(pixels=np.asarray(picture(9, 6)), metadata=ALL_METADATA)
    found = {
        "metadata": encode(seen, model, Wish(quality=1 if model.qualities else None)).data,
        "one": compress(picture(1, 1), model=model),
        "fixed": compress(picture(37, 21), model=model, prior=False),
        "prior": compress(picture(37, 21), model=model),
        "everything": encode(with_everything(), model, Wish()).data,
        "lowest": compress(picture(20, 20), model=model, quality=1 if model.qualities else None),
    }
    if model.qualities:  # once is enough: literal files have no model
        found["literal"] = compress(picture(20, 9), lossless=True)
    plain = parse(found["one"])
    note = Chunk(type=b"note", data=b"hi")
    found["unknown-chunk"] = serialise(replace(plain, chunks=(note,)))
    if model.stride == 4:  # several tiles, within the fuzzed decoder's limit
        wide = parse(compress(picture(side, 8), model=model, prior=False))
        header = replace(wide.header, tile_log2=4)
        tiles = (bytes(-(-2 * 9 * 3 // 8)),) * 2
        found["tiles"] = serialise(replace(wide, header=header, tiles=tiles))
        pixels = np.asarray(picture(side, 8))
        prior = replace(header, mode=Mode.PRIOR)
        coded, _ = encode_grid(model, prior, measure_pixels(model, pixels))
        kinds = (b"\1" + encode_literal(prior, pixels, [0])[0], b"\0" + coded[1])
        mixed = replace(header, mode=Mode.MIXED)
        found["mixed"] = serialise(replace(wide, header=mixed, tiles=kinds))
    return found


def pictures() -> dict[str, bytes]:
    """Name small picture files with what their formats have besides pixels."""
    image, exif = picture(9, 6), Image.Exif()
    exif[0x010E], exif[0x0112] = "text", 6
    exif.get_ifd(0x8769)[0x9003] = "2026:11:26 05:04:03"
    block = exif.tobytes()
    texts = PngImagePlugin.PngInfo()
    texts.add_text("Title", "text", zip=True)
    texts.add_itxt("Author", "text", "en", "Author")
    everything = {"exif": block, "icc_profile": rgb_profile(SRGB_CHROMATICITIES, (2.2,))}
    packet = {"xmp": b'<x:xmpmeta tiff:Orientation="6"/>'}
    options: dict[str, dict[str, Any]] = {
        "jpeg": {**everything, **packet, "comment": b"text", "dpi": (300, 300)},
        "png": {**everything, "pnginfo": texts, "dpi": (300, 300)},
        "tiff": {**everything, "dpi": (300, 300)},
        "webp": {**everything, **packet},
        "avif": {**everything, **packet},
        "gif": {"comment": b"text"},
        "bmp": {"dpi": (300, 300)},
        "jpeg2000": {},
        "ppm": {},
        "ico": {"sizes": [(8, 6), (4, 3)]},
    }
    found = {}
    for name, more in options.items():
        buffer = io.BytesIO()
        image.save(buffer, name, **more)
        found[name] = buffer.getvalue()
    found["jpeg-more"] = found["jpeg"] + b"video"
    return found


def sound_files(model: SoundModel) -> dict[str, bytes]:
    """Name small files of sound."""
    wave = 0.1 * np.sin(np.arange(6000) / 9.0) * np.sin(np.arange(6000) / 900.0)
    pair = np.stack([wave, wave[::-1], wave])
    first = 1 if model.qualities else None
    found = {
        "one": compress_audio(wave[:1], 16000, model=model),
        "fixed": compress_audio(wave, 16000, model=model, quality=first, prior=False),
        "prior": compress_audio(wave, 16000, model=model, quality=first),
        "everything": compress_audio(
            pair[:, :3000], 16000, model=model, quality=first, tags={"TITLE": "text", "DATE": ""}
        ),
        "silence": compress_audio(0 * wave, 16000, model=model),
    }
    if model.qualities:
        found["lowest"] = compress_audio(wave, 16000, model=model, quality=2)
        found["between"] = compress_audio(wave, 16000, model=model, quality=1.6)
    if model.speakers:
        last = model.speakers[-1]
        found["speaker"] = compress_audio(pair[:, :999], 16000, model=model, speaker=last)
    whole = parse(found["fixed"])
    header = replace(whole.header, tile_log2=4)
    tiles = tuple(map(bytes, _fixed_sizes(header, model)))
    found["tiles"] = serialise(replace(whole, header=header, tiles=tiles))
    return found


def _fixed_sizes(header: Header, model: SoundModel) -> list[int]:
    """Return how many bytes the tiles of a file at fixed length have."""
    bits = (model.codebook_size - 1).bit_length() * model.groups(header.quality)
    return [-(-area_of(tile) * bits // 8) for tile in header.tiles()]


def write_sound(name: str) -> None:
    """Write a model of sound among the vectors', and its files."""
    data = (CORPUS.parent.parent / f"format/vectors/models/{name}.safetensors").read_bytes()
    (CORPUS / "model" / f"{name}.safetensors").write_bytes(data)
    model = cast(SoundModel, parse_model(data, sha256=hashlib.sha256(data).hexdigest()))
    for case, file in sound_files(model).items():
        (CORPUS / "container" / f"{name}-{case}.vqc").write_bytes(file)


def write_two_stage() -> None:
    """Write the vectors' model of two stages, and its files."""
    data = (CORPUS.parent.parent / "format/vectors/models/two-stage.safetensors").read_bytes()
    (CORPUS / "model" / "two-stage.safetensors").write_bytes(data)
    model = cast(PictureModel, parse_model(data, sha256=hashlib.sha256(data).hexdigest()))
    for case, prior in (("prior", True), ("fixed", False)):
        file = compress(picture(32, 21), model=model, prior=prior)
        (CORPUS / "container" / f"two-stage-{case}.vqc").write_bytes(file)


def write_clips() -> None:
    """Write the vectors' model of clips, and its files."""
    data = (CORPUS.parent.parent / "format/vectors/models/clips.safetensors").read_bytes()
    (CORPUS / "model" / "clips.safetensors").write_bytes(data)
    model = cast(ClipVqVae, parse_model(data, sha256=hashlib.sha256(data).hexdigest()))
    frames = np.stack([np.roll(np.asarray(picture(9, 12)), number, 1) for number in range(5)])
    actions = ["", *model.clip.actions, ""]
    found = {
        "prior": compress_clip(frames, model=model),
        "fixed": compress_clip(frames, model=model, prior=False),
        "frame": compress_clip(frames[:1, :1, :1], model=model),
        "everything": compress_clip(
            frames, model=model, durations=[1, 2, 30, 4, 5], loops=3, actions=actions
        ),
        "groups": compress_clip(np.repeat(frames[:, :4, :4], 8, axis=0), model=model),
    }
    for case, file in found.items():
        (CORPUS / "container" / f"clip-{case}.vqc").write_bytes(file)


def main() -> None:
    """Write the corpus."""
    (CORPUS / "inventory").mkdir(parents=True, exist_ok=True)
    for name, data in pictures().items():
        (CORPUS / "inventory" / name).write_bytes(data)
    for folder in ("container", "model"):
        (CORPUS / folder).mkdir(parents=True, exist_ok=True)
    # Networks are torch's here, or the vectors', fixed numbers.
    write_two_stage()
    write_clips()
    (CORPUS / "model" / "clip.safetensors").write_bytes(clip_bytes())
    for name in ("voice", "speakers"):
        write_sound(name)
    for name, data in (("vqvae", vqvae_bytes()), ("photo", photo_bytes())):
        (CORPUS / "model" / f"{name}.safetensors").write_bytes(data)
        digest = hashlib.sha256(data).hexdigest()
        model = cast(PictureModel, parse_model(data, sha256=digest))
        for case, file in files(model).items():
            (CORPUS / "container" / f"{name}-{case}.vqc").write_bytes(file)


if __name__ == "__main__":
    main()
