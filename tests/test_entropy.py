from __future__ import annotations

import numpy as np
import pytest
import reference
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from vqcodec.entropy.coder import Decoder, Encoder, fixed_bits, pack_fixed, unpack_fixed
from vqcodec.entropy.tables import POWERS, TOTAL, surpluses
from vqcodec.errors import CorruptError

logit_rows = st.integers(2, 40).flatmap(
    lambda k: st.lists(
        st.lists(st.integers(-32768, 32768) | st.integers(-300, 300), min_size=k, max_size=k),
        min_size=1,
        max_size=5,
    )
)


def frequencies(logits: NDArray[np.floating]) -> NDArray[np.float64]:
    return surpluses(logits[None])[:, 0] + 1.0


def test_powers_are_the_exact_ones() -> None:
    assert list(POWERS) == reference.POWERS.tolist()


@given(logit_rows)
def test_frequencies_equal_the_reference(rows: list[list[int]]) -> None:
    for dtype in (np.float32, np.float64):
        table = frequencies(np.array(rows, dtype=dtype))
        assert table.tolist() == [reference.frequencies(np.array(row)).tolist() for row in rows]


@pytest.mark.parametrize("symbols", [2, 3, 512, 4096])
def test_frequencies_are_positive_and_complete(symbols: int) -> None:
    rng = np.random.default_rng(symbols)
    logits = np.floor(rng.normal(scale=60.0, size=(50, symbols)))
    logits[0] = 0
    logits[1] = -1000
    logits[1, -1] = 1000
    table = frequencies(logits)
    assert table.min() >= 1
    assert (table.sum(axis=1) == TOTAL).all()
    assert (table == np.floor(table)).all()


def test_table_costs_little_against_exact_probabilities() -> None:
    rng = np.random.default_rng(0)
    logits = np.floor(rng.normal(scale=40.0, size=(200, 512)))
    exact = 2.0 ** (logits / 16)
    exact /= exact.sum(axis=1, keepdims=True)
    cost = -(exact * np.log2(frequencies(logits) / TOTAL)).sum(axis=1)
    entropy = -(exact * np.log2(exact)).sum(axis=1)
    assert (cost - entropy).max() < 1e-3


@given(logit_rows, st.data())
def test_coder_equals_the_reference_in_words_and_state(
    rows: list[list[int]], draw: st.DataObject
) -> None:
    tables = frequencies(np.array(rows, dtype=np.float64))
    picks = st.integers(0, tables.shape[1] - 1)
    symbols = np.array([draw.draw(picks) for _ in rows], dtype=np.int32)
    encoder, slow = Encoder(), reference.Encoder()
    for table, symbol in zip(tables, symbols, strict=True):
        encoder.code(table[None] - 1.0, np.array([symbol], dtype=np.int32))
        slow.symbol(table.astype(int), int(symbol))
        _, (low, size) = encoder._coder.pos()
        assert (low, size) == (slow.low, slow.range)
    stream = encoder.finish()
    assert stream == slow.finish()
    decoder = Decoder(stream)
    assert decoder.code(tables - 1.0, np.zeros_like(symbols)).tolist() == symbols.tolist()
    decoder.finish()
    again = reference.Decoder(stream)
    assert [again.symbol(table.astype(int)) for table in tables] == symbols.tolist()


def test_carries_reach_held_words() -> None:
    """Symbols whose interval always straddles a word's end, so words are held for long."""
    rng = np.random.default_rng(4)
    longest = 0
    for _ in range(60):
        encoder, slow = Encoder(), reference.Encoder()
        tables, symbols = [], []
        for _ in range(40):
            table, symbol = [1 << 22, 1 << 23, 1 << 22], int(rng.integers(3))
            if slow.low + slow.range > 1 << 64:
                below = ((1 << 64) - slow.low) // (slow.range >> 24)
                below = min(max(below - 1, 1), TOTAL - 3)
                table, symbol = [below, 2, TOTAL - below - 2], int(rng.random() < 0.95)
            slow.symbol(np.array(table), symbol)
            encoder.code(np.array([table], dtype=float) - 1.0, np.array([symbol], dtype=np.int32))
            longest = max(longest, len(slow.held))
            tables.append(table)
            symbols.append(symbol)
        stream = encoder.finish()
        assert stream == slow.finish()
        decoded = Decoder(stream).code(
            np.array(tables, dtype=float) - 1.0, np.zeros(40, dtype=np.int32)
        )
        assert decoded.tolist() == symbols
    assert longest >= 3


def test_golden_words() -> None:
    """The bits of files: these must never change. Also SPEC.md, sections 7 and 8."""
    table = frequencies(np.array([[0, -16, 5]], dtype=np.float32))
    assert table.tolist() == [[6118922, 3059461, 7598833]]
    encoder = Encoder()
    encoder.code(np.repeat(table, 4, axis=0) - 1.0, np.array([2, 0, 1, 1], dtype=np.int32))
    assert encoder.finish().hex() == "be6f499e"


def test_decoder_rejects_what_no_encoder_writes() -> None:
    table = np.array([[2.0**23, 2.0**23]]) - 1.0
    none = np.zeros(1, dtype=np.int32)
    with pytest.raises(CorruptError):
        Decoder(b"123")
    with pytest.raises(CorruptError):
        Decoder(b"\xff" * 16).code(table, none)
    encoder = Encoder()
    encoder.code(table, none)
    for more in (bytes(4), bytes(8), b"abcd"):
        decoder = Decoder(encoder.finish() + more)
        decoder.code(table, none)
        with pytest.raises(CorruptError):
            decoder.finish()


@given(st.integers(2, 4096), st.lists(st.integers(0, 4095), min_size=1, max_size=60))
def test_fixed_length_round_trip(size: int, values: list[int]) -> None:
    symbols = np.array([value % size for value in values], dtype=np.int32)
    stream = pack_fixed(symbols, size)
    assert len(stream) == -(-len(values) * fixed_bits(size) // 8)
    assert unpack_fixed(stream, len(values), size).tolist() == symbols.tolist()


def test_fixed_length_rejects_wrong_streams() -> None:
    stream = pack_fixed(np.array([1, 2, 3], dtype=np.int32), 24)
    for wrong, count in ((stream + b"\0", 3), (b"\xff\xff", 3), (b"\x08\x87", 3)):
        with pytest.raises(CorruptError):
            unpack_fixed(wrong, count, 24)
