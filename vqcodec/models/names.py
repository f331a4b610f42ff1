"""Names in a model file's metadata, of whom or what a model knows."""

from __future__ import annotations

from vqcodec.errors import ModelCorruptError

NAMES_MAX = 4096
"""Of one kind."""
_LENGTH_MAX = 64


def read_names(names: object, one: str, many: str) -> tuple[str, ...]:
    """Check the names of things; `one` and `many` say what they are, for errors.

    Raises ModelCorruptError unless they are a list of at least one name, each different, of 1 to
    64 printable characters.
    """
    if not isinstance(names, list) or not 1 <= len(names) <= NAMES_MAX:
        raise ModelCorruptError(f"the model's {many} are not a list of 1 to {NAMES_MAX} names")
    for name in names:
        if not (isinstance(name, str) and 1 <= len(name) <= _LENGTH_MAX and name.isprintable()):
            told = f"not a text of 1 to {_LENGTH_MAX} printable characters"
            raise ModelCorruptError(f"a {one} of the model is {name!r:.80}, {told}")
    if len(set(names)) != len(names):
        raise ModelCorruptError(f"two {many} of the model have one name")
    return tuple(names)
