"""Which files are moving pictures, by their names and by how they begin, and how clips are
written.
"""

from __future__ import annotations

from pathlib import PurePath

VIDEO = frozenset(
    {".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".ogv", ".ts", ".webm", ".wmv"}
)
"""Read by ffmpeg."""
ANIMATED = frozenset({".apng", ".gif", ".png", ".webp"})
"""Read by Pillow; these may also be still pictures."""
WRITTEN_VIDEO = (".mp4", ".webm", ".mkv", ".mov")
"""Written by ffmpeg."""
FOLDER = ""
"""The suffix of a folder of frames."""
WRITTEN = (".webp", ".gif", ".png", ".apng", *WRITTEN_VIDEO, FOLDER)
HEAD_BYTES = 12
"""What `is_video` looks at."""
_EBML = b"\x1aE\xdf\xa3"
_PICTURE_BRANDS = (b"avi", b"hei", b"hev", b"mif", b"msf")
"""How the brands of pictures in ISO files begin: AVIF and HEIF."""


def is_video_name(path: PurePath) -> bool:
    """Tell by its suffix whether a file is video."""
    return path.suffix.lower() in VIDEO


def is_clip_name(path: PurePath) -> bool:
    """Tell by its suffix whether a file may be a clip that can be read here."""
    return path.suffix.lower() in VIDEO | ANIMATED


def is_video(head: bytes) -> bool:
    """Tell by its first bytes whether a file is video: ISO (MP4, MOV), Matroska (WebM) or AVI."""
    is_iso = head[4:8] == b"ftyp" and not head[8:12].startswith((*_PICTURE_BRANDS, b"M4A"))
    return is_iso or head.startswith(_EBML) or (head[:4], head[8:12]) == (b"RIFF", b"AVI ")


def change_by(suffix: str) -> str:
    """Say how the format of a suffix changes frames once more; empty if it keeps them."""
    if suffix == ".gif":
        return "a GIF has 256 colours a frame: pixels change once more"
    return f"{suffix} is lossy: pixels change once more" if suffix in WRITTEN_VIDEO else ""
