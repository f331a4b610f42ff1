"""Last stage of `speech`: the synthesis alone, against networks that tell its sound from
recordings.

A synthesis that is trained to be near the recording makes, of all sounds that the indices allow,
the mean: dull where they say little. Here discriminators learn to tell decoded sound from
recordings, with a hinge loss, and the synthesis learns to be taken for a recording, and to look
alike to their layers (Défossez et al., arXiv 2210.13438, section 3.4, eq. 3 and 4), while it stays
near the recording as before. Analysis, codebooks and prior stand still: the files are the same.
In the end the synthesis goes a part of the way back (`settle`; Wortsman et al., "Robust fine-tuning
of zero-shot models", arXiv 2109.01903, section 3).

One backward pass and one optimiser serve both sides: the discriminators judge sound that passes no
gradient on, and the synthesis is judged by copies of their weights that take none.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from vqcodec.networks.discriminator import Discriminators
from vqcodec.networks.product import Codebooks
from vqcodec.training.config_speech import AdversarialTraining, SpeechRecipe
from vqcodec.training.data import draws
from vqcodec.training.distributed import share
from vqcodec.training.hard import Coded, HardIndices, Layout, ascending_qualities
from vqcodec.training.medium import Cost
from vqcodec.training.speech_medium import SpeechMedium

Judged = Sequence[Sequence[Tensor]]
"""What discriminators return."""


class Opponents(nn.Module):
    """Both sides, for the optimiser and the checkpoint."""

    def __init__(self, coded: Coded, discriminators: Discriminators) -> None:
        super().__init__()
        self.coded = coded
        self.discriminators = discriminators


class AdversarialStage:
    """See the module's docstring."""

    name = "adversarial"

    def __init__(
        self,
        recipe: SpeechRecipe,
        settings: AdversarialTraining,
        medium: SpeechMedium,
        codebooks: list[Codebooks],
        device: torch.device,
    ) -> None:
        """Train the medium's synthesis. `codebooks` are those of qualities 1..Q."""
        self.schedule = settings
        self._share = share(settings.batch, "train.adversarial.batch")
        self._seed = recipe.seed
        self._medium = medium
        self._device = device
        self._before = [p.detach().clone() for p in medium.networks.synthesis.parameters()]
        coded = Coded(medium.networks, codebooks).requires_grad_(False)
        medium.networks.synthesis.requires_grad_(True)
        torch.manual_seed(recipe.seed + 2)
        self._discriminators = Discriminators(settings.sizes, settings.channels)
        self.module = Opponents(coded, self._discriminators).to(device)
        self.codebooks = codebooks
        """Of qualities 1..Q; they train in place."""
        self._hard = HardIndices(medium, codebooks, recipe.product.distance_bits)

    def batch(self, step: int) -> Tensor:
        """Draw samples: float32 (B, crop)."""
        return self._medium.batch(self._share, self.schedule.crop, draws(self._seed, 12, step))

    def loss(self, batch: Tensor, step: int) -> tuple[Tensor, dict[str, float]]:
        """Return what both sides descend, and figures of each."""
        layout = self.layout(self.qualities(step))
        cost = self.cost(batch, layout, fooling=self.is_fooling(step))
        return cost.loss, cost.figures()

    def is_fooling(self, step: int) -> bool:
        """Tell whether the synthesis heeds the discriminators at a step."""
        return step >= self.schedule.alone

    def qualities(self, step: int) -> tuple[int, ...]:
        """Return those of a batch's crops, ascending."""
        seed = (self._seed << 32) + step
        return ascending_qualities(self._share, len(self._medium.lambdas), seed)

    def layout(self, qualities: Sequence[int]) -> Layout:
        """Place qualities, ascending, on the device."""
        return Layout.of(qualities, self._device)

    def cost(self, batch: Tensor, layout: Layout, *, fooling: bool) -> Cost:
        """Weigh both sides; the synthesis learns of the discriminators only if it is `fooling`
        them.

        Draws nothing and lets the host wait for nothing, so that it can be part of a CUDA graph.
        """
        medium, settings = self._medium, self.schedule
        originals = medium.originals(batch)
        with torch.no_grad():
            gains = medium.gains(layout.qualities)
            scaled = medium.latents(originals) * gains
            picked = self._hard.assign(scaled, layout, integer=True)
            latents = self._hard.values(picked, scaled, layout) / gains
        decoded = medium.decoded(latents)
        found = medium.distortion(decoded, originals)
        true, false = self._discriminators(originals), self._discriminators(decoded.detach())
        frozen = {name: p.detach() for name, p in self._discriminators.named_parameters()}
        judged = functional_call(self._discriminators, frozen, (decoded,))
        told = told_apart(true, false)
        taken, alike = deceived(judged), likeness(judged, true)
        fooled = settings.deceived * taken + settings.alike * alike
        loss = found.total.mean() + told + float(fooling) * fooled
        figures = {"told_apart": told, "deceived": taken, "alike": alike}
        return Cost(loss, {name: value.detach() for name, value in figures.items()}, found)

    def after(self, batch: Tensor, step: int) -> None:
        """Nothing follows a step."""

    def validate(self) -> dict[str, float]:
        """As `HardIndices.validate`."""
        return self._hard.validate(self._medium.latents)

    @torch.no_grad()
    def settle(self) -> None:
        """Take the trained synthesis back, all but the share `mix` of the way that it came."""
        after = self._medium.networks.synthesis.parameters()
        for parameter, before in zip(after, self._before, strict=True):
            parameter.copy_(torch.lerp(before.to(parameter.device), parameter, self.schedule.mix))


def told_apart(true: Judged, false: Judged) -> Tensor:
    """Return the hinge loss of discriminators, (), from what they make of recordings and of decoded
    sound: 2 where they know nothing, 0 where they are sure.
    """
    losses = [
        F.relu(1.0 - one[-1]).mean() + F.relu(1.0 + other[-1]).mean()
        for one, other in zip(true, false, strict=True)
    ]
    return torch.stack(losses).mean()


def deceived(judged: Judged) -> Tensor:
    """Return how far decoded sound is from being taken for recordings, ()."""
    return torch.stack([F.relu(1.0 - one[-1]).mean() for one in judged]).mean()


def likeness(judged: Judged, true: Judged) -> Tensor:
    """Return how far layers see decoded sound from its recording, in parts of what they make of
    this, ().
    """
    losses = [
        (ours - theirs.detach()).abs().mean() / theirs.detach().abs().mean().clamp_min(1e-6)
        for one, other in zip(judged, true, strict=True)
        for ours, theirs in zip(one[:-1], other[:-1], strict=True)
    ]
    return torch.stack(losses).mean()
