"""What a model file says of itself: the JSON at its beginning. Standard library only.

Everything here is bounded before it is used: the header's size, the kinds of its
values, the file's size against that of its tensors.
"""

from __future__ import annotations

import json
from typing import Any

from vqcodec.errors import ModelCorruptError

HEADER_MAX = 1 << 20
"""Most bytes of a model file's JSON header."""
_END_MAX = (1 << 63) - 1
"""No file is larger."""
METADATA_KEY = "vqcodec"
"""Key of the JSON text in the safetensors metadata."""
_TEXTS = ("architecture", "name", "licence", "description")
_BLANKS = str.maketrans("", "", "\n\t")
"""What printable texts may have besides."""


def read_metadata(head: bytes, size: int) -> dict[str, Any]:
    """Return the metadata of a model file of `size` bytes.

    `head` is the file, or its first 8 + HEADER_MAX bytes. Raises ModelCorruptError if
    they are no model's, or the file is longer or shorter than its tensors.
    """
    length = int.from_bytes(head[:8], "little")
    if len(head) < 8 or length > min(HEADER_MAX, len(head) - 8):
        raise ModelCorruptError("not a safetensors file")
    try:
        header = json.loads(head[8 : 8 + length])
        metadata = json.loads(header.pop("__metadata__")[METADATA_KEY])
        end = max((tensor["data_offsets"][1] for tensor in header.values()), default=0)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise ModelCorruptError("not a vqcodec model", hint="`vqcodec train` makes them") from error
    # A number of thousands of digits cannot even be printed.
    if not isinstance(metadata, dict) or type(end) is not int or not 0 <= end <= _END_MAX:
        raise ModelCorruptError("not a vqcodec model")
    for key in _TEXTS:
        text = metadata.get(key, "")
        # Names are printed: nothing of them may reach a terminal as a command.
        if not isinstance(text, str) or not text.translate(_BLANKS).isprintable():
            raise ModelCorruptError(f"the model's {key} is not a printable text")
    if size != 8 + length + end:
        raise ModelCorruptError(f"the file has {size} bytes, its tensors end at {8 + length + end}")
    return metadata
