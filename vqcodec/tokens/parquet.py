"""Tokens as Parquet: a row for each picture.

The columns are name and model, quality, height and width; rows, columns and groups, the sizes of
the array of indices; and indices, its elements as uint16, the last axis running fastest. Row
groups hold a million indices or one picture. The file's metadata have the codewords of each group
of each codebook: `codebook/MODEL.QUALITY.GROUP.npy` is the base64 of a .npy file, float32 (K, d).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from typing import IO, Any

import numpy as np

from vqcodec.errors import MissingPackageError, TokensError
from vqcodec.tokens import archive
from vqcodec.tokens.codebook import Codebooks, NamedCodebook
from vqcodec.tokens.record import INDICES_MAX, NAME_MAX, Tokens

_CODEBOOKS = "codebook/"
_GROUP_INDICES = 1 << 20
_GROUP_ROWS = 1 << 12
_ROWS_AT_ONCE = 16
"""Rows that are unpacked together."""
_TEXTS = ("name", "model")
_NUMBERS = ("quality", "height", "width", "rows", "columns", "groups")
_COLUMNS = (*_TEXTS, *_NUMBERS, "indices")


def write(stream: IO[bytes], items: Iterable[Tokens | NamedCodebook]) -> None:
    """Write a Parquet file into a stream. Raises: MissingPackageError."""
    pa, pq = _packages()
    schema = _schema(pa)
    with pq.ParquetWriter(stream, schema, compression="zstd") as writer:
        waiting: list[Tokens] = []
        size = 0
        for item in items:
            if isinstance(item, NamedCodebook):
                files = archive.codebook_files(item, _CODEBOOKS)
                writer.add_key_value_metadata(
                    {name: base64.b64encode(data) for name, data in files}
                )
                continue
            waiting.append(item)
            size += item.indices.size
            if size >= _GROUP_INDICES or len(waiting) == _GROUP_ROWS:
                writer.write_batch(_batch(pa, schema, waiting))
                waiting, size = [], 0
        if waiting:
            writer.write_batch(_batch(pa, schema, waiting))


def read(stream: IO[bytes]) -> Iterator[Tokens]:
    """Yield the pictures of a Parquet file.

    Raises: TokensError if it is none, or not one as it is written here; MissingPackageError.
    """
    pa, pq = _packages()
    with _wrong_is_told(pa):
        file = pq.ParquetFile(stream, pre_buffer=False)
        if not _is_right(pa.types, file.schema_arrow):
            raise TokensError(f"its columns are not {', '.join(_COLUMNS)} of the right types")
        for number in range(file.num_row_groups):
            _check_size(file.metadata.row_group(number))
            for batch in file.iter_batches(
                _ROWS_AT_ONCE, row_groups=[number], columns=list(_COLUMNS), use_threads=False
            ):
                yield from map(partial(_picture, batch), range(batch.num_rows))


def codebooks(stream: IO[bytes]) -> Codebooks:
    """Return the codebooks of a Parquet file. Raises: as `read`."""
    pa, pq = _packages()
    with _wrong_is_told(pa):
        said = pq.ParquetFile(stream).metadata.metadata or {}
    return archive.codebooks(
        (
            archive.Member(name.decode("utf-8", "replace"), len(data), partial(_decoded, data))
            for name, data in said.items()
        ),
        _CODEBOOKS,
    )


def _packages() -> tuple[Any, Any]:
    """Return pyarrow and pyarrow.parquet. Raises: MissingPackageError."""
    try:
        return import_module("pyarrow"), import_module("pyarrow.parquet")
    except ImportError as error:
        raise MissingPackageError(
            "Parquet files need pyarrow", hint="pip install 'vqcodec[tokens]'"
        ) from error


def _schema(pa: Any) -> Any:
    kinds = dict.fromkeys(_TEXTS, pa.string()) | dict.fromkeys(_NUMBERS, pa.int32())
    kinds["indices"] = pa.list_(pa.field("element", pa.uint16(), nullable=False))
    return pa.schema([pa.field(name, kinds[name], nullable=False) for name in _COLUMNS])


def _is_right(types: Any, schema: Any) -> bool:
    """Tell whether a file has the columns, perhaps in wider types, as other programs write them."""
    found = {field.name: field.type for field in schema}
    if not all(name in found for name in _COLUMNS):
        return False
    texts, numbers = [found[name] for name in _TEXTS], [found[name] for name in _NUMBERS]
    lists = found["indices"]
    return (
        all(types.is_string(kind) or types.is_large_string(kind) for kind in texts)
        and all(types.is_integer(kind) for kind in numbers)
        and (types.is_list(lists) or types.is_large_list(lists))
        and types.is_integer(lists.value_type)
    )


def _batch(pa: Any, schema: Any, pictures: Sequence[Tokens]) -> Any:
    facts = [
        (tokens.name, tokens.model, tokens.quality, *tokens.shape, *tokens.indices.shape)
        for tokens in pictures
    ]
    plain = [
        pa.array(column, schema.field(number).type)
        for number, column in enumerate(zip(*facts, strict=True))
    ]
    flat = [tokens.indices.astype(np.uint16).ravel() for tokens in pictures]
    stops = np.cumsum([0, *map(len, flat)], dtype=np.int32)
    indices = pa.ListArray.from_arrays(
        pa.array(stops), pa.array(np.concatenate(flat)), type=schema.field("indices").type
    )
    return pa.RecordBatch.from_arrays([*plain, indices], schema=schema)


def _check_size(group: Any) -> None:
    """Raise TokensError if a row group says that it holds more than can be taken."""
    most = INDICES_MAX + _GROUP_INDICES
    for number in range(group.num_columns):
        if group.column(number).num_values > most:
            raise TokensError(f"a row group has more than {most} values: smaller ones are needed")


def _picture(batch: Any, row: int) -> Tokens:
    *facts, indices = (batch.column(name)[row] for name in _COLUMNS)
    name, model, quality, height, width, *sizes = (fact.as_py() for fact in facts)
    if any(value is None for value in (name, model, quality, height, width, *sizes)):
        raise TokensError("a row lacks a value")
    if not indices.is_valid or indices.values.null_count:
        raise TokensError("a row lacks indices")
    flat = indices.values.to_numpy(zero_copy_only=False)
    if min(sizes) < 0 or np.prod(sizes, dtype=object) != len(flat):
        raise TokensError(f"{len(flat)} indices are not {sizes}")
    return Tokens(
        indices=flat.reshape(sizes),
        shape=(height, width),
        quality=quality,
        model=model,
        name=name[: NAME_MAX + 1],
    )


def _decoded(data: bytes) -> bytes:
    try:
        return base64.b64decode(data, validate=True)
    except binascii.Error as error:
        raise TokensError("a codebook is not base64") from error


@contextmanager
def _wrong_is_told(pa: Any) -> Iterator[None]:
    try:
        yield
    except MemoryError:
        raise
    except (pa.ArrowException, ValueError, LookupError, RuntimeError, OSError) as error:
        if isinstance(error, OSError) and error.errno:  # the file cannot be read
            raise
        raise TokensError(f"not a whole Parquet file: {error}") from error
