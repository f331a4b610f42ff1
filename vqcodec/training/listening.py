"""What instruments say of decoded speech, where they are installed."""

from __future__ import annotations

from contextlib import suppress
from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray

from vqcodec.models.stft import RATE


def listen(original: NDArray[np.float32], decoded: NDArray[np.float32]) -> dict[str, float]:
    """Compare two sounds (n,) of 16 kHz: `pesq`, wide-band PESQ (ITU-T P.862.2), 1 to 4.64, and
    `stoi`, intelligibility 0 to 1 (Taal et al., 2011).

    What is not installed, or cannot judge these sounds, as PESQ cannot silence, is left out.
    """
    figures: dict[str, float] = {}
    if find_spec("pesq"):
        import pesq

        # PESQ divides by the loudest sample, also where all are 0.
        with suppress(pesq.PesqError, ValueError), np.errstate(invalid="ignore"):
            figures["pesq"] = float(pesq.pesq(RATE, original, decoded, "wb"))
    if find_spec("pystoi"):
        import pystoi

        figures["stoi"] = float(pystoi.stoi(original, decoded, RATE))
    return figures
