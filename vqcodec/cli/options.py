"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from vqcodec.container.layout import Limits

F = TypeVar("F", bound=Callable[..., Any])


def stacked(*decorators: Callable[[F], F]) -> Callable[[F], F]:
    """Join decorators into one; the first is outermost, as when written above a function."""

    def join(function: F) -> F:
        for decorator in reversed(decorators):
            function = decorator(function)
        return function

    return join


def output_options(what: str) -> Callable[[F], F]:
    """Where results go."""
    return stacked(
        click.option("-o", "--output", metavar="FILE", help=f"Write {what} here; '-' is stdout."),
        click.option(
            "-d",
            "--directory",
            metavar="DIR",
            type=click.Path(file_okay=False),
            help="Write into this folder; folders are mirrored.",
        ),
        click.option("-f", "--force", is_flag=True, help="Overwrite existing files."),
    )


model_option = click.option(
    "--model", metavar="NAME|FILE", help="Model's name, or its .safetensors file."
)

compute_options = stacked(
    click.option(
        "--device",
        type=click.Choice(["auto", "cpu", "cuda", "mps"]),
        default="auto",
        show_default=True,
        help="Where the networks run.",
    ),
    click.option(
        "--threads", type=click.IntRange(min=1), help="Threads on the CPU; default: all cores."
    ),
)

max_pixels_option = click.option(
    "--max-pixels",
    type=click.IntRange(min=1),
    default=Limits().pixels,
    show_default=True,
    help="Refuse pictures with more pixels.",
)


def use_threads(threads: int | None) -> None:
    """Apply --threads."""
    if threads is not None:
        import torch

        torch.set_num_threads(threads)
