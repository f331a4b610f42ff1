"""Pictures made smaller, as file managers show them."""

from __future__ import annotations

import numpy as np
from PIL import Image

from vqcodec.image.picture import Metadata, Picture
from vqcodec.image.writing import to_image


def shrunk(picture: Picture, side: int) -> Picture:
    """Return a picture that fits into a square of `side` pixels, the same if it already does.

    It keeps its proportions and, of its metadata, what its colours mean.
    """
    height, width = picture.pixels.shape[:2]
    if max(height, width) <= side:
        return picture
    image = to_image(picture)
    # Pillow weighs colours by their alpha here.
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    metadata = Metadata(icc=picture.metadata.icc, cicp=picture.metadata.cicp)
    alpha = None if picture.alpha is None else np.asarray(image.getchannel("A"))
    return Picture(pixels=np.asarray(image.convert("RGB")), alpha=alpha, metadata=metadata)
