"""Recipes that come with the package, by name. Loads no torch.

They are those that people train models of their own by; the recipes of the shipped models are in
the repository, under train/.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

_FOLDER = Path(str(files("vqcodec.training") / "recipes"))
_SUFFIX = ".toml"


def recipe_names() -> list[str]:
    """List the names of the recipes that are shipped."""
    return sorted(path.stem for path in _FOLDER.glob(f"*{_SUFFIX}"))


def find_recipe(recipe: str) -> Path:
    """Find a recipe by name, or by a path that ends in `.toml`.

    Raises ValueError if there is none.
    """
    if recipe.endswith(_SUFFIX):
        path = Path(recipe)
        if not path.is_file():
            raise ValueError(f"{path}: no such file")
        return path
    names = recipe_names()
    if recipe not in names:
        raise ValueError(
            f"no recipe is called {recipe!r}; there are: {', '.join(names)}, and files that end "
            f"in {_SUFFIX}"
        )
    return _FOLDER / f"{recipe}{_SUFFIX}"
