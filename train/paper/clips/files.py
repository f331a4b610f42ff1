"""Whole files of held-out walks: what they take, and what animated WebP takes at equal PSNR."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

import vqcodec
from vqcodec.models.clip import ClipVqVae

Pixels = NDArray[np.uint8]
SHOWN = 29
"""Milliseconds that a frame of a WebP is shown."""


@dataclass(frozen=True)
class Footage:
    """The frames of a held-out walk as they are, (T, H, W, 3)."""

    pixels: Pixels
    actions: tuple[int, ...]


def psnr(footage: Sequence[Footage], decoded: Sequence[Pixels]) -> float:
    """Return the PSNR of all walks together, dB."""
    errors = [
        np.square(own.pixels.astype(np.float64) - other).mean()
        for own, other in zip(footage, decoded, strict=True)
    ]
    return 10.0 * math.log10(255.0**2 / max(float(np.mean(errors)), 1e-9))


def files(model: ClipVqVae, footage: Sequence[Footage]) -> dict[str, dict[str, float]]:
    """Return bits per frame and PSNR of whole files: .vqc ones with and without actions, and
    animated WebP of the lowest quality that is no worse.
    """
    names = ("", *model.clip.actions)
    made: dict[str, list[bytes]] = {"vqc": [], "vqc with actions": []}
    for own in footage:
        actions = [names[action] for action in own.actions]
        made["vqc"].append(vqcodec.compress_clip(own.pixels, model=model))
        file = vqcodec.compress_clip(own.pixels, model=model, actions=actions)
        made["vqc with actions"].append(file)
    decoded = [vqcodec.decompress_clip(data, model=model).frames for data in made["vqc"]]
    reached = psnr(footage, decoded)
    frames = sum(len(own.pixels) for own in footage)
    figures = {
        name: {"bits per frame": 8 * sum(map(len, all_)) / frames, "PSNR": reached}
        for name, all_ in made.items()
    }
    for quality in range(101):
        webp = [animated(own.pixels, quality) for own in footage]
        found = psnr(footage, [frames_of(data) for data in webp])
        if found >= reached:
            break
    figures[f"WebP, quality {quality}"] = {
        "bits per frame": 8 * sum(map(len, webp)) / frames,
        "PSNR": found,
    }
    return figures


def animated(pixels: Pixels, quality: int) -> bytes:
    """Return frames as an animated WebP, lossy, with the smallest of what its encoder tries."""
    stream = io.BytesIO()
    # Equal frames would be joined, and then there would be fewer.
    first, *others = map(Image.fromarray, pixels)
    first.save(
        stream,
        "WEBP",
        save_all=True,
        append_images=others,
        duration=SHOWN,
        quality=quality,
        method=6,
        minimize_size=True,
        allow_mixed=False,
    )
    return stream.getvalue()


def frames_of(data: bytes) -> Pixels:
    """Return the frames of an animated WebP, each as often as it is shown for SHOWN."""
    frames = []
    with Image.open(io.BytesIO(data)) as image:
        for number in range(getattr(image, "n_frames", 1)):
            image.seek(number)
            image.load()
            shown = round(image.info.get("duration", SHOWN) / SHOWN)
            frames += [np.asarray(image.convert("RGB"))] * max(1, shown)
    return np.stack(frames)
