"""Two stages: a whole small picture in a few indices, from training to pixels."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import Run, photo
from PIL import Image
from test_training import Silent

import vqcodec
from vqcodec.container import Header, Mode, parse
from vqcodec.engines.engine import VARIABLE
from vqcodec.errors import CorruptError, PictureShapeError, TokensError
from vqcodec.models.config import AutoencoderConfig, PriorConfig
from vqcodec.models.config_two_stage import SecondStageConfig
from vqcodec.models.two_stage import TwoStage, parse_model
from vqcodec.networks.autoencoder import Decoder, Encoder, codeword_images
from vqcodec.networks.model_files import TwoStageParts, write_two_stage
from vqcodec.networks.second_stage import SecondDecoder, SecondEncoder
from vqcodec.prior import units
from vqcodec.prior.context import Context
from vqcodec.prior.uniform import uniform_prior
from vqcodec.tokens.coding import to_image, to_vqc, tokenize
from vqcodec.training.architectures import load_recipe
from vqcodec.training.config import DataConfig
from vqcodec.training.config_two_stage import TwoStageRecipe
from vqcodec.training.data import Pictures
from vqcodec.training.index_cache import Indices
from vqcodec.training.loop import InterruptedRunError
from vqcodec.training.run import train
from vqcodec.training.second_stage import SecondStage

CPU = torch.device("cpu")
FIRST = AutoencoderConfig(hidden=8, residual_blocks=1, code_dim=6, codebook_size=20)
SECOND = SecondStageConfig(
    side=9, codebook_size=512, code_dim=5, hidden=8, residual_blocks=1, condition=12
)
PRIOR = PriorConfig(codebook_size=20, embedding=4, channels=10, layers=2)
WHOLE = slice(0, 1), slice(0, 1)
RECIPE = """
architecture = "vqvae-two-stage-1"
name = "tiny"
seed = 3
[autoencoder]
hidden = 8
residual_blocks = 1
code_dim = 6
codebook_size = 16
[second]
side = 6
latents = 2
codebook_size = 8
code_dim = 4
hidden = 8
residual_blocks = 1
condition = 12
[prior]
codebook_size = 16
embedding = 4
channels = 12
layers = 1
[data]
scale = [1.0, 1.0]
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
integer_from = 0.75
validate_every = 4
checkpoint_every = 2
[train.latents]
plain_steps = 2
revive_every = 3
pool = 16
"""


@pytest.fixture(scope="module")
def parts() -> TwoStageParts:
    """Networks that nobody trained, whose logits differ much."""
    torch.manual_seed(5)
    decoder = SecondDecoder(SECOND, PRIOR)
    with torch.no_grad():
        decoder.prior.output.weight *= 4.0
        decoder.condition.latents *= 2.0
    return TwoStageParts(
        first=FIRST,
        encoder=Encoder(FIRST),
        codebook=torch.randn(20, 6) * 0.3,
        decoder=Decoder(FIRST),
        second=SECOND,
        second_encoder=SecondEncoder(SECOND, 6),
        codebooks=torch.randn(3, 512, 5) * 0.3,
        prior=PRIOR,
        second_decoder=decoder,
    )


@pytest.fixture(scope="module")
def data(parts: TwoStageParts) -> bytes:
    return write_two_stage(parts, name="tiny", licence="CC0-1.0", description="random")


@pytest.fixture(scope="module")
def model(data: bytes) -> TwoStage:
    return parse_model(data, sha256="5a" * 32)


@pytest.mark.usefixtures("level")
@pytest.mark.parametrize("prior", [True, False])
@pytest.mark.parametrize("size", [(36, 36), (36, 5), (1, 1), (20, 33)])
def test_a_picture_takes_four_bytes(model: TwoStage, size: tuple[int, int], prior: bool) -> None:
    file = vqcodec.compress(photo(*size), model=model, prior=prior)
    container = parse(file)
    assert container.header.mode is (Mode.PRIOR if prior else Mode.FIXED)
    assert [len(tile) for tile in container.tiles] == [4]  # 3 of 512 codewords: 27 bits
    assert vqcodec.indices(file, model=model).shape == (1, 1, 3)
    assert vqcodec.decompress(file, model=model).size == size


@pytest.mark.parametrize("groups", [1, 3, 5])
@pytest.mark.parametrize("size", [2, 3, 512])
def test_all_indices_of_latents_cost_the_same(groups: int, size: int) -> None:
    prior = uniform_prior(groups, size)
    context = Context(prior, [(2, 2)])
    assert prior.parts == ((groups, size),)
    for step in context.steps():
        positions = len(step.place)
        logits = context.logits(0, slice(None))
        assert logits.shape == (groups, positions, size)
        assert not logits.any()
        context.put(0, np.full((positions, groups), size - 1))


def test_what_is_drawn_is_the_same_in_both_arithmetics(model: TwoStage, data: bytes) -> None:
    double = parse_model(data, sha256="", dtype=np.float64)
    rng = np.random.default_rng(1)
    grids = []
    for indices in rng.integers(512, size=(6, 3)):
        grid = model.second_decoder.draw(indices)
        assert np.array_equal(grid, double.second_decoder.draw(indices))
        assert np.array_equal(grid, model.second_decoder.draw(indices))
        grids.append(grid)
    assert len({grid.tobytes() for grid in grids}) == 6
    assert len(np.unique(grids)) > 10


def test_latents_decide_the_picture(model: TwoStage) -> None:
    """Each of them does; and files with the same indices are the same picture."""
    base = np.array([[[4, 5, 6]]])
    drawn = model.coarse_features(base, 0, WHOLE)
    for latent in range(3):
        other = base.copy()
        other[0, 0, latent] += 1
        assert not np.array_equal(model.coarse_features(other, 0, WHOLE), drawn)


def test_training_computes_the_same_integers(model: TwoStage, parts: TwoStageParts) -> None:
    indices = np.array([7, 300, 511])
    grid = model.second_decoder.draw(indices)
    drawer = model.second_decoder
    context = Context(drawer.prior, [grid.shape], drawer.condition.offsets(indices))
    found = np.zeros((20, *grid.shape))
    for step in context.steps():
        found[:, step.row, step.column] = context.logits(0, slice(None))[0].T
        context.put(0, grid[step.row, step.column][:, None])
    codewords = parts.codebooks[torch.arange(3), torch.from_numpy(indices)][None]
    with torch.inference_mode():
        logits = parts.second_decoder(
            torch.from_numpy(grid.astype(np.int64))[None], codewords, integer=True
        )
    expected = logits[0].numpy() * 2.0**units.FRACTION_LOGIT
    assert np.ptp(expected) > 100
    np.testing.assert_array_equal(found, expected)


def test_a_blind_decoder_sees_the_latents_alone(parts: TwoStageParts) -> None:
    grids, codewords = torch.randint(20, (4, 9, 9)), torch.randn(2, 3, 5).repeat(2, 1, 1)
    with torch.inference_mode():
        logits = parts.second_decoder(
            grids, codewords, seen=torch.tensor([0.0, 0.0, 0.0, 1.0]), integer=True
        )
        seeing = parts.second_decoder(grids, codewords, integer=True)
    assert torch.equal(logits[0], logits[2])
    assert not torch.equal(logits[0], logits[1])
    assert not torch.equal(logits[1], logits[3])
    assert torch.equal(logits[3], seeing[3])


@pytest.mark.parametrize("engine", ["onnxruntime", "torch"])
@pytest.mark.parametrize("side", [4, 6, 9, 21, 32])
def test_the_second_encoder_is_torchs(
    engine: str, side: int, parts: TwoStageParts, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip(engine)
    monkeypatch.setenv(VARIABLE, engine)
    torch.manual_seed(side)
    config = SecondStageConfig(
        side=side, codebook_size=7, code_dim=5, hidden=8, residual_blocks=1, condition=2
    )
    made = TwoStageParts(
        first=FIRST,
        encoder=parts.encoder,
        codebook=parts.codebook,
        decoder=parts.decoder,
        second=config,
        second_encoder=SecondEncoder(config, 6).half().float(),
        codebooks=torch.randn(3, 7, 5),
        prior=PRIOR,
        second_decoder=SecondDecoder(config, PRIOR),
    )
    file = write_two_stage(made, name="x", licence="", description="")
    loaded = parse_model(file, sha256="")
    grid = torch.randint(20, (1, side, side))
    with torch.inference_mode():
        codewords = codeword_images(parts.codebook, grid)
        latents = made.second_encoder(codewords)[0]
        nearest = torch.cdist(latents[:, None], made.codebooks)[:, 0].argmin(1)
    given = loaded.second_encoder.run(codewords[0].numpy())
    np.testing.assert_allclose(given.reshape(3, 5), latents.numpy(), atol=1e-4)
    measured = loaded.measure(grid.numpy().reshape(-1, 1, 1), WHOLE)
    assert measured.tolist() == [[nearest.tolist()]]


@pytest.mark.parametrize("size", [(37, 36), (36, 37), (500, 400)])
def test_larger_pictures_are_refused(model: TwoStage, size: tuple[int, int]) -> None:
    with pytest.raises(PictureShapeError, match="tiny takes at most 36x36"):
        vqcodec.compress(photo(*size), model=model)
    with pytest.raises(ValueError, match="cannot be drawn"):
        vqcodec.sample(model, size=size)


def test_files_of_larger_pictures_are_refused(model: TwoStage) -> None:
    file = parse(vqcodec.compress(photo(36, 36), model=model))
    header = file.header
    for shape in ((37, 36), (36, 37), (128, 128), (300, 1)):
        larger = Header(
            mode=Mode.FIXED,
            shape=shape,
            model=header.model,
            stride_log2=header.stride_log2,
            tile_log2=header.tile_log2,
        )
        tiles = (bytes(-(-27 * np.prod(larger.grid) // 8)),)
        wrong = vqcodec.container.serialise(vqcodec.container.Container(header=larger, tiles=tiles))
        with pytest.raises(CorruptError, match="the model's are at most"):
            vqcodec.decompress(wrong, model=model)


def test_samples_are_as_large_as_the_model_s_pictures(model: TwoStage) -> None:
    drawn = vqcodec.sample(model, count=3, seed=2)
    assert {image.size for image in drawn} == {(36, 36)}
    assert len({image.tobytes() for image in drawn}) == 3


def test_the_program_writes_and_reads_them(
    run: Run, data: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("tiny.safetensors").write_bytes(data)
    photo(36, 30).save("x.png")
    model = ("--model", "tiny.safetensors")
    for command in (
        ("compress", "x.png", *model, "-o", "x.vqc"),
        ("decompress", "x.vqc", *model, "-o", "y.png"),
        ("sample", "tiny.safetensors", "-n", "4", "-o", "s.png"),
    ):
        assert run(*command).code == 0, command
    assert Image.open("y.png").size == (36, 30)
    assert Image.open("s.png").size == (74, 74)


@pytest.fixture
def frames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for folder, count in (("train", 8), ("validation", 4)):
        Path(folder).mkdir()
        for number in range(count):
            photo(24, 24, seed=number + 10 * (count == 4)).save(Path(folder, f"{number}.png"))
    Path("tiny.toml").write_text(RECIPE)
    return tmp_path


def recipe(changes: dict[str, str] | None = None) -> TwoStageRecipe:
    loaded = load_recipe(Path("tiny.toml"), changes)
    assert isinstance(loaded, TwoStageRecipe)
    return loaded


def trained(name: str, reporter: Silent, *, resume: bool = False) -> Path:
    return train(
        recipe(),
        data=Path("train"),
        validation=Path("validation"),
        out=Path(f"{name}.safetensors"),
        run=Path(f"{name}.run"),
        resume=resume,
        device=CPU,
        reporter=reporter,
    )


@pytest.mark.usefixtures("frames")
def test_a_run_makes_a_model_of_what_it_trained() -> None:
    reporter = Silent()
    path = trained("x", reporter)
    stages = [(name, step) for name, step, _ in reporter.figures]
    assert stages == [("autoencoder", 3), ("autoencoder", 6), ("prior", 4), ("prior", 8)]
    figures = reporter.figures[-1][2]
    assert figures["integer_bits"] == pytest.approx(figures["float_bits"], rel=0.05)
    assert 0.0 < figures["used"] <= 1.0
    image = photo(24, 24)
    file = vqcodec.compress(image, model=path)
    assert vqcodec.decompress(file, model=path).size == image.size
    assert len(parse(file).tiles[0]) == 4  # 2 of 8 codewords: one word


@pytest.mark.usefixtures("frames")
@pytest.mark.parametrize("stop_at", [("autoencoder", 5), ("prior", 1), ("prior", 5)])
def test_a_stopped_run_goes_on_as_if_nothing_had_been(stop_at: tuple[str, int]) -> None:
    whole = trained("whole", Silent()).read_bytes()
    with pytest.raises(InterruptedRunError):
        trained("cut", Silent(stop_at))
    assert trained("cut", Silent(), resume=True).read_bytes() == whole


def second_stage(given: TwoStageRecipe, grids: list[list[Indices]]) -> SecondStage:
    pictures = Pictures(sorted(Path("train").glob("*.png"))[: len(grids)], DataConfig())
    checked = [views[0] for views in grids]
    return SecondStage(given, grids, pictures, checked, torch.randn(16, 6), CPU)


@pytest.mark.usefixtures("frames")
def test_latents_are_used_beside_a_strong_decoder() -> None:
    """Each half of the grids has one of four values, which no index before its first tells."""
    rng = np.random.default_rng(0)
    grids = []
    for number in range(8):
        grid = np.repeat([[number % 4] * 6, [4 + number // 2] * 6], 3, axis=0).astype(np.uint16)
        grid[:, 3:] += 8 * rng.integers(2, size=(6, 3)).astype(np.uint16)  # noise costs its bits
        grids.append([grid % 16])
    changes = {"train.prior.steps": "400", "train.prior.batch": "8", "train.precision": "'float32'"}
    changes |= {"train.latents.plain_steps": "60", "train.prior.decay": "0.0"}
    given = recipe(changes)
    stage = second_stage(given, grids)
    optimiser = torch.optim.Adam(stage.module.parameters(), lr=1e-2)
    stage.module.train()
    for step in range(160):
        loss, _ = stage.loss(stage.batch(step), step)
        optimiser.zero_grad()
        loss.backward()
        if step == 100:
            for name, parameter in stage.module.named_parameters():
                assert parameter.grad is not None, name
                assert bool(parameter.grad.any()), name
        optimiser.step()
        stage.after(stage.batch(step), step)
    stage.module.eval()
    figures = stage.validate()
    assert figures["other_bits"] > figures["float_bits"] + 0.3


@pytest.mark.usefixtures("frames")
@pytest.mark.parametrize(
    ("key", "value", "named"),
    [
        ("second.side", "3", r"second\.side"),
        ("second.latents", "0", r"second\.latents"),
        ("second.condition", "193", r"second\.condition"),
        ("train.prior.crop", "7", r"train\.prior\.crop"),
        ("train.latents.pool", "7", r"train\.latents\.pool"),
        ("train.latents.gamma", "1.0", "gamma"),
        ("train.latents.blind", "1.5", "blind"),
        ("start", "'x.safetensors'", "start"),
    ],
)
def test_wrong_recipes_name_the_key(key: str, value: str, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        recipe({key: value})


@pytest.mark.usefixtures("frames")
def test_frames_are_at_least_as_large_as_the_grid() -> None:
    for path in Path("validation").iterdir():
        photo(23, 24).save(path)
    with pytest.raises(ValueError, match="no validation picture is at least 24 pixels"):
        trained("x", Silent())


def test_tokens_are_of_pictures_that_the_model_takes(model: TwoStage) -> None:
    tokens = tokenize(photo(36, 30), model=model)
    assert tokens.indices.shape == (1, 1, 3)
    assert to_image(tokens, model=model).size == (36, 30)
    with pytest.raises(TokensError, match="37x30 pixels are more than tiny takes"):
        to_vqc(replace(tokens, shape=(30, 37)), model=model)
