"""Nothing is imported before it is needed: what starts often starts quickly."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import photo
from frozen.renew import FROZEN

from vqcodec.cli import _COMMANDS

HEAVY = {"numpy", "onnxruntime", "PIL", "safetensors", "constriction", "simplejpeg", "torch"}
BENCH = "vqcodec_bench.command"


def imported(code: str, folder: Path, **environment: str) -> tuple[set[str], str]:
    """Run code in a process of its own; return the modules it has loaded, and what it printed."""
    program = f"""
import sys
try:
    {code}
except SystemExit as end:
    if end.code:
        raise
finally:
    with open("modules.txt", "w") as file:
        file.write("\\n".join(sys.modules))
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=folder,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return set((folder / "modules.txt").read_text().split()), done.stdout


def command(*arguments: str) -> str:
    return f"sys.argv = {['vqcodec', *arguments]}; import vqcodec.cli; vqcodec.cli.main()"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with a picture and a .vqc file."""
    photo().save(tmp_path / "a.png")
    (tmp_path / "b.vqc").write_bytes((FROZEN / "paper.vqc").read_bytes())
    return tmp_path


@pytest.mark.parametrize(
    "code",
    [
        "import vqcodec",
        "import vqcodec.container",
        "import vqcodec; vqcodec.inspect('b.vqc')",
        "import vqcodec; vqcodec.list_models()",
        command("--help"),
        command("--version"),
        *(command(name, "--help") for name in sorted(set(_COMMANDS) - {"bench"})),
        command("inspect", "b.vqc"),
        command("inspect", "b.vqc", "--json"),
        command("models", "list"),
        command("models", "show", "paper"),
    ],
)
def test_what_decodes_nothing_needs_no_more_than_the_standard_library(
    code: str, place: Path
) -> None:
    assert HEAVY & imported(code, place)[0] == set()


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("vqcodec ", {*_COMMANDS}),
        ("vqcodec com", {"compress"}),
        ("vqcodec compress --remove", {"--remove-source"}),
        ("vqcodec inspect --ver", {"--verify"}),
        ("vqcodec models un", {"uninstall"}),
    ],
)
def test_shell_completion_is_quick(words: str, found: set[str], place: Path) -> None:
    modules, printed = imported(
        command(),
        place,
        _VQCODEC_COMPLETE="bash_complete",
        COMP_WORDS=words,
        COMP_CWORD=str(words.count(" ")),
    )
    assert {line.split(",")[1] for line in printed.splitlines()} == found
    assert (HEAVY | {BENCH}) & modules == set()


@pytest.mark.parametrize(
    ("code", "runs_networks"),
    [
        (command("inspect", "a.png"), False),
        (command("inspect", "b.vqc", "--verify"), True),
        (command("compress", "a.png", "--dry-run"), False),
        (command("compress", "a.png"), True),
        (command("compress", "a.png", "--remove-source"), True),
        (command("compress", "a.png", "--lossless"), False),
        (command("decompress", "b.vqc", "--dry-run"), False),
        (command("decompress", "b.vqc"), True),
        (command("decompress", "b.vqc", "--salvage"), True),
        (command("models", "verify"), True),
        (command("tokens", "a.png", "b.vqc", "-o", "c.npz"), True),
        ("import vqcodec.pillow, PIL.Image; PIL.Image.open('b.vqc')", False),
        ("import vqcodec.pillow, PIL.Image; PIL.Image.open('b.vqc').load()", True),
    ],
)
def test_what_is_done_to_pictures_needs_no_torch(
    code: str, runs_networks: bool, place: Path
) -> None:
    modules, _ = imported(code, place)
    assert {"torch", "onnx"} & modules == set()
    if not runs_networks:
        assert "onnxruntime" not in modules
