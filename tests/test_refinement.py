"""Encoding effort: refined indices are better or not taken, and everything else stays as it is."""

from __future__ import annotations

import io
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from block_model import TRANSFORM, block_photo
from conftest import Run, one_line_error, photo
from numpy.typing import NDArray
from PIL import Image

import vqcodec
import vqcodec.pillow
from vqcodec import processors
from vqcodec.codec import effort as efforts
from vqcodec.codec.effort import TUNES, Effort
from vqcodec.codec.search import Wish
from vqcodec.codec.transform import decode_indices, measure_pixels
from vqcodec.container import Header, Mode, parse
from vqcodec.image.pipeline import Encoded, confirm, encode
from vqcodec.image.reading import picture_of
from vqcodec.image.refining import Refinement, refiner_of
from vqcodec.metrics import psnr
from vqcodec.models.photo import Photo
from vqcodec.models.vqvae import VqVae
from vqcodec.networks.distortion import MS_SSIM_SIDE
from vqcodec.networks.model_files import write_photo
from vqcodec.refinement import windows as refinement_windows
from vqcodec.refinement.refiner import Refiner, load_refiner
from vqcodec.refinement.windows import waves, windows
from vqcodec.registry.load import load_model

STEPS = 40
"""Of every effort in these tests."""


@pytest.fixture(autouse=True)
def few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(efforts, "_STEPS", STEPS)
    monkeypatch.setattr(efforts, "_GROWTH", 1.0)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "blocks.safetensors"
    path.write_bytes(write_photo(block_photo(), name="blocks", licence="CC0-1.0", description="-"))
    return path


@pytest.fixture(scope="module")
def blocks(path: Path) -> Photo:
    model = load_model(path)
    assert isinstance(model, Photo)
    return model


def pixels(width: int = 96, height: int = 80) -> NDArray[np.uint8]:
    return np.asarray(photo(width, height, seed=9))


def cost(encoded: Encoded, model: Photo, effort: Effort, multiplier: float) -> float:
    """Bits and weighed distortion of what a decoder makes of a file."""
    decoded = np.asarray(vqcodec.decompress(encoded.data, model=model))
    refiner = load_refiner(model, effort, "cpu")
    distortion = refiner.distortions(encoded.header, encoded.picture.pixels, decoded).sum()
    return 8 * len(encoded.data) + multiplier * float(distortion)


def noted_multipliers(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return a list of what refinement finds that distortion is worth, which grows as it does."""
    multipliers: list[float] = []

    def noted(refinement: Refinement, *arguments: Any) -> float | None:
        multipliers.append(found := original(refinement, *arguments))
        return found

    original = Refinement._multiplier
    monkeypatch.setattr(Refinement, "_multiplier", noted)
    return multipliers


def few_threads(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    """Let work be shared by so many threads, whatever this machine has."""
    monkeypatch.setattr(processors, "threads", lambda: count)


@pytest.mark.parametrize("tune", TUNES)
@pytest.mark.parametrize(("size", "quality"), [((96, 80), 3.0), ((96, 80), 1.4), ((190, 185), 3.0)])
def test_refined_files_cost_less_and_decode_to_their_indices(
    blocks: Photo,
    tune: str,
    size: tuple[int, int],
    quality: float,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    effort = Effort(effort=2, tune=tune)
    multipliers = noted_multipliers(monkeypatch)
    picture, wish = picture_of(pixels(*size), max_pixels=1 << 20), Wish(quality=quality)
    before = encode(picture, blocks, wish)
    after = encode(picture, blocks, wish, refiner=refiner_of(blocks, effort, "cpu"))
    ratio = cost(after, blocks, effort, *multipliers) / cost(before, blocks, effort, *multipliers)
    assert ratio < 1.0 if quality == 3.0 else ratio <= 1.0
    assert (after.data == before.data) == (ratio == 1.0)
    assert np.array_equal(vqcodec.indices(after.data, model=blocks), after.indices)
    confirm(after, after.data, blocks)


def test_tunes_favour_what_they_name(blocks: Photo, monkeypatch: pytest.MonkeyPatch) -> None:
    multipliers = noted_multipliers(monkeypatch)
    picture, wish = picture_of(pixels(190, 185), max_pixels=1 << 20), Wish(quality=3)
    efforts = [Effort(effort=2, tune=tune) for tune in ("psnr", "ms-ssim")]
    made = [encode(picture, blocks, wish, refiner=refiner_of(blocks, e, "cpu")) for e in efforts]
    costs = [
        [cost(encoded, blocks, effort, multiplier) for encoded in made]
        for effort, multiplier in zip(efforts, multipliers, strict=True)
    ]
    assert costs[0][0] < costs[0][1]
    assert costs[1][1] < costs[1][0]


def test_refinement_is_the_same_whenever_it_is_done(blocks: Photo) -> None:
    torch.manual_seed(1)
    first = vqcodec.compress(pixels(), model=blocks, quality=3, effort=2)
    torch.manual_seed(2)
    assert vqcodec.compress(pixels(), model=blocks, quality=3, effort=2) == first


def test_more_steps_and_lower_levels() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.undo()
        steps = [Effort(effort=level).steps for level in range(1, 10)]
    assert steps[0] == 0
    assert all(more >= fewer for fewer, more in pairwise(steps))


def multiplied(blocks: Photo, refine: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> bytes:
    """Compress a picture of several tiles with something else in the place of refinement."""
    monkeypatch.setattr("vqcodec.image.pipeline.TILE_LOG2", 4)
    monkeypatch.setattr(Refiner, "refine", refine)
    return vqcodec.compress(pixels(620, 80), model=blocks, quality=3, effort=2)


def test_what_is_worse_is_not_taken(blocks: Photo, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)

    def worse(
        refiner: Refiner, header: Header, drawn: Any, latents: Any, indices: Any, *_: Any
    ) -> Any:
        return rng.integers(0, 20, indices.shape, dtype=np.int32)

    data = multiplied(blocks, worse, monkeypatch)
    assert data == vqcodec.compress(pixels(620, 80), model=blocks, quality=3)


def test_of_each_tile_the_better_indices_are_taken(
    blocks: Photo, monkeypatch: pytest.MonkeyPatch
) -> None:
    refine = Refiner.refine
    wrong = np.array([False, True, False])

    def half(
        refiner: Refiner, header: Header, drawn: Any, latents: Any, indices: Any, *more: Any
    ) -> Any:
        found = refine(refiner, header, drawn, latents, indices, *more)
        for box, is_wrong in zip(header.tiles(), wrong, strict=True):
            if is_wrong:
                found[box] = 0
        return found

    data = multiplied(blocks, half, monkeypatch)
    plain = vqcodec.compress(pixels(620, 80), model=blocks, quality=3)
    same = [a == b for a, b in zip(parse(data).tiles, parse(plain).tiles, strict=True)]
    assert np.array_equal(same, wrong)


@pytest.mark.parametrize("shape", [(1, 1), (80, 96), (175, 4000), (1025, 1024), (4000, 6000)])
def test_windows_are_bounded_and_every_index_is_in_one(shape: tuple[int, int]) -> None:
    header = Header(
        mode=Mode.PRIOR, quality=1, shape=shape, model=bytes(8), stride_log2=4, tile_log2=6
    )
    covered = np.zeros(header.grid, dtype=int)
    drawn = np.zeros(shape, dtype=int)
    for tile, own in zip(header.tiles(), windows(header), strict=True):
        for window in own:
            covered[window.inner] += 1
            drawn[window.pixels] += 1
            assert max(side.stop - side.start for side in window.drawn) <= 30
            for inner, coded, seen, limit in zip(
                window.inner, window.coded, window.drawn, tile, strict=True
            ):
                assert limit.start <= coded.start <= inner.start < inner.stop <= coded.stop
                assert coded.stop <= limit.stop
                assert seen.start <= coded.start
                assert coded.stop <= seen.stop
            for side, judged in zip(shape, window.judged, strict=True):
                assert 0 <= judged.start < judged.stop <= side
                # MS-SSIM counts in all windows of a picture or in none.
                assert judged.stop - judged.start >= min(side, MS_SSIM_SIDE)
    assert (covered == 1).all()
    assert (drawn == 1).all()


def test_networks_never_see_more_than_a_window(
    blocks: Photo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(efforts, "_STEPS", 1)
    refiner = load_refiner(blocks, Effort(effort=2), "cpu")
    seen: list[tuple[int, ...]] = []
    networks = refiner._networks
    for module in (networks.synthesis, networks.prior):
        module.register_forward_pre_hook(lambda _, given: seen.append(tuple(given[0].shape[2:])))
    large = pixels(1100, 700)
    header = Header(
        mode=Mode.PRIOR,
        quality=2,
        shape=large.shape[:2],
        model=bytes(8),
        stride_log2=4,
        tile_log2=6,
    )
    measured = measure_pixels(blocks, large)
    start = np.zeros((*header.grid, blocks.groups(2)), dtype=np.int32)
    parts: list[float] = []
    found = refiner.refine(header, large, measured, start, 0.01, parts.append)
    assert found.shape == start.shape
    assert len(parts) == sum(map(len, windows(header)))
    assert len(seen) == (2 + 3) * len(parts)  # and three decodings before the first step
    assert max(max(size) for size in seen) <= 30
    assert parts == sorted(parts)
    assert parts[-1] == 1.0


def test_codewords_that_only_fill_up_are_never_taken(blocks: Photo) -> None:
    data = vqcodec.compress(pixels(), model=blocks, quality=3, effort=2)
    grid = vqcodec.indices(data, model=blocks)
    assert not np.array_equal(
        grid, vqcodec.indices(vqcodec.compress(pixels(), model=blocks, quality=3), model=blocks)
    )
    assert (grid < np.array(blocks.codewords(3)) - 2).all()


@pytest.mark.parametrize("part", [0.2, 0.5, 0.8])
def test_targets_are_met_with_no_less_quality(blocks: Photo, part: float) -> None:
    original = pixels()
    low, high = (vqcodec.compress(original, model=blocks, quality=q) for q in (1, 3))
    size = round(len(low) + part * (len(high) - len(low)))
    ends = [psnr(original, np.asarray(vqcodec.decompress(d, model=blocks))) for d in (low, high)]
    least = ends[0] + part * (ends[1] - ends[0])
    found: dict[str, list[tuple[int, float]]] = {"size": [], "psnr": []}
    for effort in (1, 2):
        for name, target in (
            ("size", {"target_size": size}),
            ("psnr", {"target_psnr": least}),
        ):
            data = vqcodec.compress(
                original,
                model=blocks,
                effort=effort,
                tune="psnr" if effort > 1 else "both",
                **target,  # type: ignore[arg-type]
            )
            decoded = np.asarray(vqcodec.decompress(data, model=blocks))
            found[name].append((len(data), psnr(original, decoded)))
    assert found["size"][1][0] <= size
    assert found["size"][1][1] >= found["size"][0][1] - 0.1
    assert found["psnr"][1][1] >= least
    assert found["psnr"][1][0] <= 1.05 * found["psnr"][0][0]


def test_targets_out_of_reach_are_so_at_every_effort(blocks: Photo) -> None:
    for effort in (1, 2):
        with pytest.raises(ValueError, match=r"least .* bytes"):
            vqcodec.compress(pixels(), model=blocks, effort=effort, target_size=30)
        with pytest.raises(ValueError, match=r"most .* dB"):
            vqcodec.compress(pixels(), model=blocks, effort=effort, target_psnr=90.0)


def test_flat_pictures_have_nothing_to_refine(blocks: Photo) -> None:
    flat = np.full((64, 48, 3), 128, dtype=np.uint8)
    for quality in (1, 2, 3):
        plain = vqcodec.compress(flat, model=blocks, quality=quality)
        refined = vqcodec.compress(flat, model=blocks, quality=quality, effort=2)
        assert len(refined) <= len(plain)


def ruled(width: int = 560, height: int = 90) -> NDArray[np.uint8]:
    """A photograph whose left half is ruled paper."""
    drawn = pixels(width, height).copy()
    drawn[:, : width // 2] = 255
    drawn[::9, : width // 2] = 40, 90, 200
    return drawn


def test_tiles_that_hold_pixels_stay_exact(blocks: Photo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vqcodec.image.pipeline.TILE_LOG2", 4)
    effort = Effort(effort=2)
    picture, wish = picture_of(ruled(), max_pixels=1 << 20), Wish(quality=3)
    plain = encode(picture, blocks, wish)
    refined = encode(picture, blocks, wish, refiner=refiner_of(blocks, effort, "cpu"))
    assert refined.header.mode is Mode.MIXED
    assert refined.literal == plain.literal
    assert 0 < len(plain.literal) < plain.header.tile_count
    assert refined.data != plain.data
    assert cost(refined, blocks, effort, 0.01) < cost(plain, blocks, effort, 0.01)
    confirm(refined, refined.data, blocks)
    shown = np.asarray(vqcodec.decompress(refined.data, model=blocks))
    for number in refined.literal:
        box = refined.header.elements_of(refined.header.tiles()[number])
        assert np.array_equal(shown[box], picture.pixels[box])


@pytest.mark.parametrize("target", [{"quality": 3}, {"target_size": 4000}, {"target_psnr": 30.0}])
def test_pictures_that_are_stored_exactly_are_not_refined(
    blocks: Photo, target: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Refiner, "refine", None)
    drawn = np.full((200, 300, 3), 255, dtype=np.uint8)
    drawn[::9] = 40, 90, 200
    data = vqcodec.compress(drawn, model=blocks, effort=9, **target)
    assert np.array_equal(np.asarray(vqcodec.decompress(data)), drawn)


def test_targets_count_tiles_that_hold_pixels(
    blocks: Photo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vqcodec.image.pipeline.TILE_LOG2", 4)
    monkeypatch.setattr(efforts, "_STEPS", STEPS // 4)
    low, high = (vqcodec.compress(ruled(), model=blocks, quality=q) for q in (1, 3))
    ends = [psnr(ruled(), np.asarray(vqcodec.decompress(d, model=blocks))) for d in (low, high)]
    size, least = (len(low) + len(high)) // 2, sum(ends) / 2
    small = vqcodec.compress(ruled(), model=blocks, effort=2, target_size=size)
    good = vqcodec.compress(ruled(), model=blocks, effort=2, target_psnr=least)
    assert parse(small).header.mode is parse(good).header.mode is Mode.MIXED
    assert len(small) <= size
    assert psnr(ruled(), np.asarray(vqcodec.decompress(good, model=blocks))) >= least


def test_lossless_files_have_nothing_to_refine(run: Run) -> None:
    with pytest.raises(ValueError, match="lossless"):
        vqcodec.compress(pixels(), lossless=True, effort=2)
    photo(32, 32).save("a.png")
    result = run("compress", "a.png", "--lossless", "--effort", 2)
    assert "lossless files have no indices" in one_line_error(result, 2)
    assert not Path("a.vqc").exists()


def test_an_interruption_ends_it(blocks: Photo) -> None:
    told: list[float] = []

    def interrupt(part: float) -> None:
        told.append(part)
        if len(told) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        vqcodec.compress(pixels(), model=blocks, quality=3, effort=2, progress=interrupt)
    assert len(told) == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"effort": 0}, "effort is 0"),
        ({"effort": 10}, "effort is 10"),
        ({"effort": 2.5}, "effort is 2.5"),
        ({"effort": True}, "effort is True"),
        ({"tune": "vmaf"}, "tune is 'vmaf'"),
        ({"tune": "psnr"}, "tune psnr needs an effort above 1"),
        (
            {"effort": 1, "tune": "ms-ssim", "lossless": True},
            "tune ms-ssim needs an effort above 1",
        ),
        ({"effort": 2, "prior": False}, "fixed length"),
    ],
)
def test_wrong_arguments(blocks: Photo, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        vqcodec.compress(pixels(), model=blocks, **options)


@pytest.mark.parametrize("tune", sorted(TUNES.keys() - {"both"}))
def test_a_tune_that_would_change_nothing_is_an_error(run: Run, tune: str) -> None:
    Path("some").mkdir()
    for name in ("a.png", "some/b.png"):
        photo(32, 32).save(name)
    for source in ("a.png", "some"):
        error = one_line_error(run("compress", source, "--tune", tune), 2)
        assert f"error: tune {tune} needs an effort above 1" in error
    with pytest.raises(ValueError, match="needs an effort above 1"):
        Image.open("a.png").save(io.BytesIO(), "VQC", tune=tune)
    assert not list(Path().rglob("*.vqc"))


def test_models_without_product_codebooks_have_effort_1_only(
    model_file: Path, model: VqVae, run: Run
) -> None:
    loaded = load_model(model_file)
    with pytest.raises(ValueError, match="'random' has no product codebooks"):
        vqcodec.compress(pixels(), model=loaded, effort=2)
    photo(32, 32).save("a.png")
    result = run("compress", "a.png", "--model", model_file, "--effort", 2)
    assert "no product codebooks" in one_line_error(result, 2)


def test_models_that_were_not_loaded_from_a_file_say_so(
    photo_like: Photo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vqcodec.registry.load._files", {})
    with pytest.raises(vqcodec.ModelError, match="no file is known"):
        vqcodec.compress(pixels(), model=photo_like, effort=2)


def test_without_torch_one_line_says_what_to_install(
    path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vqcodec.image.refining.find_spec", lambda _: None)
    photo(32, 32).save("a.png")
    result = run("compress", "a.png", "--model", path, "--effort", 3)
    assert "effort 3 needs torch: pip install 'vqcodec[torch]'" in one_line_error(result, 2)
    assert not Path("a.vqc").exists()
    assert run("compress", "a.png", "--model", path).code == 0


def test_the_command_line_refines(path: Path, run: Run) -> None:
    photo(96, 80, seed=9).save("a.png")
    common = ("compress", "a.png", "--model", path, "-f", "-q", 3, "--no-mtime")
    plain = run(*common)
    assert plain.code == 0
    before = Path("a.vqc").read_bytes()
    refined = run(*common, "--effort", 2, "--tune", "psnr", "--verify")
    assert refined.code == 0, refined.err
    after = Path("a.vqc").read_bytes()
    assert after != before
    model = load_model(path)
    assert after == vqcodec.compress(
        pixels(), model=model, quality=3, effort=2, tune="psnr", strip=True
    )
    header = parse(after).header
    grid = vqcodec.indices(after, model=model)
    assert grid.shape == (5, 6, model.groups(header.quality))
    assert decode_indices(model, grid, header.quality).shape == (80, 96, 3)
    assert TRANSFORM.qualities == model.qualities


@pytest.mark.parametrize("shape", [(1, 1), (500, 760), (1500, 2000)])
@pytest.mark.parametrize("most", [1, 2, 4])
def test_windows_at_once_have_no_edge_in_common(shape: tuple[int, int], most: int) -> None:
    header = Header(
        mode=Mode.PRIOR, quality=1, shape=shape, model=bytes(8), stride_log2=4, tile_log2=6
    )
    every = [window for tile in windows(header) for window in tile]
    found = list(waves(every, most))
    taken = [every.index(window) for wave in found for window in wave]
    assert sorted(taken) == list(range(len(every)))
    assert len(found) >= len(every) / most
    if len(every) >= 4 and most > 1:
        assert len(found) < len(every)
    for wave in found:
        assert len(wave) <= most
        owners = np.zeros(header.grid, dtype=int)
        for number, window in enumerate(wave, 1):
            owners[window.inner] = number
        for one, next_to in ((owners[1:], owners[:-1]), (owners[:, 1:], owners[:, :-1])):
            assert ((one == next_to) | (one * next_to == 0)).all()


def test_windows_at_once_are_refined_as_well(
    blocks: Photo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refinement_windows, "_SIDE", 64)
    effort = Effort(effort=2)
    picture, wish = picture_of(pixels(190, 185), max_pixels=1 << 20), Wish(quality=3)
    plain = encode(picture, blocks, wish)
    told: list[float] = []
    threads = torch.get_num_threads()
    multipliers = noted_multipliers(monkeypatch)
    costs = []
    for count in (1, 3, 3):
        few_threads(monkeypatch, count)
        refiner = refiner_of(blocks, effort, "cpu")
        made = encode(picture, blocks, wish, refiner=refiner, progress=told.append)
        costs.append(cost(made, blocks, effort, multipliers[-1]))
        assert told == sorted(told)
        told.clear()
    assert costs[1] == costs[2]
    before = cost(plain, blocks, effort, multipliers[-1])
    assert costs[1] < before
    assert abs(costs[1] - costs[0]) < 0.2 * (before - costs[0])
    assert torch.get_num_threads() == threads


def test_an_error_stops_all_windows_at_once(blocks: Photo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refinement_windows, "_SIDE", 64)
    few_threads(monkeypatch, 3)
    steps = 0

    def tell(part: float) -> None:
        nonlocal steps
        steps += 1
        if steps == 5:
            raise KeyboardInterrupt

    picture, wish = picture_of(pixels(190, 185), max_pixels=1 << 20), Wish(quality=3)
    refiner = refiner_of(blocks, Effort(effort=2), "cpu")
    with pytest.raises(KeyboardInterrupt):
        encode(picture, blocks, wish, refiner=refiner, progress=tell)
    assert steps < 5 + 2 * STEPS
