"""`vqcodec view`."""

from __future__ import annotations

import webbrowser
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlencode

import click

from vqcodec.cli.terminal import echo, warnings_shown
from vqcodec.container import Medium
from vqcodec.registry.store import list_models
from vqcodec.view.server import Server
from vqcodec.view.site import resources


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
