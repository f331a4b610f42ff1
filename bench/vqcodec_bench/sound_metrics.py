"""How good decoded speech is, as instruments hear it: each measure is that of a package.

What is not installed is left out, and `lacking` says so.
"""

from __future__ import annotations

import io
import logging
import warnings
from contextlib import redirect_stdout
from functools import lru_cache
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vqcodec_bench.medium import Metric

Samples = NDArray[np.float32]
"""(n,), mono at 16 kHz, full scale being -1..1."""
RATE = 16000
METRICS = {
    "pesq": Metric(label="PESQ", axis="PESQ, wide-band (MOS-LQO)", places=3),
    "stoi": Metric(label="STOI", axis="STOI", places=4),
    "visqol": Metric(label="ViSQOL", axis="ViSQOL, speech (MOS-LQO)", places=3),
    "distillmos": Metric(label="DistillMOS", axis="DistillMOS", places=3),
}
_MODULES = {
    "pesq": ("pesq",),
    "stoi": ("pystoi",),
    "visqol": ("visqol", "ai_edge_litert"),
    "distillmos": ("distillmos",),
}
PACKAGES = ("pesq", "pystoi", "visqol-python", "ai-edge-litert", "distillmos")
"""The packages of these modules."""
_TOO_LITTLE = 1e-5
"""What pystoi says of sound with less speech than it needs, beside a warning."""


@lru_cache
def lacking() -> dict[str, str]:
    """Return the metrics that cannot be had, and why. This process may load torch for that."""
    found = {}
    for metric, modules in _MODULES.items():
        try:
            for module in modules:
                import_module(module)
        except (ImportError, OSError) as error:  # OSError: of libraries that do not fit
            found[metric] = str(error)
    return found


def versions() -> tuple[str, ...]:
    """Name what decides the metrics' values: their packages, and which are left out."""
    found = []
    for package in PACKAGES:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            found.append(package)
    return (*found, *lacking())


def compare(original: Samples, decoded: Samples) -> dict[str, float | None]:
    """Compare two sounds of the same length by every metric.

    One that is not installed, or has nothing to say of these sounds, as of silence or of less
    than half a second, is None.
    """
    figures: dict[str, float | None] = dict.fromkeys(METRICS)
    measures = {"pesq": _pesq, "stoi": _stoi, "visqol": _visqol, "distillmos": _distillmos}
    for name in METRICS.keys() - lacking():
        figures[name] = measures[name](original, decoded)
    return figures


def _pesq(original: Samples, decoded: Samples) -> float | None:
    """Wide-band PESQ (ITU-T P.862.2)."""
    import pesq

    if not original.any() and not decoded.any():
        return None  # it would divide by the loudest sample
    try:
        return float(pesq.pesq(RATE, original, decoded, "wb"))
    except (pesq.PesqError, ValueError):  # of silence, or of less than a quarter of a second
        return None


def _stoi(original: Samples, decoded: Samples) -> float | None:
    """STOI (Taal et al., IEEE Transactions on Audio, Speech, and Language Processing, 2011)."""
    import pystoi

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # None says it
        try:
            found = float(pystoi.stoi(original, decoded, RATE))
        except (ValueError, IndexError):  # of sounds shorter than a window
            return None
    return None if found <= _TOO_LITTLE else found


def _visqol(original: Samples, decoded: Samples) -> float | None:
    """ViSQOL v3's speech mode with its deep lattice (Chinen et al., QoMEX 2020)."""
    both = (sound.astype(np.float64) for sound in (original, decoded))
    try:
        found = float(_visqol_api().measure_from_arrays(*both, RATE).moslqo)
    except (ValueError, IndexError):  # of sounds too short for a patch
        return None
    return found if np.isfinite(found) else None


@lru_cache
def _visqol_api() -> Any:
    from visqol import VisqolApi

    logging.getLogger("visqol").setLevel(logging.ERROR)
    api = VisqolApi()
    api.create(mode="speech", use_lattice_model=True)
    return api


def _distillmos(original: Samples, decoded: Samples) -> float:
    """DistillMOS (Stahl and Gamper, ICASSP 2025), which hears what was decoded alone."""
    import torch

    with torch.inference_mode():
        return float(_distillmos_model()(torch.from_numpy(decoded.copy())[None]))


@lru_cache
def _distillmos_model() -> Any:
    from distillmos import ConvTransformerSQAModel

    with redirect_stdout(io.StringIO()):  # it prints where its weights are
        return ConvTransformerSQAModel().eval()
