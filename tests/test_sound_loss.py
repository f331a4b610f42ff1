"""Nothing of sound is lost when a process is killed or a disk is full."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from test_loss import KILLS, kept, leftovers, mounted, nameless
from test_sound import babble
from test_vectors import VECTORS

import vqcodec
from vqcodec.audio.formats import FORMATS
from vqcodec.models.model import Model

if sys.platform == "win32":
    pytest.skip("no processes to fork", allow_module_level=True)

import child

__all__ = ["mounted"]  # a fixture

soundfile = pytest.importorskip("soundfile")
SECONDS = 3.0


@pytest.fixture
def voice(folder: Path) -> Model:
    """A model, and its file where commands look for it."""
    path = folder.parent / "voice.safetensors"
    shutil.copy(VECTORS / "models" / path.name, path)
    return vqcodec.load_model(path)


def removing(*more: str) -> list[str]:
    """Arguments that compress the folder `pictures`, which holds sound, and remove the sources."""
    arguments = ["compress", "pictures", "--remove-source", "--allow-lossy"]
    return [*arguments, "--model", "../voice.safetensors", *more]


def save(folder: Path, number: int, seconds: float = SECONDS) -> None:
    samples = babble(int(seconds * 16000), seed=number)
    soundfile.write(folder / f"{number:03}.wav", samples.T, 16000)


def nothing_is_lost(
    folder: Path, voice: Model, originals: dict[str, bytes], verified: set[bytes]
) -> None:
    """Each sound is there as source or as result, and each of these is whole."""
    for aside in folder.glob("*.set-aside-by-vqcodec-*"):
        aside.rename(folder / aside.name.split(".set-aside")[0])
    for name, original in originals.items():
        source, result = folder / f"{name}.wav", folder / f"{name}.vqc"
        assert source.exists() or result.exists()
        if source.exists():
            assert source.read_bytes() == original
        if result.exists() and (data := result.read_bytes()) not in verified:
            vqcodec.verify(data, model=voice)
            assert vqcodec.inspect(data).seconds == SECONDS
            verified.add(data)


def test_killed_at_random_moments(folder: Path, voice: Model) -> None:
    sounds = folder / "pictures"
    originals: dict[str, bytes] = {}
    verified: set[bytes] = set()

    def add(count: int) -> None:
        for number in range(len(originals), len(originals) + count):
            save(sounds, number)
            originals[f"{number:03}"] = (sounds / f"{number:03}.wav").read_bytes()

    for _ in child.kill_at_random_moments(folder, removing("--skip-existing"), KILLS, add):
        nothing_is_lost(sounds, voice, originals, verified)
    assert child.finish(folder, *removing("--skip-existing")) == 0, child.output(folder)
    nothing_is_lost(sounds, voice, originals, verified)
    assert {path.name for path in sounds.glob("[!.]*")} == {f"{n}.vqc" for n in originals}
    if nameless(sounds):
        assert not leftovers(folder)


@pytest.mark.parametrize("has_nameless", [True, False], ids=["nameless", "hidden"])
def test_killed_before_each_step(folder: Path, voice: Model, has_nameless: bool) -> None:
    """A process kills itself before the n-th time that it touches a file, for each n."""
    sounds = folder / "pictures"
    save(sounds, 0)
    originals = {"000": (sounds / "000.wav").read_bytes()}
    for step in range(1, 100):
        code = child.finish(folder, *removing(), last_touch=step, nameless=has_nameless)
        nothing_is_lost(sounds, voice, originals, set())
        if code == 0:
            break
        assert code == -signal.SIGKILL, child.output(folder)
        (sounds / "000.vqc").unlink(missing_ok=True)
    assert step > 4
    assert [path.name for path in sounds.glob("[!.]*")] == ["000.vqc"]


@pytest.mark.parametrize("has_nameless", [True, False], ids=["nameless", "hidden"])
@pytest.mark.usefixtures("voice")
def test_disk_full(folder: Path, mounted: Callable[[str], bool], has_nameless: bool) -> None:
    if not mounted("size=4k"):
        pytest.skip("no file system can be mounted here")
    for number in range(2):
        save(folder / "pictures", number, 60.0)
    originals = {path.name: path.read_bytes() for path in (folder / "pictures").iterdir()}
    arguments = removing("-d", "out", "--prior", "none", "-q", "1")
    code = child.finish(folder, *arguments, nameless=has_nameless)
    assert code == 1
    assert child.output(folder).count("No space left on device") == 2
    kept(folder, originals)


@pytest.mark.parametrize("has_nameless", [True, False], ids=["nameless", "hidden"])
@pytest.mark.parametrize("suffix", sorted(FORMATS))
def test_disk_full_while_sound_is_written(
    folder: Path, voice: Model, suffix: str, has_nameless: bool
) -> None:
    """What is written piece by piece appears whole or not at all, too, even if only the last byte
    finds no room.
    """
    data = vqcodec.compress_audio(babble(16000), 16000, model=voice)
    (folder / "talk.vqc").write_bytes(data)
    result = folder / f"talk{suffix}"
    arguments = ["decompress", "talk.vqc", "-o", result.name, "--model", "../voice.safetensors"]
    assert child.finish(folder, *arguments, nameless=has_nameless) == 0, child.output(folder)
    size = result.stat().st_size
    result.unlink()
    for most in (1000, size // 2, size - 1):
        code = child.finish(folder, *arguments, largest_file=most, nameless=has_nameless)
        assert code == 1, child.output(folder)
        told = child.output(folder).splitlines()[-1]
        assert told.startswith("vqcodec: error: ")
        assert told.endswith(os.strerror(errno.EFBIG))
        assert not list(folder.glob("talk.[!v]*"))
        assert not leftovers(folder)
