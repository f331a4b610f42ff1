"""Second stage of `paper-speech`: the prior, on indices that the frozen autoencoder gives.

Every recording is indexed once, at the level that models see speech at. The prior then sees crops
of these indices, with nothing before them, as it will when it codes. For the last part of the
steps it runs on its integer grid.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import load_file, save
from torch import Tensor

from vqcodec.engines.layers import reach
from vqcodec.models import sound_autoencoder
from vqcodec.models.stft import RATE
from vqcodec.networks.codebook import nearest
from vqcodec.networks.model_files import SoundVqVaeParts
from vqcodec.networks.pixelcnn import bits_per_index
from vqcodec.networks.wavenet import WaveNet
from vqcodec.storage import write_whole
from vqcodec.training.config_sound_vqvae import SoundVqVaeRecipe
from vqcodec.training.data import draws
from vqcodec.training.distributed import rank, share, wait
from vqcodec.training.precision import autocast
from vqcodec.training.quantisation import usage
from vqcodec.training.sound_autoencoder import SoundVqVae
from vqcodec.training.sounds import Recordings, Samples, loudness, read_recording

Row = NDArray[np.uint16]
"""Indices (N,) of one recording."""

_WINDOW_SAMPLES = 10 * RATE
_VALIDATION_CROPS = 96


class SoundPriorStage:
    """See the module's docstring."""

    name = "prior"

    def __init__(
        self,
        recipe: SoundVqVaeRecipe,
        rows: Sequence[Row],
        recordings: Recordings,
        validation: Sequence[Row],
        codebook: Tensor,
        device: torch.device,
        start: SoundVqVaeParts | None = None,
    ) -> None:
        """`rows` holds the indices of each of the recordings; `codebook` is (K, D).

        The first weights are those of `start`, or else come from the codebook. Raises ValueError
        if there are fewer indices than a crop has, to train or to validate on.
        """
        self.schedule = recipe.train.prior
        self._share = share(self.schedule.batch, "train.prior.batch")
        self._recipe = recipe
        self._recordings = recordings
        self._device = device
        crop = self.schedule.crop
        self._starts = np.cumsum([0, *map(len, rows)])
        self._indices = np.concatenate(rows)
        checked = np.concatenate(validation)
        count = len(checked) // crop
        if len(self._indices) < crop or not count:
            raise ValueError(f"train.prior.crop: recordings have fewer than {crop} indices in all")
        torch.manual_seed(recipe.seed + 1)
        self.module = WaveNet(recipe.prior).to(device)
        if start is not None:
            self.module.load_state_dict(start.prior.state_dict())
        else:
            self.module.start_from(codebook)
        crops = checked[: count * crop].reshape(count, crop)
        spread = crops[:: -(-count // _VALIDATION_CROPS)]
        self._validation = torch.from_numpy(spread.astype(np.int64))

    def batch(self, step: int) -> Tensor:
        """Draw indices: int64 (B, crop). Where a recording ends the next one begins."""
        rng = draws(self._recipe.seed, 3, step)
        crops = []
        for _ in range(self._share):
            number = self._recordings.draw(rng)
            first = int(rng.integers(self._starts[number], self._starts[number + 1]))
            at = np.arange(first, first + self.schedule.crop) % len(self._indices)
            crops.append(self._indices[at])
        return torch.from_numpy(np.stack(crops).astype(np.int64))

    def loss(self, batch: Tensor, step: int) -> tuple[Tensor, dict[str, float]]:
        """Mean bits per index of one batch."""
        integer = step >= self.schedule.integer_from * self.schedule.steps
        indices = batch.to(self._device)
        with autocast(self._device, self._recipe.train.precision):
            logits = self.module(indices, integer=integer)
        bits = bits_per_index(logits, indices)
        return bits, {"bits": float(bits.detach())}

    def after(self, batch: Tensor, step: int) -> None:
        """Nothing follows a step."""

    @torch.inference_mode()
    def validate(self) -> dict[str, float]:
        """Bits per index on validation crops: in real numbers, in integers, and unigram."""
        totals = {"float_bits": 0.0, "integer_bits": 0.0}
        for part in torch.split(self._validation, 8):
            indices = part.to(self._device)
            for name in totals:
                logits = self.module(indices, integer=name == "integer_bits")
                totals[name] += float(bits_per_index(logits, indices)) * len(part)
        figures = {name: total / len(self._validation) for name, total in totals.items()}
        size = self._recipe.prior.codebook_size
        return figures | {"unigram_bits": usage(self._validation, size)["unigram_bits"]}


class Indexer:
    """The frozen encoder and its codebook."""

    def __init__(self, module: SoundVqVae, recipe: SoundVqVaeRecipe, device: torch.device) -> None:
        self._module = module
        self._recipe = recipe
        self._device = device
        config = recipe.autoencoder
        self._halo = -(-reach(sound_autoencoder.encoder(config).layers) // config.hop)

    def recordings(
        self, recordings: Recordings, cache: Path, progress: Callable[[int], None]
    ) -> tuple[list[Row], bool]:
        """Index every recording; keep the result in the file `cache`.

        `progress` is told the number of recordings done. Also returns whether the indices are
        those of the cache: of the same recordings by the same encoder. Process 0 does the work
        and the others take its file.
        """
        origin = self._origin(recordings)
        stored = _stored(cache, origin)
        wait()  # until all have looked for what only then may change
        if stored is not None:
            return stored, True
        if rank() == 0:
            rows = []
            for number in range(len(recordings)):
                rows.append(self.row(recordings.whole(number)))
                progress(number + 1)
            named = {str(number): row for number, row in enumerate(rows)}
            write_whole(cache, save(named, metadata={"origin": origin}), overwrite=True)
        wait()
        stored = _stored(cache, origin)
        if stored is None:
            raise ValueError(
                f"{cache}: process {rank()} finds no indices by process 0 of its own recordings: "
                "on every machine processes need the same recordings, and one folder for the run"
            )
        return stored, False

    def files(self, paths: Sequence[Path]) -> list[Row]:
        """Index recordings as they are, for validation. Raises ValueError if one cannot be read."""
        rows = []
        for path in paths:
            recording = read_recording(path)
            rows.append(self.row(recording / np.float32(loudness(recording) or 1.0)))
        return rows

    @torch.inference_mode()
    def row(self, samples: Samples) -> Row:
        """Index one recording, the last index being of what is left and of silence."""
        hop = self._recipe.autoencoder.hop
        count = -(-len(samples) // hop)
        padded = np.pad(samples, (0, count * hop - len(samples)))
        window = _WINDOW_SAMPLES // hop
        parts = []
        for start in range(0, count, window):
            stop = min(start + window, count)
            first, last = max(0, start - self._halo), min(count, stop + self._halo)
            seen = torch.from_numpy(padded[first * hop : last * hop])[None].to(self._device)
            with autocast(self._device, self._recipe.train.precision):
                latents = self._module.encoder(seen)[0, :, 0, start - first : stop - first]
            parts.append(nearest(self._module.codebook.vectors, latents.float().T))
        return torch.cat(parts).cpu().numpy().astype(np.uint16)

    def _origin(self, recordings: Recordings) -> str:
        digest = hashlib.sha256()
        for path in recordings.paths:
            digest.update(path.name.encode())
        for part in (self._module.encoder, self._module.codebook):
            for value in part.state_dict().values():
                digest.update(value.detach().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()


def _stored(cache: Path, origin: str) -> list[Row] | None:
    """Read the indices, if the file is there and of that origin."""
    if not cache.exists():
        return None
    with safe_open(cache, framework="numpy") as file:
        if file.metadata() != {"origin": origin}:
            return None
    stored = load_file(cache)
    return [stored[str(number)] for number in range(len(stored))]
