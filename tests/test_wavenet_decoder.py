"""The paper's decoder of sound: causal, and the same with caches as without."""

from __future__ import annotations

import pytest
import torch

from vqcodec.models.config_sound import WaveNetDecoderConfig
from vqcodec.networks.mu_law import CLASSES, SILENCE, classes_of, samples_of
from vqcodec.networks.wavenet_decoder import Generation, WaveNetDecoder, generate

CONFIG = WaveNetDecoderConfig(channels=6, skip=8, dilations=(1, 2, 4, 1, 8), speaker_dim=3)
HOP, COUNT, DIM = 5, 6, 4
REACH = 1 + sum(CONFIG.dilations)
"""Samples before its own that a sample's logits can see."""


@pytest.fixture
def decoder() -> WaveNetDecoder:
    torch.manual_seed(2)
    made = WaveNetDecoder(CONFIG, code_dim=DIM, hop=HOP, speakers=3)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.mul_(2.0)
    return made.eval()


@pytest.fixture
def given(decoder: WaveNetDecoder) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Classes, codewords and voices of two sounds."""
    classes = torch.randint(CLASSES, (2, HOP * COUNT))
    return classes, torch.randn(2, DIM, COUNT), decoder.speaker_embedding[[2, 0]].detach()


@torch.inference_mode()
def test_logits_depend_on_earlier_samples_alone(decoder: WaveNetDecoder, given: tuple) -> None:
    classes, codewords, voices = given
    logits = decoder(classes, codewords, voices)
    assert logits.shape == (2, CLASSES, HOP * COUNT)
    for at in range(HOP * COUNT):
        changed = classes.clone()
        changed[:, at] = (changed[:, at] + 100) % CLASSES
        moved = (decoder(changed, codewords, voices) - logits).abs().amax((0, 1))
        assert not moved[: at + 1].any()
        assert bool((moved[at + 1 : at + 1 + REACH] > 0.0).all())
        assert not moved[at + 1 + REACH :].any()


@torch.inference_mode()
def test_codewords_and_voices_are_heard(decoder: WaveNetDecoder, given: tuple) -> None:
    classes, codewords, voices = given
    logits = decoder(classes, codewords, voices)
    other = codewords.clone()
    other[:, :, 3] += 1.0
    moved = (decoder(classes, other, voices) - logits).abs().amax((0, 1))
    assert not moved[: 3 * HOP].any()
    assert bool((moved[3 * HOP : 4 * HOP] > 0.0).all())
    moved = (decoder(classes, codewords, voices.flip(0)) - logits).abs().amax((0, 1))
    assert bool((moved > 0.0).all())


@torch.inference_mode()
def test_caches_change_nothing(decoder: WaveNetDecoder, given: tuple) -> None:
    classes, codewords, voices = given
    expected = decoder(classes, codewords, voices)
    generation = Generation(decoder, codewords, voices)
    previous = torch.full((2,), SILENCE)
    for at in range(HOP * COUNT):
        torch.testing.assert_close(generation.logits(previous), expected[:, :, at])
        previous = classes[:, at]


def test_sampling_follows_the_logits(decoder: WaveNetDecoder, given: tuple) -> None:
    _, codewords, voices = given
    one, same, other = (
        generate(decoder, codewords, voices, torch.Generator().manual_seed(seed))
        for seed in (1, 1, 2)
    )
    assert one.shape == (2, HOP * COUNT)
    assert bool((one.abs() <= 1.0).all())
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    cold = generate(decoder, codewords, voices, torch.Generator(), temperature=1e-4)
    logits = decoder(classes_of(cold), codewords, voices)
    assert torch.equal(logits.argmax(1), classes_of(cold))


def test_classes_are_samples_companded() -> None:
    classes = torch.arange(CLASSES)
    samples = samples_of(classes)
    assert torch.equal(classes_of(samples), classes)
    assert bool((samples[1:] > samples[:-1]).all())
    assert float(samples[SILENCE]) == 0.0
    assert classes_of(torch.tensor([-9.0, -1.0, 0.0, 1.0, 9.0])).tolist() == [0, 0, 128, 255, 255]
    quiet = torch.linspace(-0.1, 0.1, 1001)
    assert float((samples_of(classes_of(quiet)) - quiet).abs().max()) < 0.003


@pytest.mark.parametrize("change", [{"channels": 0}, {"dilations": ()}, {"dilations": (1, 0)}])
def test_impossible_decoders_are_refused(change: dict) -> None:
    with pytest.raises(ValueError, match="decoder"):
        WaveNetDecoderConfig(**change)
