"""How good decoded speech is, as instruments hear it: each measure is that of a package.

PESQ and STOI are those of training (`vqcodec.training.listening`). What is not installed is left
out, and `lacking` says so.
"""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Callable
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
    from vqcodec.training.listening import listen

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # None says it
        heard = listen(original, decoded)
    if heard.get("stoi", 1.0) <= _TOO_LITTLE:
        del heard["stoi"]
    figures: dict[str, float | None] = {**dict.fromkeys(METRICS), **heard}
    if "visqol" not in lacking():
        figures["visqol"] = _visqol()(original, decoded)
    if "distillmos" not in lacking():
        figures["distillmos"] = _distillmos()(decoded)
    return figures


@lru_cache
def _visqol() -> Callable[[Samples, Samples], float | None]:
    """ViSQOL v3's speech mode with its deep lattice (Chinen et al., QoMEX 2020)."""
    from visqol import VisqolApi

    logging.getLogger("visqol").setLevel(logging.ERROR)
    api = VisqolApi()
    api.create(mode="speech", use_lattice_model=True)

    def listen(original: Samples, decoded: Samples) -> float | None:
        both = (sound.astype(np.float64) for sound in (original, decoded))
        try:
            found = float(api.measure_from_arrays(*both, RATE).moslqo)
        except (ValueError, IndexError):  # of sounds too short for a patch
            return None
        return found if np.isfinite(found) else None

    return listen


@lru_cache
def _distillmos() -> Callable[[Samples], float]:
    """DistillMOS (Stahl and Gamper, ICASSP 2025), which hears what was decoded alone."""
    import torch
    from distillmos import ConvTransformerSQAModel

    with redirect_stdout(io.StringIO()):  # it prints where its weights are
        model: Any = ConvTransformerSQAModel().eval()

    def listen(decoded: Samples) -> float:
        with torch.inference_mode():
            return float(model(torch.from_numpy(decoded.copy())[None]))

    return listen
