"""Write the tests' models, whose weights come from torch's random numbers, anew:

    python tests/models/renew.py

Tests do not do it, so that they need no torch and the weights never change by themselves.
"""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from random_networks import random_photo, random_photo2, random_vqvae  # noqa: E402

from vqcodec.networks.model_files import write_photo, write_photo2, write_vqvae  # noqa: E402

TEXTS = {"licence": "CC0-1.0", "description": "fixed random weights"}


def main() -> None:
    """Write them all."""
    (HERE / "random.safetensors").write_bytes(write_vqvae(random_vqvae(), name="random", **TEXTS))
    photo = write_photo(random_photo(), name="random-photo", **TEXTS)
    (HERE / "random-photo.safetensors").write_bytes(photo)
    photo2 = write_photo2(random_photo2(), name="random-photo-2", **TEXTS)
    (HERE / "random-photo-2.safetensors").write_bytes(photo2)


if __name__ == "__main__":
    main()
