"""Numbers and what they count."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import vqcodec
from vqcodec.counting import counted

_NOUNS = (
    "actions|channels|durations|errors|files|frames|lines|pictures|processors|results|samples|"
    "seconds|sources|tags|tiles|times|tokens"
)
_PLURAL = re.compile(rf" (more )?({_NOUNS})\b")


@pytest.mark.parametrize(
    ("number", "told"),
    [
        (0, "0 frames"),
        (1, "1 frame"),
        (2, "2 frames"),
        (16777215, "16777215 frames"),
        (1.0, "1 frame"),
        (0.5, "0.5 frames"),
        (10 / 3, "3.33333 frames"),
    ],
)
def test_one_is_singular(number: float, told: str) -> None:
    assert counted(number, "frame") == told


def plurals(text: ast.JoinedStr) -> Iterator[str]:
    """Yield what of a text tells a number that may be one, and a noun in the plural."""
    before = ""
    for value, after in zip(text.values, text.values[1:], strict=False):
        if isinstance(value, ast.Constant):
            before = str(value.value)
            continue
        assert isinstance(value, ast.FormattedValue)
        number = ast.unparse(value.value)
        # "100x80", "2 of 3 files", "0.5 to 1 seconds", "tile 3 of 9.00 seconds".
        is_part = before.endswith(("x", " of ", " to "))
        is_limit = number.split(".")[-1].isupper()
        is_rounded = value.format_spec is not None and "f" in ast.unparse(value.format_spec)[2:]
        if is_part or is_limit or is_rounded or not isinstance(after, ast.Constant):
            continue
        if found := _PLURAL.match(str(after.value)):
            yield f"{number}{found[0]}"


def test_messages_have_no_plural_of_one() -> None:
    package = Path(vqcodec.__file__).parent
    found = [
        f"{path.relative_to(package)}:{node.lineno}: {plural}"
        for path in package.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.JoinedStr)
        for plural in plurals(node)
    ]
    assert not found, "\n".join(found)
