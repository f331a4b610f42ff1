"""The few ONNX messages that a graph of ours consists of, in the wire format of protobuf.

Field numbers are those of onnx.proto (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto).
The package `onnx` could write them too, but is large and slow to import. A message is a list
of pieces, joined once at the end, so that weights are not copied again at every level.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Message: TypeAlias = list[bytes]
Attribute: TypeAlias = "int | float | str | Sequence[int]"

FLOAT = 1
"""The type of float32 elements, as an attribute of nodes says it."""
_IR_VERSION = 8
"""The version of onnx.proto that came with operator set 17."""
_OPERATOR_SET = 17
_VARINT, _DELIMITED, _FIXED32 = 0, 2, 5
_ATTRIBUTE_FLOAT, _ATTRIBUTE_INT, _ATTRIBUTE_STRING, _ATTRIBUTE_INTS = 1, 2, 3, 7
_ELEMENT_TYPES = {
    np.dtype(kind): number
    for kind, number in (
        (np.float32, FLOAT),
        (np.uint8, 2),
        (np.int8, 3),
        (np.int32, 6),
        (np.int64, 7),
    )
}


def model(graph: Message) -> bytes:
    """Write a ModelProto."""
    operators = _integer(2, _OPERATOR_SET)
    return b"".join(_integer(1, _IR_VERSION) + _nested(8, operators) + _nested(7, graph))


def graph(
    nodes: Sequence[Message],
    inputs: Sequence[Message],
    outputs: Sequence[Message],
    initializers: Sequence[Message],
) -> Message:
    """Write a GraphProto of NodeProtos, ValueInfoProtos and TensorProtos."""
    message = _text(2, "network")
    for number, parts in ((1, nodes), (5, initializers), (11, inputs), (12, outputs)):
        for part in parts:
            message += _nested(number, part)
    return message


def node(
    operator: str, inputs: Sequence[str], output: str, attributes: Mapping[str, Attribute]
) -> Message:
    """Write a NodeProto."""
    message: Message = []
    for name in inputs:
        message += _text(1, name)
    message += _text(2, output) + _text(4, operator)
    for name, value in attributes.items():
        message += _nested(5, _attribute(name, value))
    return message


def tensor(name: str, values: NDArray) -> Message:
    """Write a TensorProto of float32, int8, uint8, int32 or int64 values."""
    message: Message = []
    for length in values.shape:
        message += _integer(1, length)
    message += _integer(2, _ELEMENT_TYPES[values.dtype])
    little_endian = values.astype(values.dtype.newbyteorder("<"), copy=False)
    return message + _text(8, name) + _nested(9, [little_endian.tobytes()])


def value_info(name: str, dtype: type[np.generic], shape: Sequence[int | str]) -> Message:
    """Write a ValueInfoProto of a tensor; a length that is not known before has a name."""
    dimensions: Message = []
    for length in shape:
        known = isinstance(length, int)
        dimensions += _nested(1, _integer(1, int(length)) if known else _text(2, str(length)))
    tensor_type = _integer(1, _ELEMENT_TYPES[np.dtype(dtype)]) + _nested(2, dimensions)
    return _text(1, name) + _nested(2, _nested(1, tensor_type))


def _attribute(name: str, value: Attribute) -> Message:
    message = _text(1, name)
    if isinstance(value, float):
        message += [_key(2, _FIXED32), struct.pack("<f", value)]
        return message + _integer(20, _ATTRIBUTE_FLOAT)
    if isinstance(value, int):
        return message + _integer(3, value) + _integer(20, _ATTRIBUTE_INT)
    if isinstance(value, str):
        return message + _text(4, value) + _integer(20, _ATTRIBUTE_STRING)
    for number in value:
        message += _integer(8, number)
    return message + _integer(20, _ATTRIBUTE_INTS)


def _integer(number: int, value: int) -> Message:
    return [_key(number, _VARINT), _varint(value)]


def _text(number: int, value: str) -> Message:
    return _nested(number, [value.encode()])


def _nested(number: int, message: Message) -> Message:
    """Write a field that holds a message, a text or bytes."""
    length = sum(len(piece) for piece in message)
    return [_key(number, _DELIMITED), _varint(length), *message]


def _key(number: int, wire_type: int) -> bytes:
    return _varint(number << 3 | wire_type)


def _varint(value: int) -> bytes:
    """Write an integer, not negative, in groups of seven bits, the lowest first."""
    groups = bytearray()
    while value > 0x7F:
        groups.append(value & 0x7F | 0x80)
        value >>= 7
    groups.append(value)
    return bytes(groups)
