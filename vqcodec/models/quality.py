"""What the quality in a file's header stands for (format/SPEC.md, section 3).

Models have whole qualities 1..Q with codebooks of their own. In files of most architectures the
header has one of these. In those of others it counts sixteenths: what latents are multiplied by
is interpolated between two whole qualities, the codebooks are those of the nearer one.
"""

from __future__ import annotations

_SCALES = {"photo-2": 16, "speech-1": 16}
SIXTEENTHS_MAX = 15
"""Most whole qualities of a model whose files count sixteenths, for the header's byte."""


def scale_of(architecture: object) -> int:
    """Return how many times the quality the header of an architecture's files has."""
    return _SCALES.get(architecture, 1) if isinstance(architecture, str) else 1


def level_of(number: int, scale: int) -> int:
    """Return the whole quality that is nearest to a header's, the lower one of two."""
    return (number + (scale - 1) // 2) // scale
