"""`vqcodec inspect`."""

from __future__ import annotations

import json

import click

from vqcodec.batch.job import read_input
from vqcodec.cli.options import Compute, compute_options, max_pixels_option, model_option
from vqcodec.cli.process import prepare
from vqcodec.cli.terminal import echo, warnings_shown
from vqcodec.codec.inspection import Inspection, describe
from vqcodec.container import Container, Limits, parse
from vqcodec.errors import NotVqcError


@click.command()
@click.argument("file", metavar="FILE")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--verify", is_flag=True, help="Of a .vqc file: also decode all tiles and metadata.")
@model_option
@compute_options()
@max_pixels_option
def command(
    file: str,
    as_json: bool,
    verify: bool,
    model: str | None,
    max_pixels: int,
    compute: Compute,
) -> int:
    """Show what FILE ('-': stdin) consists of; sizes sum to the file's size.

    Of a .vqc file that is each of its fields. Of a picture it is each part of its file, and
    what a .vqc file of it would keep.
    """
    data = read_input(file)
    with warnings_shown(file):
        try:
            container = parse(data, Limits(pixels=max_pixels))
        except NotVqcError as error:
            return _inspect_picture(data, error, as_json=as_json)
        found = describe(container, len(data))
        digest = _verify(container, model, compute) if verify else None
    if as_json:
        extra = {} if digest is None else {"indices_sha256": digest}
        click.echo(json.dumps(found.as_dict() | extra, indent=2))  # ASCII, on many lines
    else:
        _print(found, digest)
    return 0


def _inspect_picture(data: bytes, error: NotVqcError, *, as_json: bool) -> int:
    """Print what a picture file consists of; raise the error if it is none that is known."""
    from vqcodec.image.reading import survey

    inventory = survey(data)
    if inventory.format is None:
        error.args = ("neither a .vqc file nor a picture whose parts are known",)
        raise error
    if as_json:
        click.echo(json.dumps(inventory.as_dict(), indent=2))
        return 0
    echo(f"{inventory.format} file of {len(data)} bytes")
    echo("")
    echo(f"{'bytes':>9}  {'in a .vqc file':22}part")
    for holding in inventory.holdings:
        note = f" ({holding.note})" if holding.note else ""
        echo(f"{holding.size:>9}  {holding.fate.value:22}{holding.name}{note}")
    echo(f"{sum(holding.size for holding in inventory.holdings):>9}")
    echo("")
    verdict = f"keep this file: {inventory.loss}" if inventory.loss else "delete this file"
    echo(f"compress --remove-source would {verdict}")
    return 0


def _verify(container: Container, model: str | None, compute: Compute) -> str:
    import hashlib

    prepare(compute.threads)
    from vqcodec.image.pipeline import check

    grid = check(container, model=model, device=compute.device)
    return hashlib.sha256(grid.astype("<u2").tobytes()).hexdigest()


def _print(found: Inspection, digest: str | None) -> None:
    rows, columns = found.grid
    name = found.model_name or "not installed"
    bits = found.bits_per_position
    echo(f"picture       {found.width}x{found.height} pixels")
    echo(f"size          {found.bytes} bytes, {found.ratio:.1f}x, {found.bpp:.4f} bpp")
    model = "none" if found.mode == "literal" else f"{found.model} ({name})"
    echo(f"model         {model}")
    quality = f", quality {found.quality}" if found.quality else ""
    echo(f"grid          {rows}x{columns} in {found.tiles} tiles, mode {found.mode}{quality}")
    if found.literal_tiles:
        echo(f"exact pixels  in {found.literal_tiles} of {found.tiles} tiles")
    echo(f"payload       {found.payload_bytes} bytes, {bits:.3f} bits/position")
    if digest is not None:
        echo(f"verified      every checksum holds; indices have SHA-256 {digest}")
    echo("")
    echo(f"{'offset':>9} {'bytes':>9}  field")
    for span in found.spans:
        echo(f"{span.offset:>9} {span.size:>9}  {span.name}")
    total = sum(span.size for span in found.spans)
    echo(f"{'sum':>9} {total:>9}")
