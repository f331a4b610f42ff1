"""Tables, as TOML has them, to dataclasses, every key and type checked."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

T = TypeVar("T")


def from_table(kind: type[T], table: Mapping[str, Any], where: str = "") -> T:
    """Build the dataclass `kind` from a table, checking every key and type.

    Raises: ValueError naming the key.
    """
    hints = typing.get_type_hints(kind)
    fields = {item.name: item for item in dataclasses.fields(kind)}  # type: ignore[arg-type]
    values: dict[str, Any] = {}
    for key, value in table.items():
        if key not in fields:
            known = ", ".join(fields)
            raise ValueError(f"{where}{key}: no such setting; known here: {known}")
        values[key] = _convert(hints[key], value, where + key)
    for key, item in fields.items():
        no_default = item.default is dataclasses.MISSING
        if key not in values and no_default and item.default_factory is dataclasses.MISSING:
            raise ValueError(f"{where}{key}: missing")
    return kind(**values)


def _convert(hint: Any, value: Any, key: str) -> Any:
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        if not isinstance(value, dict):
            raise ValueError(f"{key}: expected a table")
        return from_table(hint, value, key + ".")
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is types.UnionType:  # of one kind and None, which a table leaves out
        return _convert(arguments[0], value, key)
    if origin is tuple and isinstance(value, list) and arguments[-1] is ...:
        return tuple(_convert(arguments[0], item, key) for item in value)
    if origin is tuple and isinstance(value, list) and len(value) == len(arguments):
        pairs = zip(arguments, value, strict=True)
        return tuple(_convert(inner, item, key) for inner, item in pairs)
    if origin is dict and isinstance(value, dict):
        return {str(name): _convert(arguments[1], item, key) for name, item in value.items()}
    if hint is float and type(value) in (int, float):
        try:
            return float(value)
        except OverflowError as error:
            raise ValueError(f"{key}: an integer that no real number is near") from error
    if isinstance(hint, type) and not isinstance(hint, types.GenericAlias) and type(value) is hint:
        return value
    raise ValueError(f"{key}: {value!r} does not fit {getattr(hint, '__name__', hint)}")
