"""Options that are for one medium alone, and what is told where they are given for another."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import click
from click.core import ParameterSource

from vqcodec.batch.job import EXPECTED
from vqcodec.cli.terminal import warn
from vqcodec.container.layout import Medium

OF_ONE_MEDIUM = {
    "--effort": Medium.PICTURE,
    "--tune": Medium.PICTURE,
    "--range": Medium.PICTURE,
    "--thumbnail": Medium.PICTURE,
    "--format-quality": Medium.PICTURE,
    "--speaker": Medium.SOUND,
    "--clip": Medium.CLIP,
    "--fps": Medium.CLIP,
    "--actions": Medium.CLIP,
    "--actions-out": Medium.CLIP,
    "--steadiness": Medium.CLIP,
}
"""Of `compress` and `decompress`. What is wished of the size and quality of results is not here: a
file of which that cannot be had is an error wherever it is, as its result would be another.
"""


def check_options(
    sources: Sequence[str], medium_of: Callable[[str], Medium | None], *, named: bool
) -> None:
    """Look whether the options that the command at hand was given are for media that its inputs
    have: a warning says so if none is, and if the inputs were named one by one that is an error.

    `medium_of` tells the medium of an input, None if that is not known; then it may be any, and so
    it may where this raises an error of the kinds in EXPECTED. Raises: click.UsageError.
    """
    options = _given()
    if not options or not sources:
        return
    found = {_known(source, medium_of) for source in sources}
    known = sorted(medium.plural for medium in found if medium is not None)
    for option, medium in options.items():
        if medium in found or None in found:
            continue
        if named:
            raise click.UsageError(f"{option} is not for {' or '.join(known)}")
        warn(option, f"it is for {medium.plural}, and there are none")


def _given() -> dict[str, Medium]:
    """Return the options of one medium that were given, and that medium."""
    context = click.get_current_context()
    names = [
        parameter.opts[0]
        for parameter in context.command.params
        if parameter.name is not None
        and context.get_parameter_source(parameter.name) is not ParameterSource.DEFAULT
    ]
    return {name: OF_ONE_MEDIUM[name] for name in names if name in OF_ONE_MEDIUM}


def _known(source: str, medium_of: Callable[[str], Medium | None]) -> Medium | None:
    try:
        return medium_of(source)
    except EXPECTED:
        return None  # what is wrong with it, working on it tells
