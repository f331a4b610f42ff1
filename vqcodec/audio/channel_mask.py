"""Which loudspeakers channels are for, where these are not the usual ones of their number."""

from __future__ import annotations

from vqcodec.audio.waveform import Tags

MASK_TAG = "WAVEFORMATEXTENSIBLE_CHANNEL_MASK"
"""The name of the tag that says it, as FLAC has it (RFC 9639, section 8.6.2): a bit for each
loudspeaker, in the order of channels."""
_USUAL = {1: 0x4, 2: 0x3, 3: 0x7, 4: 0x33, 5: 0x37, 6: 0x3F, 7: 0x70F, 8: 0x63F}
"""By the number of channels (section 9.1.3)."""
_MASK_MAX = 0xFFFFFFFF


def mask_text(mask: int, channels: int) -> str:
    """Return the text of the tag that so many channels need; empty if the mask is the usual one,
    or 0, which says nothing.
    """
    return "" if mask in (0, _USUAL.get(channels)) else f"0x{mask:04X}"


def mask_of(tags: Tags) -> int | None:
    """Return the mask that tags say, if they say one."""
    texts = [text for name, text in tags if name.upper() == MASK_TAG]
    try:
        mask = int(texts[0], 16) if len(texts) == 1 else 0
    except ValueError:
        return None
    return mask if 0 < mask <= _MASK_MAX else None
