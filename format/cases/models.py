"""The vectors' models: small networks with fixed weights, and what is wrong with wrong ones."""

import copy
import hashlib
import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import reference
import reference_clip

from cases.build import Array, numbers

DTYPES = {"I8": "<i1", "U8": "<u1", "I16": "<i2", "I32": "<i4", "F16": "<f2", "F32": "<f4"}
HALF = "F16"


@dataclass
class Model:
    """A model file in the making: `tensors` maps names to dtypes and values."""

    name: str
    config: dict[str, Any]
    tensors: dict[str, tuple[str, Any]]
    wrap: Callable[[bytes], bytes] = bytes
    """What is done to the finished file."""

    @cached_property
    def data(self) -> bytes:
        """The bytes of the file."""
        header: dict[str, Any] = {"__metadata__": {"vqcodec": json.dumps(self.config)}}
        body = b""
        for name, (dtype, values) in self.tensors.items():
            stored = np.asarray(values).astype(DTYPES[dtype])
            start, body = len(body), body + stored.tobytes()
            offsets = [start, len(body)]
            header[name] = {"dtype": dtype, "shape": stored.shape, "data_offsets": offsets}
        text = json.dumps(header, separators=(",", ":")).encode()
        text = text.ljust(-(-len(text) // 8) * 8)
        return self.wrap(len(text).to_bytes(8, "little") + text + body)

    @property
    def prefix(self) -> bytes:
        """What the header of a .vqc file says of it."""
        return hashlib.sha256(self.data).digest()[:8]

    @cached_property
    def integers(self) -> Any:
        """What the reference decoder makes of it."""
        return reference_clip.load(self.data)

    def changed(self, name: str, change: Callable[["Model"], object]) -> "Model":
        """A copy under another name after `change`."""
        made = Model(name, copy.deepcopy(self.config), dict(self.tensors), self.wrap)
        change(made)
        return made

    def set(self, name: str, at: Any, value: Any) -> None:
        """Change elements of a tensor."""
        dtype, values = self.tensors[name]
        values = np.array(values)
        values[at] = value
        self.tensors[name] = (dtype, values)

    def linear(
        self, name: str, outputs: int, inputs: int, weight: int, bias: int, shift: tuple[int, int]
    ) -> None:
        """Add an integer layer; weights and biases are up to so large, shifts in a range."""
        seed = f"{self.name}/{name}"
        weight = min(weight, 2**23 // (127 * max(1, inputs)))
        weights = numbers(f"{seed}.weight", (outputs, inputs), -weight, weight)
        self.tensors[f"{name}.weight"] = ("I8", weights)
        self.tensors[f"{name}.bias"] = ("I32", numbers(f"{seed}.bias", (outputs,), -bias, bias))
        self.tensors[f"{name}.shift"] = ("U8", numbers(f"{seed}.shift", (outputs,), *shift))

    def trunk(self, reads: int, channels: int, taps: list[int]) -> None:
        """Add the layers of a prior's trunk, each of which reads so many positions."""
        first, *others = taps
        self.linear("prior.first", channels, first * reads, 40, 9000, (3, 5))
        for k, count in enumerate(others):
            self.linear(f"prior.layers.{k}", channels, count * channels, 40, 4000, (4, 7))

    def latents(
        self,
        latents: int,
        codebooks: list["Blocks"],
        slices: tuple[int, ...],
        channels: int,
        hidden: int,
    ) -> None:
        """Add what follows the trunk of a latent prior, and codebooks of so many qualities."""
        for s, width in enumerate(slices):
            before = channels + sum(slices[:s])
            self.linear(f"prior.hidden.{s}", hidden, before, 60, 9000, (3, 5))
            self.linear(f"prior.output.{s}", 2 * width, hidden, 60, 4000, (4, 6))
        self.numbers("prior.quality", "I16", (len(codebooks), channels), 500)
        falling = (2**21 - 1) // np.arange(1, 1025)
        self.tensors["prior.precisions"] = ("I32", np.append(falling[:-1], 0))
        for q, blocks in enumerate(codebooks, start=1):
            self.numbers(f"codebooks.{q}.rest", "I16", (latents,), 40)
            for s, several in blocks.items():
                for b, (places, k) in enumerate(several):
                    self.block(f"codebooks.{q}.{s}.{b}", places, k)

    def convolution(self, name: str, *shape: int, outputs: int | None = None) -> None:
        """Add a float16 layer, its weights about 1 / sqrt(inputs)."""
        reach = max(1, int(440 / math.sqrt(max(1, np.prod(shape[1:])))))
        seed = f"{self.name}/{name}"
        weights = numbers(f"{seed}.weight", shape, -reach, reach) / 256
        biases = numbers(f"{seed}.bias", (outputs or shape[0],), -32, 32) / 256
        self.tensors[f"{name}.weight"] = (HALF, weights)
        self.tensors[f"{name}.bias"] = (HALF, biases)

    def convnext(self, name: str, width: int, hidden: int) -> None:
        """Add a ConvNeXt block."""
        self.convolution(f"{name}.depthwise", width, 1, 1, 7)
        self.convolution(f"{name}.first", hidden, width, 1, 1)
        self.convolution(f"{name}.second", width, hidden, 1, 1)

    def block(self, name: str, places: list[list[int]], k: int) -> None:
        """Add a block of codebooks whose groups have these channels."""
        self.tensors[f"{name}.channels"] = ("I16", np.array(places))
        n, d = np.shape(places)
        self.numbers(f"{name}.vectors", "I16", (n, k, d), 160)
        self.numbers(f"{name}.bias", "I16", (n, k), 60)
        self.numbers(f"{name}.embedding", "I8", (n, k, d), 127)

    def numbers(self, name: str, dtype: str, shape: tuple[int, ...], reach: int) -> None:
        """Add a tensor of numbers -reach..reach, of 1/256 if floating."""
        values: Any = numbers(f"{self.name}/{name}", shape, -reach, reach)
        self.tensors[name] = (dtype, values / 256 if dtype[0] == "F" else values)


def described(architecture: str, name: str, **tables: dict[str, Any]) -> dict[str, Any]:
    about = {"name": name, "licence": "CC0-1.0", "description": "fixed numbers, for tests"}
    return {"architecture": architecture, **about, **tables}


def vqvae(
    name: str,
    *,
    size: int = 24,
    embedding: int = 5,
    channels: int = 8,
    layers: int = 2,
    hidden: int = 8,
    blocks: int = 1,
    dim: int = 4,
) -> Model:
    """A model of architecture vqvae-pixelcnn-1."""
    autoencoder = {
        "hidden": hidden,
        "residual_blocks": blocks,
        "code_dim": dim,
        "codebook_size": size,
    }
    prior = {"codebook_size": size, "embedding": embedding, "channels": channels, "layers": layers}
    config = described("vqvae-pixelcnn-1", name, autoencoder=autoencoder, prior=prior)
    model = Model(name, config, {})
    model.numbers("prior.embedding", "I8", (size, embedding), 127)
    model.trunk(embedding, channels, [11] + [5] * layers)
    model.linear("prior.hidden", channels, channels, 60, 9000, (3, 5))
    model.linear("prior.output", size, channels, 60, 4000, (4, 6))
    model.numbers("codebook", "F32", (size, dim), 512)
    model.convolution("encoder.down1", hidden, 3, 4, 4)
    model.convolution("encoder.down2", hidden, hidden, 4, 4)
    model.convolution("encoder.project", dim, hidden, 1, 1)
    model.convolution("decoder.project", hidden, dim, 3, 3)
    for part in ("encoder", "decoder"):
        for k in range(blocks):
            model.convolution(f"{part}.blocks.{k}.spatial", hidden, hidden, 3, 3)
            model.convolution(f"{part}.blocks.{k}.pointwise", hidden, hidden, 1, 1)
    model.convolution("decoder.up1", hidden, hidden, 4, 4)
    model.convolution("decoder.up2", hidden, 3, 4, 4, outputs=3)
    return model


def two_stage(
    name: str,
    *,
    side: int = 8,
    latents: int = 3,
    size: int = 12,
    condition: int = 6,
    first: int = 24,
    layers: int = 1,
) -> Model:
    """A model of architecture vqvae-two-stage-1 whose first stage has `first` codewords."""
    dim, hidden = 2, 4
    model = vqvae(name, size=first, layers=layers, hidden=hidden)
    model.config["architecture"] = "vqvae-two-stage-1"
    model.config["second"] = {
        "side": side,
        "latents": latents,
        "codebook_size": size,
        "code_dim": dim,
        "hidden": hidden,
        "residual_blocks": 0,
        "condition": condition,
    }
    depth = model.config["autoencoder"]["code_dim"]
    model.convolution("second.encoder.down1", hidden, depth, 4, 4)
    model.convolution("second.encoder.down2", hidden, hidden, 4, 4)
    window = max(1, side // 4)
    model.convolution("second.encoder.project", latents * dim, hidden, window, window)
    model.numbers("second.codebooks", "F32", (latents, size, dim), 512)
    model.numbers("condition.latents", "I16", (latents, size, condition), 900)
    model.numbers("condition.places", "I16", (side**2, condition), 900)
    model.linear("condition.hidden", condition, condition, 60, 9000, (3, 5))
    model.linear("condition.output", model.config["prior"]["channels"], condition, 60, 9000, (2, 3))
    return model


def clip(
    name: str,
    *,
    actions: list[Any] | None = None,
    rate: Any = 12.5,
    embedding: int = 4,
    channels: int = 6,
    layers: int = 1,
) -> Model:
    """A model of architecture vqvae-clip-1."""
    model = vqvae(name, size=20, layers=1, hidden=4)
    names = ["left", "h\u00f8jre", "so 3"] if actions is None else actions
    model.config["architecture"] = "vqvae-clip-1"
    model.config["temporal"] = {"embedding": embedding, "channels": channels, "layers": layers}
    model.config["clip"] = {"actions": names, "frames_per_second": rate}
    model.numbers("temporal.embedding", "I8", (20, embedding), 127)
    model.numbers("temporal.actions", "I16", (len(names) + 1, channels), 900)
    model.linear("temporal.first", channels, 25 * embedding, 40, 9000, (3, 5))
    for k in range(layers):
        model.linear(f"temporal.layers.{k}", channels, 9 * channels, 40, 4000, (4, 7))
    outputs = model.config["prior"]["channels"]
    model.linear("temporal.output", outputs, channels, 60, 9000, (2, 3))
    return model


Blocks = dict[int, list[tuple[list[list[int]], int]]]
"""Slice -> channels (n, d) and codewords k of each of its blocks."""


def photo(
    name: str,
    codebooks: list[Blocks],
    *,
    size: int,
    latents: int,
    details: int = 1,
    slices: tuple[int, ...] | None = None,
    channels: int = 8,
    layers: int = 1,
    hidden: int = 8,
    widths: tuple[int, int, int] = (1, 1, 1),
    depths: tuple[int, int, int] = (0, 0, 0),
) -> Model:
    """A model of architecture photo-1 with codebooks of so many qualities; one slice if none
    are given.
    """
    slices = slices or (latents,)
    qualities = len(codebooks)
    transform = {
        "widths": list(widths),
        "depths": list(depths),
        "latents": latents,
        "details": details,
        "qualities": qualities,
        "gain_octaves": 3.0,
    }
    prior = {"channels": channels, "layers": layers, "slices": list(slices), "hidden": hidden}
    product = {"codebook_size": size, "distance_bits": 24.0}
    config = described("photo-1", name, transform=transform, latent_prior=prior, product=product)
    model = Model(name, config, {})
    model.trunk(latents - details, channels, [11] + [5] * layers)
    model.latents(latents, codebooks, slices, channels, hidden)
    gains = numbers(f"{name}/gains", (qualities, latents), 128, 512) / 256
    model.tensors["gains"] = ("F32", gains)
    transforms(model, latents, details, widths, depths)
    return model


def wavenet(
    name: str,
    *,
    size: int = 24,
    embedding: int = 5,
    channels: int = 8,
    first_kernel_size: int = 3,
    kernel_size: int = 2,
    dilations: tuple[int, ...] = (1, 2, 4),
) -> Model:
    """The prior of a model of architecture vqvae-wavenet-1, and the tables of all of it."""
    autoencoder = {
        "strides": [4, 8],
        "widths": [2, 3],
        "encoder_depth": 1,
        "encoder_hidden": 1,
        "code_dim": 2,
        "codebook_size": size,
        "speaker_dim": 1,
        "spectrum_hop": 32,
        "decoder_width": 3,
        "decoder_hidden": 1,
        "decoder_depth": 1,
    }
    prior = {
        "codebook_size": size,
        "embedding": embedding,
        "channels": channels,
        "first_kernel_size": first_kernel_size,
        "kernel_size": kernel_size,
        "dilations": list(dilations),
    }
    config = described("vqvae-wavenet-1", name, autoencoder=autoencoder, prior=prior)
    model = Model(name, config | {"speakers": ["anna", "b\u00e9la", "so 3"]}, {})
    model.numbers("prior.embedding", "I8", (size, embedding), 127)
    model.trunk(embedding, channels, [first_kernel_size] + [kernel_size] * len(dilations))
    model.linear("prior.hidden", channels, channels, 60, 9000, (3, 5))
    model.linear("prior.output", size, channels, 60, 4000, (4, 6))
    return model


def speakers(name: str, names: list[str] | None = None, **tables: Any) -> Model:
    """A whole model of architecture vqvae-wavenet-1; `tables` change that of its autoencoder."""
    model = wavenet(name)
    table = model.config["autoencoder"]
    table |= tables
    if names is not None:
        model.config["speakers"] = names
    dim, hop, hidden = table["code_dim"], table["spectrum_hop"], table["decoder_hidden"]
    model.numbers("codebook", "F32", (table["codebook_size"], dim), 512)
    count = len(model.config["speakers"])
    model.numbers("speakers", "F32", (count, table["speaker_dim"]), 512)
    inputs = 1
    for k, (stride, width) in enumerate(zip(table["strides"], table["widths"], strict=True)):
        model.convolution(f"encoder.down.{k}", width, inputs, 1, 2 * stride - stride % 2)
        inputs = width
    for k in range(table["encoder_depth"]):
        model.convnext(f"encoder.blocks.{k}", inputs, table["encoder_hidden"])
    model.convolution("encoder.project", dim, inputs, 1, 1)
    width, depth = table["decoder_width"], table["decoder_depth"]
    frames = math.prod(table["strides"]) // hop
    read = dim // frames + table["speaker_dim"]
    model.convolution("decoder.layers.0", width, read, 1, 1)
    for k in range(depth):
        model.convnext(f"decoder.layers.{2 + k}", width, hidden)
    model.convolution(f"decoder.layers.{depth + 3}", 4 * hop + 2, width, 1, 1)
    return model


def speech(
    name: str,
    codebooks: list[Blocks],
    *,
    size: int,
    slices: tuple[int, ...],
    channels: int = 8,
    hidden: int = 8,
    first_kernel_size: int = 3,
    kernel_size: int = 2,
    dilations: tuple[int, ...] = (1, 2, 4),
) -> Model:
    """Prior and codebooks of a model of architecture speech-1."""
    prior = {
        "channels": channels,
        "first_kernel_size": first_kernel_size,
        "kernel_size": kernel_size,
        "dilations": list(dilations),
        "slices": list(slices),
        "hidden": hidden,
    }
    product = {"codebook_size": size, "distance_bits": 24.0}
    model = Model(name, described("speech-1", name, latent_prior=prior, product=product), {})
    taps = [first_kernel_size] + [kernel_size] * len(dilations)
    model.trunk(sum(slices), channels, taps)
    model.latents(sum(slices), codebooks, slices, channels, hidden)
    return model


def voice(name: str, codebooks: list[Blocks], **more: Any) -> Model:
    """A whole model of architecture speech-1, the networks of one channel."""
    model = speech(name, codebooks, **more)
    latents, qualities = sum(more["slices"]), len(codebooks)
    model.config["transform"] = {
        "width": 1,
        "hidden": 1,
        "analysis_depth": 1,
        "synthesis_depth": 1,
        "latents": latents,
        "qualities": qualities,
        "gain_octaves": 3.0,
    }
    gains = numbers(f"{name}/gains", (qualities, latents), 128, 512) / 256
    model.tensors["gains"] = ("F32", gains)
    for network, inputs, outputs in (("analysis", 1282, latents), ("synthesis", latents, 1282)):
        model.convolution(f"{network}.layers.0", 1, inputs, 1, 1)
        model.convnext(f"{network}.layers.2", 1, 1)
        model.convolution(f"{network}.layers.4", outputs, 1, 1, 1)
    return model


def transforms(
    model: Model,
    latents: int,
    details: int,
    widths: tuple[int, int, int],
    depths: tuple[int, int, int],
) -> None:
    """Add the analysis and the synthesis transform."""
    fine, middle, coarse = widths
    few, some, many = depths

    def network(name: str, layers: list[tuple[int, ...] | int | None]) -> None:
        """Convolutions by shape, blocks by channels, None where a layer has no tensors."""
        for k, layer in enumerate(layers):
            if isinstance(layer, tuple):
                model.convolution(f"{name}.layers.{k}", *layer)
            elif layer is not None:
                for part in ("first", "second"):
                    model.convolution(f"{name}.layers.{k}.{part}", layer, layer, 3, 3)

    network(
        "analysis",
        [
            (fine, 3, 8, 8),
            *[fine] * few,
            (middle, fine, 4, 4),
            *[middle] * some,
            (coarse, middle, 4, 4),
            *[coarse] * many,
            (latents - details, coarse, 1, 1),
        ],
    )
    model.convolution("analysis.details", details, 3, 16, 16)
    network(
        "synthesis",
        [
            (coarse, latents - details, 3, 3),
            *[coarse] * many,
            (4 * middle, coarse, 1, 1),
            None,
            *[middle] * some,
            (4 * fine, middle, 1, 1),
            None,
            *[fine] * few,
            (48, fine, 3, 3),
            None,
        ],
    )
    model.numbers("synthesis.details.0.weight", HALF, (768, details, 1, 1), 32)


def random_indices(model: Model, name: str, rows: int, columns: int, quality: int = 0) -> Array:
    """Indices that all have codewords: rows x columns x groups."""
    sizes = reference.group_sizes(model.integers, quality)
    planes = [
        numbers(f"{name}/{group}", (rows, columns), 0, size - 1) for group, size in enumerate(sizes)
    ]
    return np.stack(planes, axis=2) if planes else np.zeros((rows, columns, 0), np.int64)


PAPER = vqvae("paper")
"""24 codewords, so an index of 5 bits may have none."""
CLIPS = clip("clips")
TWO_STAGE = two_stage("two-stage")
"""12 codewords of each latent, so an index of 4 bits may have none."""
PHOTO = photo(
    "photo",
    [
        {
            0: [([[5], [0]], 7), ([[3, 1]], 20), ([[2, 7, 4, 6]], 16)],
            1: [([[*range(8)]], 20), ([[8]], 12)],
            2: [([[0]], 12), ([[2]], 3)],
        },
        {1: [([[7]], 5), ([[0, 1], [8, 3], [4, 5]], 12)], 2: [([[2, 0]], 20)]},
        {},
    ],
    size=20,
    latents=20,
    details=5,
    slices=(8, 9, 3),
    widths=(4, 4, 6),
    depths=(1, 1, 1),
)
"""Blocks of every size, two of one size with other codewords, a slice without groups; quality 3
has no groups at all. Two details are in the second slice.
"""
WAVENET = wavenet("wavenet")
SPEECH = speech(
    "speech",
    [
        {0: [([[5], [0]], 7), ([[3, 1]], 20)], 2: [([[0]], 12), ([[2]], 3)]},
        {1: [([[7]], 5), ([[0, 1], [8, 3], [4, 5]], 12)], 2: [([[2, 0]], 20)]},
        {},
    ],
    size=20,
    slices=(8, 9, 3),
    kernel_size=3,
    dilations=(1, 3, 1, 9),
)
"""Qualities with blocks in other slices, the last without groups."""
VOICE = voice(
    "voice",
    [{0: [([[2], [0]], 7), ([[3, 1]], 20)], 1: [([[1]], 12)]}, {1: [([[0, 1]], 5)]}, {}],
    size=20,
    slices=(4, 3),
    dilations=(1, 2, 4),
)
"""A whole model, of which the last quality has no groups."""
SPEAKERS = speakers("speakers")
"""A whole model whose decoder knows three speakers."""
TINY = vqvae("tiny", size=3, embedding=1, channels=2, layers=1, hidden=1, blocks=1, dim=1)
TINY_PHOTO = photo(
    "tiny-photo",
    [{0: [([[3]], 3), ([[1, 0]], 4)]}],
    size=4,
    latents=4,
    channels=2,
    layers=0,
    hidden=2,
)
