"""What was written, decoded and compared with what was coded, before it gets its name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from vqcodec.errors import FormatError, VerificationError


@contextmanager
def decoding_again() -> Iterator[None]:
    """Decode what was written. Raises VerificationError in the place of a FormatError."""
    try:
        yield
    except FormatError as error:
        raise VerificationError(f"what was written does not decode: {error}") from error


def require_same(same: Mapping[str, bool]) -> None:
    """Raise VerificationError, which names them, if some parts of it are not the same."""
    if not all(same.values()):
        differing = ", ".join(name for name, holds in same.items() if not holds)
        raise VerificationError(f"what was written differs from what was coded: {differing}")
