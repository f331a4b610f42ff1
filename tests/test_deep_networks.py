"""The networks of photo-2: photo-1's analysis, deeper, and a synthesis that integers can do."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from vqcodec.models.config import DeepTransformConfig
from vqcodec.networks.deep import deep_analysis, deep_synthesis, set_slope
from vqcodec.networks.transform import Analysis, Block, Synthesis

SMALL = DeepTransformConfig(
    widths=(8, 12, 16),
    analysis_depths=(1, 2, 2),
    synthesis_depths=(1, 1, 2),
    latents=24,
    details=8,
    qualities=4,
)


def shaken(network: nn.Module) -> nn.Module:
    """Give every weight a random value: blocks begin as the identity and would hide faults."""
    torch.manual_seed(1)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if "second" in name:
                parameter.normal_(0.0, 0.1)
    return network


def test_transform_goes_there_and_back() -> None:
    pixels = torch.rand(2, 3, 48, 32)
    latents = deep_analysis(SMALL)(pixels)
    assert latents.shape == (2, 24, 3, 2)
    assert deep_synthesis(SMALL)(latents).shape == pixels.shape


@torch.no_grad()
def test_analysis_is_that_of_photo_1() -> None:
    analysis, twin = shaken(deep_analysis(SMALL)), Analysis(SMALL.analysis)
    twin.load_state_dict(analysis.state_dict())
    pixels = torch.rand(1, 3, 64, 64)
    assert torch.allclose(analysis(pixels), twin(pixels), atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("depths", [(0, 0, 1), (1, 1, 2), (2, 3, 1)])
def test_windows_equal_the_whole(depths: tuple[int, int, int]) -> None:
    config = DeepTransformConfig(
        widths=(8, 12, 16), synthesis_depths=depths, latents=24, details=8, qualities=4
    )
    synthesis = shaken(deep_synthesis(config))
    halo = config.synthesis.decoder_halo
    rows, columns = 2 * halo + 5, 2 * halo + 4
    latents = torch.randn(1, 24, rows, columns)
    whole = synthesis(latents)
    for top, left in ((0, 0), (halo, halo + 1), (rows - 3, columns - 2)):
        inner = (slice(top, top + 3), slice(left, left + 2))
        around = [slice(max(0, s.start - halo), s.stop + halo) for s in inner]
        within = tuple(
            slice(s.start - a.start, s.stop - a.start) for s, a in zip(inner, around, strict=True)
        )
        found = synthesis(latents[:, :, around[0], around[1]], within)
        expected = whole[:, :, 16 * top : 16 * top + 48, 16 * left : 16 * left + 32]
        assert found.shape == expected.shape
        assert torch.allclose(found, expected, atol=1e-5)


@torch.no_grad()
def test_synthesis_is_that_of_photo_1_until_its_slope_is_set() -> None:
    synthesis, twin = shaken(deep_synthesis(SMALL)), Synthesis(SMALL.synthesis)
    twin.load_state_dict(synthesis.state_dict())
    latents = torch.randn(1, 24, 4, 3)
    expected = twin(latents)
    assert torch.allclose(synthesis(latents), expected, atol=1e-5)
    set_slope(synthesis, 0.0)
    assert not torch.allclose(synthesis(latents), expected, atol=1e-3)
    inner: list[Tensor] = []
    for module in synthesis.modules():
        if isinstance(module, Block):
            module.second.register_forward_pre_hook(lambda _, given: inner.append(given[0]))
    synthesis(latents)
    assert len(inner) == sum(SMALL.synthesis_depths)
    assert min(float(x.min()) for x in inner) == 0.0


@torch.no_grad()
def test_only_the_inside_of_blocks_computes_in_bfloat16() -> None:
    seen: list[tuple[bool, torch.dtype]] = []

    def note(module: nn.Module, _: object, out: Tensor) -> None:
        seen.append(("first" in names[module] or "second" in names[module], out.dtype))

    for make, given in (
        (deep_analysis, torch.rand(1, 3, 32, 32)),
        (deep_synthesis, torch.randn(1, 24, 2, 2)),
    ):
        network = shaken(make(SMALL, torch.bfloat16))
        names = {module: name for name, module in network.named_modules()}
        for module in names:
            if isinstance(module, nn.Conv2d):
                module.register_forward_hook(note)
        out = network(given)
        assert out.dtype == torch.float32
        twin = make(SMALL)
        twin.load_state_dict(network.state_dict())
        exact = twin(given)
        assert 0.0 < float((out - exact).abs().max()) < 0.02 * float(exact.abs().max())
    assert {inside for inside, _ in seen} == {True, False}
    assert all((dtype == torch.bfloat16) == inside for inside, dtype in seen)


@pytest.mark.parametrize(
    "change",
    [{"widths": (8, 12)}, {"analysis_depths": (1, 1, 99)}, {"synthesis_depths": (1, -1, 1)}],
)
def test_wrong_configurations_are_refused(change: dict[str, tuple[int, ...]]) -> None:
    with pytest.raises(ValueError, match=r"transform\."):
        DeepTransformConfig(**change)
