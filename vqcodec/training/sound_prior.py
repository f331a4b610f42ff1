"""Second stage of `paper-speech`: the prior, on indices that the frozen autoencoder gives.

Every recording is indexed once, at the level that models see speech at. The prior then sees crops
of these indices (`index_prior`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from vqcodec.engines.layers import reach
from vqcodec.models import sound_autoencoder
from vqcodec.models.stft import RATE
from vqcodec.networks.codebook import nearest
from vqcodec.networks.model_files import SoundVqVaeParts
from vqcodec.networks.wavenet import WaveNet
from vqcodec.training.config_sound_vqvae import SoundVqVaeRecipe
from vqcodec.training.data import draws
from vqcodec.training.index_cache import Indices, cached_indices, origin_of
from vqcodec.training.index_prior import IndexPriorStage
from vqcodec.training.precision import autocast
from vqcodec.training.sound_autoencoder import SoundVqVae
from vqcodec.training.sounds import Recordings, Samples, loudness, read_recording

_WINDOW_SAMPLES = 10 * RATE


class SoundPriorStage(IndexPriorStage[WaveNet]):
    """See the module's docstring."""

    def __init__(
        self,
        recipe: SoundVqVaeRecipe,
        rows: Sequence[Indices],
        recordings: Recordings,
        validation: Sequence[Indices],
        codebook: Tensor,
        device: torch.device,
        start: SoundVqVaeParts | None = None,
    ) -> None:
        """`rows` holds the indices of each of the recordings; `codebook` is (K, D).

        The first weights are those of `start`, or else come from the codebook. Raises ValueError
        if there are fewer indices than a crop has, to train or to validate on.
        """
        crop = recipe.train.prior.crop
        joined, checked = np.concatenate(rows), np.concatenate(validation)
        count = len(checked) // crop
        if len(joined) < crop or not count:
            raise ValueError(f"train.prior.crop: recordings have fewer than {crop} indices in all")
        crops = checked[: count * crop].reshape(count, crop)
        super().__init__(recipe, WaveNet, crops, codebook, device, start)
        self._recordings = recordings
        self._starts = np.cumsum([0, *map(len, rows)])
        self._indices = joined

    def batch(self, step: int) -> Tensor:
        """Draw indices: int64 (B, crop). Where a recording ends the next one begins."""
        rng = draws(self._seed, 3, step)
        crops = []
        for _ in range(self._share):
            number = self._recordings.draw(rng)
            first = int(rng.integers(self._starts[number], self._starts[number + 1]))
            at = np.arange(first, first + self.schedule.crop) % len(self._indices)
            crops.append(self._indices[at])
        return torch.from_numpy(np.stack(crops).astype(np.int64))


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
    ) -> tuple[list[Indices], bool]:
        """Index every recording; keep the result in the file `cache`.

        `progress` is told the number of recordings done. Also returns whether the indices are
        those of the cache: of the same recordings by the same encoder. Process 0 does the work
        and the others take its file.
        """
        networks = (self._module.encoder, self._module.codebook)

        def make() -> dict[str, Indices]:
            rows = {}
            for number in range(len(recordings)):
                rows[str(number)] = self.row(recordings.whole(number))
                progress(number + 1)
            return rows

        origin = origin_of(recordings.paths, networks)
        named, known = cached_indices(cache, origin, make, "recordings")
        return [named[str(number)] for number in range(len(recordings))], known

    def files(self, paths: Sequence[Path]) -> list[Indices]:
        """Index recordings as they are, for validation. Raises ValueError if one cannot be read."""
        rows = []
        for path in paths:
            recording = read_recording(path)
            rows.append(self.row(recording / np.float32(loudness(recording) or 1.0)))
        return rows

    @torch.inference_mode()
    def row(self, samples: Samples) -> Indices:
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
            # Nearly each recording has a length of its own, which cuDNN would make plans for.
            plain = torch.backends.cudnn.flags(enabled=False)
            with plain, autocast(self._device, self._recipe.train.precision):
                latents = self._module.encoder(seen)[0, :, 0, start - first : stop - first]
            parts.append(nearest(self._module.codebook.vectors, latents.float().T))
        return torch.cat(parts).cpu().numpy().astype(np.uint16)
