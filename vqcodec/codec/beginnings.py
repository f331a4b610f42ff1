"""How files of sound begin, by which those who take other files know them too."""

from __future__ import annotations

_BEGINNINGS = (b"fLaC", b"OggS", b"ID3", b".snd", b"caff", b"riff\x2e\x91\xcf\x11")
_FORMS = {b"RIFF": (b"WAVE",), b"RF64": (b"WAVE",), b"FORM": (b"AIFF", b"AIFC")}
HEAD_BYTES = 12
"""What `is_sound` looks at."""


def is_sound(head: bytes) -> bool:
    """Tell by its first bytes whether a file is sound: one of libsndfile's usual formats."""
    frame = len(head) > 1 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0  # MPEG's, of MP3
    return head.startswith(_BEGINNINGS) or head[8:12] in _FORMS.get(head[:4], ()) or frame
