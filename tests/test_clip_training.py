"""Training of clips: from folders of frames and actions to a model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import photo
from PIL import Image
from safetensors.numpy import load_file
from test_training import Silent

import vqcodec
from vqcodec.models.clip import ClipVqVae
from vqcodec.models.config_clip import ClipConfig
from vqcodec.training.architectures import load_recipe
from vqcodec.training.clip_prior import ClipPriorStage, IndexedClips
from vqcodec.training.clips import ACTIONS_FILE, clips_of
from vqcodec.training.config_clip import ClipRecipe
from vqcodec.training.data import find_pictures
from vqcodec.training.loop import InterruptedRunError
from vqcodec.training.run import train

CPU = torch.device("cpu")
RECIPE = """
architecture = "vqvae-clip-1"
name = "tiny"
seed = 3
[autoencoder]
hidden = 8
residual_blocks = 1
code_dim = 6
codebook_size = 16
[prior]
codebook_size = 16
embedding = 4
channels = 12
layers = 1
[temporal]
embedding = 6
channels = 16
layers = 1
[clip]
actions = ["left", "right"]
frames_per_second = 8.0
[data]
scale = [1.0, 1.0]
[train]
precision = "float32"
[train.autoencoder]
steps = 6
batch = 4
crop = 24
plain_steps = 2
validate_every = 3
checkpoint_every = 2
[train.prior]
steps = 8
batch = 4
crop = 6
learning_rate = 4e-3
integer_from = 0.5
validate_every = 4
checkpoint_every = 2
"""


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("tiny.toml").write_text(RECIPE)


@pytest.fixture
def walks() -> None:
    """Two clips to train on, frames of 24x28, and one to validate on."""
    for number, folder in enumerate(("train/a", "train/b", "validation/c")):
        wide = photo(60, 28, seed=number)
        Path(folder).mkdir(parents=True)
        for frame in range(5):
            wide.crop((6 * frame, 0, 6 * frame + 24, 28)).save(Path(folder, f"{frame}.png"))
        if number:
            Path(folder, ACTIONS_FILE).write_text("\nright\n\nright\nright\n")


def recipe(changes: dict[str, str] | None = None) -> ClipRecipe:
    loaded = load_recipe(Path("tiny.toml"), changes)
    assert isinstance(loaded, ClipRecipe)
    return loaded


def trained(
    name: str, reporter: Silent, *, validation: str = "validation", resume: bool = False
) -> Path:
    return train(
        recipe(),
        data=Path("train"),
        validation=Path(validation),
        out=Path(f"{name}.safetensors"),
        run=Path(f"{name}.run"),
        resume=resume,
        device=CPU,
        reporter=reporter,
    )


@pytest.mark.usefixtures("walks")
def test_a_run_makes_a_model_of_what_it_trained() -> None:
    reporter = Silent()
    path = trained("x", reporter, validation="train")
    stages = [(name, step) for name, step, _ in reporter.figures]
    assert stages == [("autoencoder", 3), ("autoencoder", 6), ("prior", 4), ("prior", 8)]
    figures = reporter.figures[-1][2]
    assert figures["integer_bits"] == pytest.approx(figures["float_bits"], rel=0.05)
    model = vqcodec.load_model(path)
    assert isinstance(model, ClipVqVae)
    assert model.clip == ClipConfig(actions=("left", "right"), frames_per_second=8.0)
    assert model.frame_indices(np.asarray(Image.open("train/a/0.png"))).shape == (7, 6)
    # What validation says is what the integers cost.
    indexed = load_file("x.run/indices.safetensors")
    known = {"0": (0, 0, 0, 0), "1": (2, 0, 2, 2)}
    pairs = [
        (frame[:6], before[:6], action)
        for name in known
        for frame, before, action in zip(
            indexed[name][1:], indexed[name], known[name], strict=False
        )
    ]
    for name, bits in (
        ("integer_bits", [model.bits(*pair) for pair in pairs]),
        ("unknown_bits", [model.bits(*pair[:2]) for pair in pairs]),
        ("alone_bits", [model.bits(pair[0], model.nothing(24, 24)) for pair in pairs]),
    ):
        assert np.mean(bits) / 36 == pytest.approx(figures[name], abs=1e-5)


@pytest.mark.usefixtures("walks")
@pytest.mark.parametrize("steadiness", [0.0, 0.2, 100.0])
def test_training_sees_the_indices_that_files_have(steadiness: float) -> None:
    path = train(
        recipe({"train.prior.steadiness": str(steadiness)}),
        data=Path("train"),
        validation=Path("validation"),
        out=Path("x.safetensors"),
        run=Path("x.run"),
        resume=False,
        device=CPU,
        reporter=Silent(),
    )
    frames = [np.asarray(Image.open(f"train/a/{number}.png")) for number in range(5)]
    data = vqcodec.compress_clip(np.stack(frames), model=path, steadiness=steadiness)
    indices = vqcodec.indices(data, model=path)[..., 0]
    seen = load_file("x.run/indices.safetensors")["0"]
    # The model's encoder has weights of 16 bits, which can make another codeword the nearest.
    assert (indices == seen).mean() > 0.97
    assert (seen[1:] == seen[:-1]).all() == (steadiness == 100.0)


@pytest.mark.usefixtures("walks")
@pytest.mark.parametrize("stop_at", [("autoencoder", 5), ("prior", 1), ("prior", 5)])
def test_a_stopped_run_goes_on_as_if_nothing_had_been(stop_at: tuple[str, int]) -> None:
    whole = trained("whole", Silent()).read_bytes()
    with pytest.raises(InterruptedRunError):
        trained("cut", Silent(stop_at))
    assert trained("cut", Silent(), resume=True).read_bytes() == whole


def shifted(count: int, seed: int) -> IndexedClips:
    """Clips of noise that an action shifts a column to the left or to the right."""
    rng = np.random.default_rng(seed)
    clips, actions = [], []
    for _ in range(count):
        frames = [rng.integers(16, size=(6, 6))]
        chosen = [0]
        for _ in range(4):
            chosen.append(int(rng.integers(1, 3)))
            frames.append(np.roll(frames[-1], (-1, 1)[chosen[-1] - 1], axis=1))
        clips.append(np.stack(frames).astype(np.uint16))
        actions.append(chosen)
    return IndexedClips(clips, actions)


def test_the_prior_learns_what_an_action_does() -> None:
    """Of noise nothing else can be known: frames alone cost 4 bits an index."""
    changes = {"train.prior.steps": "300", "train.prior.batch": "16", "train.prior.decay": "0.0"}
    given = recipe(changes | {"train.prior.integer_from": "0.6"})
    stage = ClipPriorStage(given, shifted(60, 1), shifted(6, 2), torch.randn(16, 6), CPU)
    optimiser = torch.optim.Adam(stage.module.parameters(), lr=2e-2)
    stage.module.train()
    for step in range(220):
        loss, _ = stage.loss(stage.batch(step), step)
        optimiser.zero_grad()
        loss.backward()
        if step == 20:
            for name, parameter in stage.module.named_parameters():
                assert parameter.grad is not None, name
                assert bool(parameter.grad.any()), name
        optimiser.step()
    stage.module.eval()
    figures = stage.validate()
    assert figures["alone_bits"] > 3.8
    assert figures["integer_bits"] < 0.5 * figures["unknown_bits"] < 0.5 * figures["alone_bits"]
    assert figures["integer_bits"] == pytest.approx(figures["float_bits"], abs=0.15)


def test_draws_are_tiles_of_both_frames_at_one_place() -> None:
    rng = np.random.default_rng(0)
    # Each index tells its clip, frame, row and column apart: the frame after adds 1.
    base = np.arange(9 * 8).reshape(1, 9, 8) * 40 + np.arange(4)[:, None, None]
    clips = IndexedClips([(base + 10 * clip).astype(np.uint16) for clip in range(3)], [[0] * 4] * 3)
    small = IndexedClips([rng.integers(16, size=(2, 6, 6)).astype(np.uint16)], [[0, 0]])
    stage = ClipPriorStage(recipe(), clips, small, torch.randn(16, 6), CPU)
    seen = set()
    for step in range(300):
        batch = stage.batch(step)
        assert torch.equal(batch, stage.batch(step))
        assert batch.shape == (4, 2, 6, 6)
        assert torch.equal(batch[:, 1], batch[:, 0] + 1)
        seen |= {int(first) for first in batch[:, 0, 0, 0]}
    assert len(seen) == 3 * 3 * 4 * 3  # clips, frames, rows and columns


@pytest.mark.parametrize(
    ("key", "value", "named"),
    [
        ("temporal.channels", "116", r"temporal\.channels"),
        ("temporal.embedding", "0", r"temporal\.embedding"),
        ("temporal.layers", "9", r"temporal\.layers"),
        ("clip.actions", "['a', 'a']", r"clip\.actions"),
        ("clip.actions", "['']", r"clip\.actions"),
        ("clip.frames_per_second", "0.0", r"clip\.frames_per_second"),
        ("train.prior.views", "2", r"train\.prior\.views"),
        ("train.prior.alone", "1.5", "alone"),
        ("train.prior.unknown", "-0.5", "unknown"),
        ("train.prior.steadiness", "-1.0", "steadiness"),
        ("start", "'x.safetensors'", "start"),
    ],
)
def test_wrong_recipes_name_the_key(key: str, value: str, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        recipe({key: value})


def actions(text: str | bytes) -> Callable[[], object]:
    def change() -> None:
        data = text if isinstance(text, bytes) else text.encode()
        Path("train/b", ACTIONS_FILE).write_bytes(data)

    return change


@pytest.mark.usefixtures("walks")
@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda: photo(28, 28).save("train/b/1.png"), r"b: frames are not of one size"),
        (actions("\nright\n"), r"b/actions.txt: 2 actions of 5 frames"),
        (actions("\nright\nright\nright\nright\nleft\n"), r"b/actions.txt: 6 actions of 5 frames"),
        (actions("\nright\nup\nright\nright\n"), r"b/actions.txt: 'up' is none of clip.actions"),
        (actions(b"\nright\n\xff\nright\nright\n"), r"b/actions.txt: not a text"),
    ],
)
def test_wrong_clips_name_the_file(change: Callable[[], object], named: str) -> None:
    change()
    with pytest.raises(ValueError, match=named):
        trained("x", Silent())


@pytest.mark.usefixtures("walks")
def test_clips_are_folders_of_frames() -> None:
    config = recipe().clip
    photo(24, 28).save("train/alone.png")
    clips = clips_of(find_pictures(Path("train")), config, 24)
    assert [[path.name for path in clip.frames] for clip in clips] == [
        [f"{frame}.png" for frame in range(5)]
    ] * 2
    assert [clip.actions for clip in clips] == [(0,) * 5, (0, 2, 0, 2, 2)]
    with pytest.raises(ValueError, match="at least 28 pixels"):
        clips_of(find_pictures(Path("train")), config, 28)
    with pytest.raises(ValueError, match="no clips"):
        clips_of([Path("train/alone.png")], config, 24)


@pytest.mark.usefixtures("walks")
def test_clips_need_others_to_validate_on() -> None:
    with pytest.raises(ValueError, match="a folder of others"):
        train(
            recipe(),
            data=Path("train"),
            out=Path("x.safetensors"),
            run=Path("run"),
            resume=False,
            device=CPU,
            reporter=Silent(),
        )
