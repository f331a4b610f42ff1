"""The second of two stages (arXiv 1711.00937, section 4.2), on the first one's indices.

Encoder, codebooks and decoder train together: the loss is eq. 3 with the bits of the indices under
the conditional PixelCNN as its first term, and codewords learn by moving averages. For the last
part of the steps the decoder runs on its integer grid.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vqcodec.models.config import AutoencoderConfig
from vqcodec.networks.autoencoder import codeword_images
from vqcodec.networks.codebook import Codebook
from vqcodec.networks.pixelcnn import bits_per_index
from vqcodec.networks.second_stage import SecondDecoder, SecondEncoder
from vqcodec.training.config_two_stage import TwoStageRecipe
from vqcodec.training.data import Pictures, draws
from vqcodec.training.distributed import gathered, share, take_first
from vqcodec.training.index_cache import Indices
from vqcodec.training.precision import autocast
from vqcodec.training.prior import cut_tiles, draw_tiles, stack
from vqcodec.training.quantisation import usage

_VALIDATION_PICTURES = 256
_VALIDATION_BATCH = 32


class SecondNetworks(nn.Module):
    """All that trains."""

    def __init__(self, recipe: TwoStageRecipe) -> None:
        super().__init__()
        config, settings = recipe.second, recipe.train.latents
        sizes = AutoencoderConfig(codebook_size=config.codebook_size, code_dim=config.code_dim)
        self.encoder = SecondEncoder(config, recipe.autoencoder.code_dim)
        self.codebooks = nn.ModuleList(
            Codebook(sizes, beta=settings.beta, gamma=settings.gamma) for _ in range(config.latents)
        )
        self.decoder = SecondDecoder(config, recipe.prior)

    def vectors(self) -> Tensor:
        """Return the codewords of all latents, (G, K, D)."""
        return torch.stack([book.vectors for book in self._books()])

    def quantise(self, latents: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Map latents (B, G, D) to their codewords, which pass gradients to them, to their indices
        int64 (B, G), and to the scalar that the codebooks add to the loss.
        """
        each = zip(self._books(), latents.unbind(1), strict=True)
        found = [book(own[:, :, None, None]) for book, own in each]
        codewords = torch.stack([quantised.codewords[:, :, 0, 0] for quantised in found], 1)
        indices = torch.stack([quantised.indices[:, 0, 0] for quantised in found], 1)
        return codewords, indices, torch.stack([quantised.loss for quantised in found]).sum()

    def start_codebooks(self, latents: Tensor, generator: torch.Generator) -> None:
        """Place the codewords by k-means on latents (P, G, D), P >= K."""
        for book, own in zip(self._books(), latents.unbind(1), strict=True):
            book.start_from(own, generator)
            take_first(book)  # a GPU's sums differ in their last bits each time

    def revive(self, latents: Tensor, threshold: float, generator: torch.Generator) -> None:
        """Move codewords used less than `threshold` times a step to latents (P, G, D), P >= K."""
        for book, own in zip(self._books(), latents.unbind(1), strict=True):
            book.revive(own, threshold, generator)

    def _books(self) -> list[Codebook]:
        return [book for book in self.codebooks if isinstance(book, Codebook)]


class SecondStage:
    """A stage of training (`loop.Stage`)."""

    name = "prior"

    def __init__(
        self,
        recipe: TwoStageRecipe,
        grids: list[list[Indices]],
        pictures: Pictures,
        validation: list[Indices],
        codebook: Tensor,
        device: torch.device,
    ) -> None:
        """`grids` holds, for each of the pictures, its views; `codebook` is the first stage's."""
        self.schedule = recipe.train.prior
        self._share = share(self.schedule.batch, "train.prior.batch")
        self._recipe = recipe
        self._grids = grids
        self._pictures = pictures
        self._codebook = codebook.detach()
        self._device = device
        torch.manual_seed(recipe.seed + 1)
        self.module = SecondNetworks(recipe).to(device)
        self.module.decoder.prior.start_from(self._codebook)
        tiles = torch.from_numpy(cut_tiles(validation, recipe.second.side).astype("int64"))
        self._validation = tiles[:: -(-len(tiles) // _VALIDATION_PICTURES)]

    def batch(self, step: int) -> Tensor:
        """Draw whole grids: int64 (B, side, side)."""
        return self._draw(2, step, self._share)

    def loss(self, batch: Tensor, step: int) -> tuple[Tensor, dict[str, float]]:
        """Bits per index, and the commitment of the latents."""
        settings, module = self._recipe.train.latents, self.module
        if step == settings.plain_steps:
            module.start_codebooks(self._pool(step), self._generator(step))
        integer = step >= self.schedule.integer_from * self.schedule.steps
        indices = batch.to(self._device)
        codewords = self._latents(indices)
        commitment = codewords.new_zeros(())
        if step >= settings.plain_steps:
            codewords, _, commitment = module.quantise(codewords)
        blind = draws(self._recipe.seed, 5, step).random(len(indices)) < settings.blind
        seen = torch.from_numpy(~blind).to(codewords)
        with self._autocast():
            logits = module.decoder(indices, codewords, seen=seen, integer=integer)
        bits = bits_per_index(logits.float(), indices)
        figures = {"bits": float(bits.detach()), "commitment": float(commitment.detach())}
        return bits + commitment, figures

    def after(self, batch: Tensor, step: int) -> None:
        """Revive unused codewords, but not while the rate decays."""
        settings, schedule = self._recipe.train.latents, self.schedule
        decaying = step >= schedule.steps * (1.0 - schedule.decay)
        due = settings.revive_every and step % settings.revive_every == 0
        if due and settings.plain_steps <= step and not decaying:
            mean = schedule.batch / self._recipe.second.codebook_size
            threshold = settings.revive_below * mean
            self.module.revive(self._pool(step), threshold, self._generator(step))

    @torch.inference_mode()
    def validate(self) -> dict[str, float]:
        """Bits per index of held-out pictures in real numbers, in integers, and in real numbers
        given the latents of another picture; how the indices of a latent spread, the mean of all
        latents.
        """
        module = self.module
        names = ("float_bits", "integer_bits", "other_bits")
        totals, chosen = dict.fromkeys(names, 0.0), []
        for part in torch.split(self._validation, _VALIDATION_BATCH):
            indices = part.to(self._device)
            codewords, own, _ = module.quantise(self._latents(indices))
            chosen.append(own)
            for name in names:
                told = codewords.roll(1, 0) if name == "other_bits" else codewords
                logits = module.decoder(indices, told, integer=name == "integer_bits")
                totals[name] += float(bits_per_index(logits, indices)) * len(part)
        figures = {name: total / len(self._validation) for name, total in totals.items()}
        size = self._recipe.second.codebook_size
        spreads = [usage(each, size) for each in torch.cat(chosen).unbind(1)]
        means = {
            name: sum(spread[name] for spread in spreads) / len(spreads)
            for name in ("perplexity", "used")
        }
        return figures | means

    def _latents(self, indices: Tensor) -> Tensor:
        """Map int64 indices (B, side, side) to latents (B, G, D)."""
        with self._autocast():
            latents: Tensor = self.module.encoder(codeword_images(self._codebook, indices))
        return latents.float()

    @torch.no_grad()
    def _pool(self, step: int) -> Tensor:
        """Return the latents of many pictures, all processes' together, (P, G, D)."""
        grids = self._draw(4, step, share(self._recipe.train.latents.pool, "train.latents.pool"))
        parts = torch.split(grids.to(self._device), self._share)
        return gathered(torch.cat([self._latents(part) for part in parts]))

    def _draw(self, key: int, step: int, count: int) -> Tensor:
        side = self._recipe.second.side
        rng = draws(self._recipe.seed, key, step)
        return stack(draw_tiles(self._grids, self._pictures, count, side, rng))

    def _autocast(self) -> torch.autocast:
        return autocast(self._device, self._recipe.train.precision)

    def _generator(self, step: int) -> torch.Generator:
        return torch.Generator().manual_seed((self._recipe.seed << 32) + step)
