"""What training weighs of decoded sound."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from vqcodec.training.config_speech import SpeechDistortionConfig
from vqcodec.training.envelopes import third_octaves
from vqcodec.training.sound_distortion import (
    _MEL_BANDS,
    _window,
    mel_filters,
    sound_distortion,
)

CONFIG = SpeechDistortionConfig()


def noise(seed: int = 0) -> Tensor:
    return 0.05 * torch.randn(2, 3200, generator=torch.Generator().manual_seed(seed))


def test_a_sound_is_like_itself() -> None:
    found = sound_distortion(noise(), noise(), CONFIG)
    assert found.total.shape == (2,)
    assert float(found.total.abs().max()) == 0.0


def test_distortion_grows_with_noise() -> None:
    totals = [
        float(sound_distortion(noise() + part * noise(1), noise(), CONFIG).total.mean())
        for part in (0.01, 0.1, 1.0)
    ]
    assert totals == sorted(totals)
    assert totals[0] > 0.0


def test_a_turned_sign_is_of_phase_alone() -> None:
    deaf = SpeechDistortionConfig(phase=0.0)
    assert float(sound_distortion(-noise(), noise(), deaf).total.max()) < 1e-7
    assert float(sound_distortion(-noise(), noise(), CONFIG).spectral.min()) > 0.2


def test_each_sound_is_compared_with_its_own() -> None:
    decoded = noise()
    decoded[1] = 0.0
    found = sound_distortion(decoded, noise(), CONFIG)
    assert float(found.total[0]) == 0.0
    assert float(found.total[1]) > 0.1


@pytest.mark.parametrize("original", [noise(), torch.zeros(2, 3200)])
def test_silence_has_a_gradient_that_is_a_number(original: Tensor) -> None:
    decoded = torch.zeros(2, 3200, requires_grad=True)
    sound_distortion(decoded, original, CONFIG).total.sum().backward()
    assert decoded.grad is not None
    assert bool(decoded.grad.isfinite().all())


def test_what_was_validated_first_can_be_trained() -> None:
    """What is made once and kept is no tensor of inference mode, which has no gradients."""
    for kept in (mel_filters, third_octaves, _window):
        kept.cache_clear()
    with torch.inference_mode():
        sound_distortion(noise(), noise(1), CONFIG)
    decoded = noise().requires_grad_()
    sound_distortion(decoded, noise(1), CONFIG).total.sum().backward()
    assert decoded.grad is not None


@pytest.mark.parametrize(("size", "bands"), _MEL_BANDS.items())
def test_mel_bands_ascend_and_add_up_to_one(size: int, bands: int) -> None:
    filters = mel_filters(size, bands, torch.device("cpu"))
    assert filters.shape == (bands, size // 2 + 1)
    assert bool((filters >= 0.0).all())
    torch.testing.assert_close(filters.sum(1), torch.ones(bands))
    centres = filters @ torch.arange(size // 2 + 1.0)
    assert bool((centres.diff() >= 0.0).all())


def test_envelopes_are_those_of_stoi() -> None:
    """Bands that rise and fall as before are alike, however loud; others are not."""
    times = torch.arange(16000) / 16000
    slow = 0.1 * noise_of(1) * torch.sin(2 * torch.pi * 3 * times) ** 2
    found = [
        float(sound_distortion(decoded[None], slow[None], CONFIG).envelope)
        for decoded in (slow, 0.3 * slow, slow + 0.02 * noise_of(2), 0.05 * noise_of(3))
    ]
    assert found[0] == 0.0
    assert found == sorted(found)
    assert found[1] < 0.01
    assert found[3] > 0.5


def noise_of(seed: int) -> Tensor:
    return torch.randn(16000, generator=torch.Generator().manual_seed(seed))


def test_third_octaves_do_not_overlap() -> None:
    bands = third_octaves(512, torch.device("cpu"))
    assert bands.shape == (15, 257)
    assert bool((bands.sum(1) >= 1.0).all())
    assert float(bands.sum(0).max()) == 1.0
