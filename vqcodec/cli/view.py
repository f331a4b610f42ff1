"""`vqcodec view`."""

from __future__ import annotations

import webbrowser
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlencode

import click

from vqcodec.batch.job import open_input
from vqcodec.cli.terminal import echo, warnings_shown
from vqcodec.clip.formats import is_video
from vqcodec.codec.beginnings import HEAD_BYTES, is_sound
from vqcodec.container import Medium
from vqcodec.container.layout import SIGNATURE
from vqcodec.errors import MediumError, NotVqcError
from vqcodec.media.jobs import medium_of
from vqcodec.registry.store import list_models
from vqcodec.view.server import Server
from vqcodec.view.site import resources

_JPEG_XL = (b"\xff\x0a", b"\0\0\0\x0cJXL ")
"""How files begin that some browsers read, and nothing here does."""


@click.command()
@click.argument(
    "file", metavar="[FILE]", required=False, type=click.Path(exists=True, dir_okay=False)
)
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Default: any free one.")
@click.option("--no-browser", is_flag=True, help="Only print the page's address.")
def command(file: str | None, port: int, no_browser: bool) -> None:
    """Show FILE, a .vqc file or a picture, in the browser, where pictures are compressed too.

    The page is served to this machine alone, until Ctrl-C; all the work is done in the browser.
    """
    if file is not None:
        _require_picture(file)
    with warnings_shown("models"):
        models = [model for model in list_models() if model.medium is Medium.PICTURE]
    path = None if file is None else Path(file)
    with Server(resources(models, path), port) as server:
        query = "" if path is None else "?" + urlencode({"file": path.name})
        address = f"{server.origin}/{query}"
        echo(f"{address} (Ctrl-C ends it)")
        if not no_browser:
            webbrowser.open(address)
        with suppress(KeyboardInterrupt):
            server.serve_forever()


def _require_picture(file: str) -> None:
    """Raise FormatError if a file does not begin as what the page shows. What else is wrong with
    it, the page tells.
    """
    from vqcodec.image.inventory.listing import has_signature

    with open_input(file) as opened:
        head = opened.read(HEAD_BYTES)
    medium = medium_of(head)
    if medium is not None and medium is not Medium.PICTURE:
        raise MediumError(f"{file}: the file holds {medium.noun}, and the page shows pictures")
    if head.startswith((SIGNATURE, *_JPEG_XL)):
        return
    if is_sound(head) or is_video(head) or not has_signature(head):
        raise NotVqcError(f"{file}: neither a .vqc file nor a picture that is known")
