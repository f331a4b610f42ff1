"""The exactness matrix (nightly/README.md) in short: one case, and that it can fail."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import case
import exactness
import numpy as np
import pytest
import torch
from case import How, check
from samples import Sample, vectors

from vqcodec.container import parse, serialise
from vqcodec.engines.engine import VARIABLE
from vqcodec.prior import heads, layer, trunk
from vqcodec.prior.layer import Floats

NAMES = {
    "valid/paper-tiles.vqc",
    "valid/photo-tiles.vqc",
    "limits/sums-largest.vqc",
    "limits/means-clamped.vqc",
}
SAMPLES = [sample for sample in vectors() if sample.name in NAMES]
ALL_OF_IT = next(each for each in exactness.CASES if each.name == "all of it")


@pytest.fixture
def with_torch(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Networks are run by torch."""
    monkeypatch.setenv(VARIABLE, "torch")
    case._load.cache_clear()
    yield
    case._load.cache_clear()


def found(samples: list[Sample]) -> list[list[str]]:
    return [check(sample, How())[0] for sample in samples]


def test_the_same_with_all_of_it_at_once() -> None:
    """In a process of its own: instructions, threads, precisions, grouping."""
    assert len(SAMPLES) == len(NAMES)
    told = exactness.run(ALL_OF_IT, sys.executable, "tiles")
    assert told["differs"] == []
    assert told["threads"] == 2
    tables = {s.name: check(s, How())[1] for s in vectors() if "tiles" in s.name}
    assert told["tables"] == tables


def test_a_matrix_of_nothing_is_not_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    told = exactness.run(exactness.PLAIN, sys.executable, "no-such-file")
    assert "no file's name contains" in told["differs"][0]
    monkeypatch.setattr(sys, "argv", ["exactness", "--only", "no-such-case"])
    with pytest.raises(SystemExit):
        exactness.main()


@contextmanager
def each_operation_in(precision: str) -> Iterator[None]:
    """As a program may ask for it since torch 2.9."""
    operation = torch.backends.mkldnn.matmul
    before = torch.backends.fp32_precision, operation.fp32_precision
    torch.backends.fp32_precision = operation.fp32_precision = precision
    try:
        yield
        assert operation.fp32_precision == precision
    finally:
        torch.backends.fp32_precision, operation.fp32_precision = before


@pytest.mark.skipif(not hasattr(torch.backends, "fp32_precision"), reason="needs torch 2.9")
@pytest.mark.parametrize("precision", ["tf32", "bf16"])
def test_the_precision_of_operations_does_not_matter(precision: str, with_torch: None) -> None:
    with each_operation_in(precision):
        assert found(SAMPLES) == [[]] * len(SAMPLES)


def test_the_default_dtype_does_not_matter(with_torch: None) -> None:
    before = torch.get_default_dtype()
    try:
        for dtype in (torch.float64, torch.bfloat16):
            torch.set_default_dtype(dtype)
            assert found(SAMPLES) == [[]] * len(SAMPLES)
    finally:
        torch.set_default_dtype(before)


def test_rounding_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """With activations of fewer bits the priors' sums are other ones."""

    def rounded(stream: Floats) -> Floats:
        return np.floor(layer.activate(stream) / 2.0) * 2.0

    for module in (trunk, heads):
        monkeypatch.setattr(module, "activate", rounded)
    ended = case.run(SAMPLES, {})
    differs = {text.partition(":")[0] for text in ended["differs"]}
    assert differs == NAMES - {"limits/means-clamped.vqc"}  # where clamping hides it


def test_other_indices_and_bytes_are_found() -> None:
    sample = SAMPLES[0]
    assert found([replace(sample, indices="0" * 64)]) == [["indices"]]
    container = parse(sample.data)
    first, *others = container.tiles
    flipped = bytes([first[0] ^ 1]) + first[1:]
    data = serialise(replace(container, tiles=(flipped, *others)))
    assert case.run([replace(sample, data=data)], {})["differs"]


def test_other_bytes_alone_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    finish = case._Recorder.finish
    monkeypatch.setattr(case._Recorder, "finish", lambda self: finish(self) + bytes(4))
    assert found(SAMPLES[:1]) == [["bytes"]]


def test_other_pixels_are_found() -> None:
    sample = next(each for each in SAMPLES if each.pixels)
    assert found([replace(sample, bound=-1)])[0][0].startswith("pixels by")


@pytest.mark.parametrize("engine", ["onnxruntime", "torch"])
@pytest.mark.parametrize("window", [1, 5, None])
def test_exact_pixels_have_one_hash(
    monkeypatch: pytest.MonkeyPatch, engine: str, window: int | None
) -> None:
    monkeypatch.setenv(VARIABLE, engine)
    case._load.cache_clear()
    sample = next(each for each in vectors() if each.name == "valid/mixed-photo-2.vqc")
    assert check(sample, How(window=window))[0] == []
    other = replace(sample, pixels_sha256="0" * 64)
    assert check(other, How(window=window))[0] == ["pixels"]
    case._load.cache_clear()


@pytest.mark.parametrize(
    ("second", "status", "last"),
    [
        ({"differs": [], "tables": {"a": "1"}}, 0, "2 same, 0 DIFFERS, 1 skipped"),
        ({"differs": [], "tables": {"a": "2"}}, 1, "1 same, 1 DIFFERS, 1 skipped"),
        ({"differs": ["a: indices"], "tables": {"a": "1"}}, 1, "1 same, 1 DIFFERS, 1 skipped"),
    ],
)
def test_differences_are_counted(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    second: dict[str, Any],
    status: int,
    last: str,
) -> None:
    facts = {"machine": ["mkl"], "differs": [], "tables": {"a": "1"}, "versions": {}}
    facts |= {"capability": "", "threads": 1}
    answers = iter([facts, facts | second])
    monkeypatch.setattr(exactness, "run", lambda *_: next(answers))
    cases = (
        exactness.PLAIN,
        exactness.Case("b", needs=("mkl",)),
        exactness.Case("c", needs=("x",)),
    )
    monkeypatch.setattr(exactness, "CASES", cases)
    monkeypatch.setattr(sys, "argv", ["exactness.py"])
    assert exactness.main() == status
    assert capsys.readouterr().out.splitlines()[-1] == last


def test_a_process_that_dies_is_a_difference() -> None:
    broken = exactness.Case("no standard library", {"PYTHONHOME": "nowhere"})
    told = exactness.run(broken, sys.executable)
    assert told["differs"][0].startswith("ended with status 1: ")
