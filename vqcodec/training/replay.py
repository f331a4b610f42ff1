"""Pictures that a model draws by itself, in place of those that it was trained on.

What goes on training on pictures of one kind alone forgets the others; what sees such samples
beside them forgets less (generative replay, Shin et al., arXiv 1705.08690).
"""

from __future__ import annotations

import io
from pathlib import Path

from vqcodec.image.sampling import sample
from vqcodec.models.model import PictureModel
from vqcodec.storage import write_whole
from vqcodec.training.distributed import rank, wait

SIDE = 256
"""Of a sample, pixels."""


def draw_samples(
    model: PictureModel, folder: Path, count: int, *, seed: int, resume: bool
) -> list[Path]:
    """Draw so many pictures of SIDE x SIDE pixels as PNG files, at qualities from the middle one
    to the highest in turn, and return their paths; `resume` takes those that are there.

    Of several processes all must call it alike, and process 0 draws.
    """
    qualities = range(model.qualities // 2 + 1, model.qualities + 1)
    paths = [folder / f"{number:03}.png" for number in range(count)]
    if rank() == 0 and not (resume and all(path.exists() for path in paths)):
        folder.mkdir(parents=True, exist_ok=True)
        for first, quality in enumerate(qualities):
            mine = paths[first :: len(qualities)]
            images = sample(
                model, count=len(mine), size=(SIDE, SIDE), quality=quality, seed=seed + first
            )
            for path, image in zip(mine, images, strict=True):
                buffer = io.BytesIO()
                image.save(buffer, "PNG")
                write_whole(path, buffer.getvalue(), overwrite=True)
    wait()
    return paths
