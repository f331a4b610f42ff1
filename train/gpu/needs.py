"""Say in one line what a machine lacks to train and to run the codec; exit status 1 if anything.

    python3 train/gpu/needs.py

Runs where nothing is installed but Python: reads the package's dependencies from pyproject.toml.
"""

from __future__ import annotations

import re
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PROJECT = Path(__file__).parents[2] / "pyproject.toml"


def needed() -> list[str]:
    """List the packages that training needs, as the package index names them."""
    project = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]
    # Those with a condition stand in for what this Python, which got here, has itself.
    plain = [line for line in project["dependencies"] if ";" not in line]
    return sorted({re.split(r"[^\w.-]", line)[0] for line in plain} | {"torch"})


def installed(name: str) -> str | None:
    """Return a package's version; None if it is not there."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def main() -> None:
    """Print what is missing, or what is there."""
    found = {name: installed(name) for name in needed()}
    if missing := [name for name, number in found.items() if number is None]:
        sys.exit(f"missing: {', '.join(missing)}")
    print(f"Python {sys.version.split()[0]},", ", ".join(f"{n} {v}" for n, v in found.items()))


if __name__ == "__main__":
    main()
