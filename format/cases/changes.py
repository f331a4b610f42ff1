"""What can be wrong with a model file: changes to make to right ones."""

import json
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from cases.models import Blocks, Model, photo

Change = Callable[[Model], object]


def set_to(name: str, value: int, at: Any = 0) -> Change:
    return lambda model: model.set(name, at, value)


def table(name: str, **values: Any) -> Change:
    return lambda model: model.config[name].update(values)


def without(name: str) -> Change:
    return lambda model: model.tensors.pop(name)


def as_type(name: str, dtype: str) -> Change:
    def change(model: Model) -> None:
        model.tensors[name] = (dtype, model.tensors[name][1])

    return change


def reshaped(name: str, *shape: int) -> Change:
    def change(model: Model) -> None:
        dtype, values = model.tensors[name]
        model.tensors[name] = (dtype, np.reshape(values, shape))

    return change


def grown(name: str) -> Change:
    """One row more."""

    def change(model: Model) -> None:
        dtype, values = model.tensors[name]
        model.tensors[name] = (dtype, np.concatenate([values, values[:1]]))

    return change


def bytes_as(wrap: Callable[[bytes], bytes]) -> Change:
    def change(model: Model) -> None:
        model.wrap = wrap

    return change


def with_header(change: Callable[[dict[str, Any]], object], data: bytes) -> bytes:
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    change(header)
    text = json.dumps(header, separators=(",", ":")).encode()
    return len(text).to_bytes(8, "little") + text + data[8 + size :]


def header(change: Callable[[dict[str, Any]], object]) -> Change:
    return bytes_as(partial(with_header, change))


def with_hole(data: bytes) -> bytes:
    def move(header: dict[str, Any]) -> None:
        for entry in header.values():
            if "data_offsets" in entry:
                entry["data_offsets"] = [8 + offset for offset in entry["data_offsets"]]

    data = with_header(move, data)
    start = 8 + int.from_bytes(data[:8], "little")
    return data[:start] + bytes(8) + data[start:]


def with_text(text: bytes, data: bytes) -> bytes:
    size = int.from_bytes(data[:8], "little")
    return len(text).to_bytes(8, "little") + text + data[8 + size :]


def bound(name: str, negative: bool = False) -> Change:
    """The last row's sums can reach 2^24, one more than is allowed."""

    def change(model: Model) -> None:
        weight = np.asarray(model.tensors[f"{name}.weight"][1])[-1]
        bias = 2**24 - 127 * int(np.abs(weight).sum())
        model.set(f"{name}.bias", -1, -bias if negative else bias)

    return change


def empty_block(model: Model) -> None:
    for part in ("channels", "vectors", "bias", "embedding"):
        dtype, values = model.tensors[f"codebooks.1.0.0.{part}"]
        model.tensors[f"codebooks.1.0.0.{part}"] = (dtype, np.asarray(values)[:0])


def divided(*slices: int, details: int = 1) -> Change:
    """Four latents in other slices, and other details, all tensors fitting."""

    def change(model: Model) -> None:
        groups: Blocks = {0: [([[0]], 3), ([[2, 1]], 4)]}
        made = photo(
            model.name,
            [groups],
            size=4,
            latents=4,
            details=details,
            slices=slices,
            channels=2,
            layers=0,
            hidden=2,
        )
        model.config, model.tensors = made.config, made.tensors

    return change


def threes(model: Model) -> None:
    """A block of a group of three latents, of which no other block has one."""
    model.block("codebooks.1.0.1", [[1, 0, 2]], 4)


def many_logits(model: Model) -> None:
    """A block of 2^17 + 4 codewords in all, its numbers 0, so that the file packs well."""
    groups: Blocks = {0: [([[channel] for channel in range(33)], 3972)]}
    made = photo(model.name, [groups], size=4096, latents=33, channels=1, layers=0, hidden=1)
    model.config, model.tensors = made.config, made.tensors
    for part in ("vectors", "bias", "embedding"):
        model.set(f"codebooks.1.0.0.{part}", ..., 0)


def codewords(count: int) -> Change:
    """Another number of codewords in a block of one group."""

    def change(model: Model) -> None:
        for part in ("vectors", "bias", "embedding"):
            dtype, values = model.tensors[f"codebooks.1.0.1.{part}"]
            repeated = np.concatenate([np.asarray(values)] * 2, axis=1)
            model.tensors[f"codebooks.1.0.1.{part}"] = (dtype, repeated[:, :count])

    return change


def codebook_sizes(count: int) -> Change:
    """K in both tables."""

    def change(model: Model) -> None:
        model.config["autoencoder"]["codebook_size"] = count
        model.config["prior"]["codebook_size"] = count

    return change
