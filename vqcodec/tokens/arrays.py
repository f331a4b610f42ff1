"""Arrays as .npy files of a known type (NumPy's NEP 1, version 1.0), written and read.

NumPy's own reader evaluates the header as Python; this one takes what `numpy.save` writes of
such arrays, and nothing else.
"""

from __future__ import annotations

import io
import math
import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vqcodec.errors import TokensError

HEADER_MAX = 1 << 10
"""Most bytes before an array's elements."""
_MAGIC = b"\x93NUMPY\1\0"
_HEADER = re.compile(
    rb"\{'descr': '([<>|=]?\w{2,3})', 'fortran_order': False, "
    rb"'shape': \((\d{1,10}(?:, \d{1,10}){0,3}),?\), \} *\n"
)


def pack(array: NDArray[Any]) -> bytes:
    """Return the bytes of a .npy file."""
    out = io.BytesIO()
    np.save(out, np.ascontiguousarray(array))
    return out.getvalue()


def unpack(data: bytes, dtype: type[np.generic], axes: int) -> NDArray[Any]:
    """Return the array of a .npy file, which has this type and number of axes.

    Memory is taken for no more than the data. Raises TokensError if it is another.
    """
    start = len(_MAGIC) + 2
    stop = start + int.from_bytes(data[start - 2 : start], "little")
    header = _HEADER.fullmatch(data, start, min(stop, len(data), HEADER_MAX))
    wanted = np.dtype(dtype)
    shape = () if header is None else tuple(map(int, header[2].split(b", ")))
    right = data.startswith(_MAGIC) and header is not None and header[1] == wanted.str.encode()
    size = math.prod(shape) * wanted.itemsize
    if not right or len(shape) != axes or len(data) - stop != size:
        raise TokensError(f"an array is not {wanted} with {axes} axes and all of its elements")
    return np.frombuffer(data, wanted, math.prod(shape), stop).reshape(shape)
