"""The networks of photo-2: photo-1's analysis, deeper, and a synthesis that integers can do."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from vqcodec.models.config import DeepTransformConfig
from vqcodec.networks.rectified import (
    RectifiedConv,
    deep_analysis,
    rectified_synthesis,
)
from vqcodec.networks.transform import Analysis

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
            if "offset" in name:
                parameter.uniform_(0.2, 1.0)
            elif "second" in name:
                parameter.normal_(0.0, 0.1)
    return network


def test_transform_goes_there_and_back() -> None:
    pixels = torch.rand(2, 3, 48, 32)
    latents = deep_analysis(SMALL)(pixels)
    assert latents.shape == (2, 24, 3, 2)
    assert rectified_synthesis(SMALL)(latents).shape == pixels.shape


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
    synthesis = shaken(rectified_synthesis(config))
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
def test_outside_the_picture_the_stream_is_zero() -> None:
    layer = RectifiedConv(4, 3, 3, padding=1)
    layer.offset.uniform_(0.5, 1.0)
    flat = layer(torch.zeros(1, 4, 5, 5))
    assert torch.allclose(flat, flat[:, :, 2:3, 2:3].expand_as(flat), atol=1e-6)


def test_what_lies_below_the_offset_is_cut() -> None:
    layer = RectifiedConv(1, 1, 1)
    with torch.no_grad():
        layer.offset.fill_(2.0)
        layer.weight.fill_(1.0)
        layer.bias.fill_(-2.0)
    stream = torch.tensor([-5.0, -2.0, -1.0, 3.0], requires_grad=True)
    out = layer(stream.view(1, 1, 1, 4))
    assert out.flatten().tolist() == [-2.0, -2.0, -1.0, 3.0]
    out.sum().backward()
    assert stream.grad.tolist() == [0.0, 0.0, 1.0, 1.0]


@torch.no_grad()
def test_only_the_inside_of_blocks_computes_in_bfloat16() -> None:
    seen: list[tuple[bool, torch.dtype]] = []

    def note(module: nn.Module, _: object, out: Tensor) -> None:
        seen.append(("first" in names[module] or "second" in names[module], out.dtype))

    for make, given in (
        (deep_analysis, torch.rand(1, 3, 32, 32)),
        (rectified_synthesis, torch.randn(1, 24, 2, 2)),
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
