"""Clips in latent space: a prior of a frame's indices that sees the frame before, and an action."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import reference
import reference_clip
import torch
from changed_models import Change, Tensors, changed
from conftest import photo
from random_networks import opinionate

import vqcodec
from vqcodec.codec.coding import code_tiles
from vqcodec.entropy.coder import Decoder, Encoder
from vqcodec.entropy.sampler import Sampler
from vqcodec.errors import ModelCorruptError, ModelError
from vqcodec.grid import whole
from vqcodec.models.clip import ClipVqVae, parse_model
from vqcodec.models.config import AutoencoderConfig, PriorConfig
from vqcodec.models.config_clip import ClipConfig, TemporalConfig
from vqcodec.networks.autoencoder import Decoder as FrameDecoder
from vqcodec.networks.autoencoder import Encoder as FrameEncoder
from vqcodec.networks.clip_prior import ClipPrior
from vqcodec.networks.model_files import ClipParts, write_clip
from vqcodec.networks.pixelcnn import bits_per_index
from vqcodec.prior import units
from vqcodec.prior.chooser import KnownIndices
from vqcodec.prior.context import ToldPrior
from vqcodec.prior.temporal import NOTHING
from vqcodec.registry import load

K = 20
REACH = 3
"""Positions that the network of the frame before sees far: 2 and a layer."""
ACTIONS = ("forward", "turn left", "turn right")


@pytest.fixture(scope="module")
def parts() -> ClipParts:
    """Networks that nobody trained, whose logits differ much."""
    torch.manual_seed(5)
    autoencoder = AutoencoderConfig(hidden=8, residual_blocks=1, code_dim=6, codebook_size=K)
    prior = PriorConfig(codebook_size=K, embedding=4, channels=10, layers=2)
    temporal = TemporalConfig(embedding=5, channels=12, layers=REACH - 2)
    network = ClipPrior(prior, temporal, len(ACTIONS))
    opinionate(network.prior)
    with torch.no_grad():
        network.temporal.embedding *= 3.0
        network.temporal.output.weight *= 4.0
        network.temporal.action_embedding.normal_()
        for _, layer in network.temporal.parts():
            layer.bias.uniform_(-0.3, 0.6)
    return ClipParts(
        autoencoder=autoencoder,
        encoder=FrameEncoder(autoencoder),
        codebook=torch.randn(K, 6) * 0.3,
        decoder=FrameDecoder(autoencoder),
        prior=prior,
        temporal=temporal,
        clip=ClipConfig(actions=ACTIONS, frames_per_second=8.75),
        network=network,
    )


@pytest.fixture(scope="module")
def data(parts: ClipParts) -> bytes:
    return write_clip(parts, name="tiny", licence="CC0-1.0", description="random")


@pytest.fixture(scope="module")
def model(data: bytes) -> ClipVqVae:
    return parse_model(data, sha256=hashlib.sha256(data).hexdigest())


def frames(count: int, rows: int = 7, columns: int = 9, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(K, size=(count, rows, columns)).astype(np.int32)


def logits_of(prior: ToldPrior, frame: np.ndarray) -> np.ndarray:
    """Integer logits of all positions, (N, M, K)."""
    found = np.zeros((*frame.shape, K))
    context = prior.context([frame.shape])
    for step in context.steps():
        found[step.position] = context.logits(0, slice(None))[0]
        context.put(0, frame[step.position][:, None])
    return found


def torch_logits(
    parts: ClipParts, frame: np.ndarray, before: np.ndarray, action: int, *, integer: bool
) -> torch.Tensor:
    """Logits in bits, (K, N, M)."""
    seen = torch.tensor([float(before[0, 0] != NOTHING)])
    grids = [torch.from_numpy(grid.clip(0)[None].astype(np.int64)) for grid in (frame, before)]
    with torch.inference_mode():
        logits = parts.network(*grids, torch.tensor([action]), seen=seen, integer=integer)
    return logits[0]


@pytest.mark.parametrize("action", [0, 1, 3])
@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("size", [(7, 9), (1, 1), (2, 30)])
def test_training_computes_the_same_integers(
    model: ClipVqVae, parts: ClipParts, size: tuple[int, int], first: bool, action: int
) -> None:
    before, frame = frames(2, *size)
    if first:
        before = np.full_like(before, NOTHING)
    found = logits_of(model.prior_after(before, action), frame)
    expected = torch_logits(parts, frame, before, action, integer=True).movedim(0, -1).numpy()
    assert np.ptp(expected * 2.0**units.FRACTION_LOGIT) > 30
    np.testing.assert_array_equal(found, expected * 2.0**units.FRACTION_LOGIT)


def test_both_arithmetics_give_the_same(model: ClipVqVae, data: bytes) -> None:
    double = parse_model(data, sha256="", dtype=np.float64)
    before, frame = frames(2)
    pair = [logits_of(each.prior_after(before, 2), frame) for each in (model, double)]
    np.testing.assert_array_equal(*pair)


def test_integers_are_close_to_the_real_prior(model: ClipVqVae, parts: ClipParts) -> None:
    (before,) = frames(1, 12, 15)
    frame = model.draw(before, 1, sampler=Sampler(0))
    logits = [torch_logits(parts, frame, before, 1, integer=kind) for kind in (False, True)]
    assert np.corrcoef([each.flatten().numpy() for each in logits])[0, 1] > 0.98
    targets = torch.from_numpy(frame.astype(np.int64))[None]
    real = float(bits_per_index(logits[0][None], targets))
    assert model.bits(frame, before, 1) / frame.size == pytest.approx(real, rel=0.1)


@pytest.mark.usefixtures("level")
@pytest.mark.parametrize("size", [(12, 15), (3, 1)])
def test_a_cost_is_what_coders_write(model: ClipVqVae, size: tuple[int, int]) -> None:
    """NumPy and all levels of the kernel write the same bits, and read them."""
    before, frame = frames(2, *size)
    prior = model.prior_after(before, 2)
    encoder, grid = Encoder(), np.zeros((*size, 1), np.int32)
    known = KnownIndices(prior.parts, frame.reshape(-1, 1))
    code_tiles(prior, [encoder], [whole(size)], grid, known)
    stream = encoder.finish()
    assert abs(8 * len(stream) - model.bits(frame, before, 2)) <= 64
    read = np.zeros((*size, 1), np.int32)
    kernel = prior.kernel()
    if kernel is None:
        decoder = Decoder(stream)
        code_tiles(prior, [decoder], [whole(size)], read)
        decoder.finish()
    else:
        assert kernel.encode(known, size)[0] == stream
        kernel.decode(stream, read)
    assert np.array_equal(read[:, :, 0], frame)


def test_a_draw_depends_on_seed_action_and_frame_alone(model: ClipVqVae, data: bytes) -> None:
    double = parse_model(data, sha256="", dtype=np.float64)
    before, other = frames(2)

    def drawn(model: ClipVqVae, before: np.ndarray, action: int, seed: int) -> bytes:
        sampler = Sampler(seed)
        clip = [before]
        for _ in range(3):
            clip.append(model.draw(clip[-1], action, sampler=sampler))
        return np.stack(clip[1:]).tobytes()

    once = drawn(model, before, 1, 7)
    assert drawn(model, before, 1, 7) == once
    assert drawn(double, before, 1, 7) == once
    others = [drawn(model, *key) for key in ((before, 1, 8), (before, 2, 7), (other, 1, 7))]
    assert len({once, *others}) == 4


def test_a_frame_sees_the_one_before_through_the_taps_alone(model: ClipVqVae) -> None:
    """What changes in the frame before changes logits around it, and in no position further than
    the wedge of the prior carries it.
    """
    before, frame = frames(2, 15, 15)
    base = model.temporal.offsets(before, 1).reshape(15, 15, -1)
    for row, column in ((7, 7), (0, 0), (14, 3)):
        changed_frame = before.copy()
        changed_frame[row, column] = (before[row, column] + 1) % K
        offsets = model.temporal.offsets(changed_frame, 1).reshape(15, 15, -1)
        rows, columns = np.nonzero((offsets != base).any(2))
        assert len(rows)
        assert abs(rows - row).max() <= REACH
        assert abs(columns - column).max() <= REACH
        # Nothing before the first position in wavefront order whose offset changed.
        one, two = (
            logits_of(model.prior_after(each, 1), frame) for each in (before, changed_frame)
        )
        steps = np.arange(15)[:, None] * 2 + np.arange(15)
        assert not (one != two)[steps < (2 * rows + columns).min()].any()
    whole_reach = [
        (model.temporal.offsets(other, 1).reshape(15, 15, -1) != base).any(2)
        for number in range(1, K)
        for other in [np.where(np.arange(225).reshape(15, 15) == 112, number, before)]
    ]
    rows, columns = np.nonzero(np.any(whole_reach, axis=0))
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (4, 10, 4, 10)


def test_what_is_not_known_of_the_frame_before_is_not_read(model: ClipVqVae) -> None:
    nothing = model.nothing(28, 36)
    first = model.temporal.offsets(nothing, 0).reshape(7, 9, -1)
    assert nothing.shape == (7, 9)
    half = frames(1)[0]
    half[:, 4:] = NOTHING
    offsets = model.temporal.offsets(half, 0).reshape(7, 9, -1)
    assert np.array_equal(offsets[:, 4 + REACH :], first[:, 4 + REACH :])
    assert not np.array_equal(offsets[:, :4], first[:, :4])


def test_frames_become_indices_and_samples(model: ClipVqVae, parts: ClipParts) -> None:
    samples = np.asarray(photo(36, 28))
    indices = model.frame_indices(samples)
    assert indices.shape == (7, 9)
    drawn = model.frame_samples(indices)
    with torch.inference_mode():
        pixels = torch.from_numpy(samples.copy()).permute(2, 0, 1)[None] / 255.0
        latents = parts.encoder.half().float()(pixels)[0].flatten(1).T
        expected = torch.cdist(latents, parts.codebook).argmin(1).view(7, 9)
        codewords = parts.codebook[expected].permute(2, 0, 1)[None]
        decoded = parts.decoder.half().float()(codewords)[0].permute(1, 2, 0)
    assert np.array_equal(indices, expected.numpy())
    assert abs(drawn - (255 * decoded.numpy()).clip(0, 255)).max() <= 1


def test_wrong_calls(model: ClipVqVae) -> None:
    before, frame = frames(2)
    large, negative = np.full((7, 9), K), np.full((7, 9), -2)
    wrong: list[Callable[[], Any]] = [
        lambda: model.bits(frame, before[1:]),
        lambda: model.bits(large, before),
        lambda: model.bits(np.full((7, 9), NOTHING), before),
        lambda: model.bits(frame, negative),
        lambda: model.bits(frame, before, 4),
        lambda: model.draw(before, -1, sampler=Sampler(0)),
        lambda: model.draw(large, sampler=Sampler(0)),
        lambda: model.draw(before[:0], sampler=Sampler(0)),
        lambda: model.frame_samples(large),
        lambda: model.frame_indices(np.zeros((28, 37, 3), np.uint8)),
        lambda: model.frame_indices(np.zeros((28, 36), np.uint8)),
        lambda: model.frame_indices(np.zeros((0, 36, 3), np.uint8)),
        lambda: model.action("jump"),
    ]
    for call in wrong:
        with pytest.raises(ValueError):  # noqa: PT011  (each has its own text)
            call()
    assert [model.action(name) for name in ACTIONS] == [1, 2, 3]


def test_pictures_are_refused(model: ClipVqVae) -> None:
    with pytest.raises(ModelError, match="tiny is a model of clips, not of pictures"):
        vqcodec.compress(photo(36, 28), model=model)


def table(name: str, **values: Any) -> Change:
    def change(tensors: Tensors, metadata: dict[str, Any]) -> None:
        metadata[name] |= values

    return change


def tensor(name: str, make: Callable[[np.ndarray], np.ndarray]) -> Change:
    def change(tensors: Tensors, metadata: dict[str, Any]) -> None:
        tensors[name] = make(tensors[name])

    return change


def without(name: str) -> Change:
    def change(tensors: Tensors, metadata: dict[str, Any]) -> None:
        del (tensors if name in tensors else metadata)[name]

    return change


def filled(value: int) -> Callable[[np.ndarray], np.ndarray]:
    return lambda values: np.full_like(values, value)


HOSTILE = {
    "no clip": without("clip"),
    "no temporal": without("temporal"),
    "actions of no text": table("clip", actions=[1, 2, 3]),
    "a text of actions": table("clip", actions="abc"),
    "an action twice": table("clip", actions=["a", "a", "b"]),
    "an action without a name": table("clip", actions=["a", "", "b"]),
    "an action that commands a terminal": table("clip", actions=["a", "\x1b[2J", "b"]),
    "a long action": table("clip", actions=["a" * 65, "b", "c"]),
    "an action less": table("clip", actions=["a", "b"]),
    "many actions": table("clip", actions=[str(n) for n in range(256)]),
    "a rate of 0": table("clip", frames_per_second=0.0),
    "a rate that is no number": table("clip", frames_per_second=float("nan")),
    "an endless rate": table("clip", frames_per_second=float("inf")),
    "a further key": table("clip", more=1),
    "an embedding of 0": table("temporal", embedding=0),
    "an embedding of 42": table("temporal", embedding=42),
    "channels of 116": table("temporal", channels=116),
    "-1 layers": table("temporal", layers=-1),
    "endless layers": table("temporal", layers=1 << 40),
    "another width": table("temporal", channels=11),
    "two codebooks": table("prior", codebook_size=K + 1),
    "no embedding": without("temporal.embedding"),
    "no actions": without("temporal.actions"),
    "no layer": without("temporal.layers.0.weight"),
    "no shift": without("temporal.output.shift"),
    "an embedding of -128": tensor("temporal.embedding", filled(-128)),
    "an embedding of 16 bits": tensor("temporal.embedding", lambda v: v.astype(np.int16)),
    "actions of 32 bits": tensor("temporal.actions", lambda v: v.astype(np.int32)),
    "a weight of -128": tensor("temporal.output.weight", filled(-128)),
    "a shift of 21": tensor("temporal.first.shift", filled(21)),
    "a sum of 2^24": tensor("temporal.layers.0.bias", filled(1 << 24)),
    "a sum of -2^31": tensor("temporal.first.bias", filled(-(1 << 31))),
    "the prior's sum": tensor("prior.first.bias", filled(1 << 24)),
}


@pytest.mark.parametrize("change", HOSTILE.values(), ids=HOSTILE)
def test_hostile_models_are_refused(data: bytes, change: Change) -> None:
    load.parse_model(data, sha256="")
    reference_clip.load(data)
    wrong = changed(data, change)
    with pytest.raises(ModelCorruptError):
        load.parse_model(wrong, sha256="")
    with pytest.raises(reference.ModelError):
        reference_clip.load(wrong)


@pytest.mark.parametrize("size", [(7, 9), (1, 5)])
@pytest.mark.parametrize("first", [False, True])
def test_the_reference_has_the_same_costs_and_draws(
    model: ClipVqVae, data: bytes, first: bool, size: tuple[int, int]
) -> None:
    other = reference_clip.load(data)
    before, frame = frames(2, *size)
    if first:
        before = np.full_like(before, NOTHING)
    else:
        before[0, 1:3] = NOTHING
    for action in (0, 3):
        bits = model.bits(frame, before, action)
        assert bits == pytest.approx(other.bits(frame, before, action), rel=1e-9)
        drawn = model.draw(before, action, sampler=Sampler(0))
        # The sampler's bits of the key 0 are those of the reference.
        assert np.array_equal(other.draw(before, action, reference.draws()), drawn)


def test_extreme_models_stay_exact(data: bytes) -> None:
    """Every number as large as the checks let it be: both arithmetics still agree."""

    def change(tensors: Tensors, metadata: dict[str, Any]) -> None:
        rng = np.random.default_rng(3)
        for name in ("first", "layers.0", "output"):
            weight = tensors[f"temporal.{name}.weight"]
            weight[:] = rng.choice([-127, 127], size=weight.shape)
            room = (1 << 24) - 1 - 127 * 127 * weight.shape[1]
            bias = tensors[f"temporal.{name}.bias"]
            bias[:] = rng.choice([-room, room], size=bias.shape)
            tensors[f"temporal.{name}.shift"][:] = rng.integers(0, 21, bias.shape)
        tensors["temporal.embedding"][:] = rng.choice([-127, 127], size=(K, 5))
        tensors["temporal.actions"][:] = rng.choice([-32768, 32767], size=(4, 12))

    file = changed(data, change)
    one, other = (parse_model(file, sha256="", dtype=kind) for kind in (np.float32, np.float64))
    before, frame = frames(2)
    for action in range(4):
        np.testing.assert_array_equal(
            one.temporal.offsets(before, action), other.temporal.offsets(before, action)
        )
        assert one.bits(frame, before, action) == other.bits(frame, before, action)
