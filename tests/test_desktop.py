"""What desktops know of .vqc files: their type, and how a thumbnail is made."""

from __future__ import annotations

import configparser
import os
import shlex
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
from conftest import Run, photo
from frozen.renew import FROZEN
from PIL import Image

import vqcodec
from vqcodec.container import Medium
from vqcodec.container.layout import SIGNATURE
from vqcodec.pillow import MIME_TYPE

CORPUS = Path(__file__).parent.parent / "fuzz" / "corpus" / "container"
CHECKOUT = Path(__file__).parent.parent / "share"
SHARE = CHECKOUT if CHECKOUT.is_dir() else Path(sys.prefix) / "share"
"""Where a wheel installs them, if the tests are not in a checkout."""
TYPES = SHARE / "mime" / "packages" / "vqcodec.xml"
THUMBNAILER = SHARE / "thumbnailers" / "vqcodec.thumbnailer"
NAMESPACE = "{http://www.freedesktop.org/standards/shared-mime-info}"


def test_magic_is_that_of_the_format() -> None:
    found = {}
    for kind in ElementTree.parse(TYPES).getroot():
        magic, medium = (next(iter(kind.iter(f"{NAMESPACE}match"))) for _ in range(2))
        (medium,) = magic
        value = magic.attrib["value"].encode().decode("unicode_escape").encode("latin-1")
        assert (value, magic.attrib["offset"], medium.attrib["offset"]) == (SIGNATURE, "0", "9")
        found[kind.attrib["type"]] = Medium(int(medium.attrib["value"]))
    assert found == {
        MIME_TYPE: Medium.PICTURE,
        "audio/x-vqc": Medium.SOUND,
        "video/x-vqc": Medium.CLIP,
    }


@pytest.mark.skipif(
    not (shutil.which("update-mime-database") and shutil.which("gio")),
    reason="needs shared-mime-info and GIO",
)
@pytest.mark.parametrize(
    ("source", "kind"),
    [
        (FROZEN / "photo.vqc", MIME_TYPE),
        (CORPUS / "voice-one.vqc", "audio/x-vqc"),
        (CORPUS / "clip-frame.vqc", "video/x-vqc"),
    ],
)
@pytest.mark.parametrize("name", ["file.vqc", "file", "file.png.part"])
def test_desktops_recognise_files(source: Path, kind: str, name: str, tmp_path: Path) -> None:
    folder = tmp_path / "mime" / "packages"
    folder.mkdir(parents=True)
    shutil.copy(TYPES, folder)
    environment = os.environ | {"XDG_DATA_HOME": str(tmp_path), "XDG_DATA_DIRS": str(tmp_path)}
    done = subprocess.run(
        ["update-mime-database", tmp_path / "mime"],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    file = tmp_path / name
    file.write_bytes(source.read_bytes())
    told = subprocess.run(
        ["gio", "info", "-a", "standard::content-type", file],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout.split()[-1] == kind


def test_the_thumbnailer_entry(run: Run, tmp_path: Path) -> None:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(THUMBNAILER)
    entry = parser["Thumbnailer Entry"]
    assert entry["MimeType"] == f"{MIME_TYPE};"
    source, target = tmp_path / "a picture.vqc", tmp_path / "thumb.png"
    source.write_bytes(vqcodec.compress(photo(300, 200), lossless=True))
    target.touch()  # as desktops do, to reserve the name
    values = {"%i": str(source), "%o": str(target), "%s": "128"}
    program, *arguments = [values.get(word, word) for word in shlex.split(entry["Exec"])]
    assert program == entry["TryExec"] == "vqcodec"
    assert run(*arguments).code == 0
    with Image.open(target) as image:
        assert (image.format, image.size) == ("PNG", (128, 85))


def test_shrinking_keeps_shape_alpha_and_colours(run: Run) -> None:
    image = photo(90, 60)
    image.putalpha(Image.linear_gradient("L").resize((90, 60)))
    Path("a.vqc").write_bytes(vqcodec.compress(image, lossless=True))
    for side, size in ((30, (30, 20)), (1, (1, 1)), (90, (90, 60)), (1000, (90, 60))):
        assert run("decompress", "a.vqc", "-o", "b.png", "-f", "--thumbnail", side).code == 0
        with Image.open("b.png") as shrunk:
            assert (shrunk.mode, shrunk.size) == ("RGBA", size)
            expected = image.resize(size, Image.Resampling.LANCZOS)
            difference = np.subtract(shrunk, expected, dtype=np.int16)
            assert np.abs(difference).mean() < 3
