"""Refinement of the indices of whole pictures, window by window."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import CancelledError
from threading import Event, Lock, get_ident

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vqcodec import processors
from vqcodec.codec.coding import Indices
from vqcodec.codec.effort import Effort
from vqcodec.codec.threads import in_threads
from vqcodec.container import Header
from vqcodec.engines.devices import pick_device
from vqcodec.engines.precision import full_precision
from vqcodec.grid import within
from vqcodec.models.model import Model
from vqcodec.refinement.networks import Networks, gains_of, read_networks
from vqcodec.refinement.relaxation import Judge, Relaxation, Surroundings
from vqcodec.refinement.windows import Window, waves, windows
from vqcodec.registry.load import file_of
from vqcodec.registry.store import read_verified

_AT_ONCE = 4
"""Most windows that are refined at once: each needs up to .5 GB."""
Pixels = NDArray[np.uint8]
"""(H, W, 3), 0..255."""


def load_refiner(model: Model, effort: Effort, device: str) -> Refiner:
    """Load what refines a model's indices; `device` is as for `load_model`.

    Raises: ModelError; ValueError for a model that has no product codebooks, or a device that is
    not there.
    """
    place = torch.device(pick_device(device))
    return Refiner(read_networks(read_verified(file_of(model)), place), effort, place)


class Refiner:
    """Refines the indices of one model, to one effort."""

    def __init__(self, networks: Networks, effort: Effort, device: torch.device) -> None:
        self._networks = networks
        self._effort = effort
        self._device = device

    @full_precision()
    def refine(
        self,
        header: Header,
        pixels: Pixels,
        measured: NDArray[np.float32],
        indices: Indices,
        multiplier: float,
        progress: Callable[[float], None] | None = None,
    ) -> Indices:
        """Return indices, int32 (rows, columns, G), that need fewer bits or come closer to the
        pixels, by the networks in real numbers.

        `measured` are latents (rows, columns, D), `indices` those to begin with. A distortion
        of 1 in each of n pixels is worth `multiplier` n bits. `progress` is told the part done.
        The same arguments give the same indices on the same machine with as many threads.
        """
        refined = indices.copy()
        if not refined.size:  # all is constant at this quality
            return refined
        own = [window for tile in windows(header) for window in tile]
        total, done = len(own) * self._effort.steps, 0
        caller, lock, unwanted = get_ident(), Lock(), Event()

        def tell() -> None:
            nonlocal done
            if unwanted.is_set():
                raise CancelledError
            with lock:
                done += 1
                if progress is not None:
                    progress(done / total)

        def work(around: Surroundings) -> Tensor:
            if get_ident() != caller:
                torch.set_num_threads(processors.threads())
            relaxation = Relaxation(
                self._networks, header.quality, around, self._effort.weights, multiplier
            )
            return relaxation.refine(self._effort.steps, tell)

        try:
            for wave in waves(own, min(_AT_ONCE, processors.threads())):
                around = [self._around(w, header.quality, pixels, measured, refined) for w in wave]
                for window, found in zip(
                    wave, in_threads(work, around, unwanted=unwanted), strict=True
                ):
                    refined[window.inner] = found.cpu().numpy().reshape(refined[window.inner].shape)
        finally:
            # Threads that begin later take the number that was set last, in whatever thread.
            torch.set_num_threads(torch.get_num_threads())
        return refined

    @torch.inference_mode()
    @full_precision()
    def distortions(self, header: Header, pixels: Pixels, decoded: Pixels) -> NDArray[np.float64]:
        """Return the distortion of each tile, summed over its pixels: (tiles,)."""

        def of(window: Window) -> float:
            original = self._picture(pixels[window.pixels])
            area = original.shape[2] * original.shape[3]
            judge = Judge(original, self._effort.weights)
            return area * float(judge.distortion(self._picture(decoded[window.pixels])))

        return np.array([sum(map(of, tile)) for tile in windows(header)])

    def _around(
        self, window: Window, quality: int, pixels: Pixels, measured: NDArray, indices: Indices
    ) -> Surroundings:
        latents = torch.from_numpy(np.array(measured[window.inner])).to(self._device)
        drawn = torch.from_numpy(indices[window.drawn].astype(np.int64)).to(self._device)
        gains = gains_of(self._networks, quality)
        return Surroundings(
            original=self._picture(pixels[window.judged]),
            judged=within(window.canvas, window.judged),
            latents=latents.flatten(0, 1) * gains.flatten(),
            indices=drawn,
            inner=within(window.drawn, window.inner),
            coded=within(window.drawn, window.coded),
        )

    def _picture(self, pixels: Pixels) -> Tensor:
        """(h, w, 3) to (1, 3, h, w) in 0..1."""
        tensor = torch.from_numpy(np.array(pixels)).to(self._device)
        return tensor.permute(2, 0, 1)[None].float() / 255.0
