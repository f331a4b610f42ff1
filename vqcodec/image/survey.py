"""What would be kept of a picture file, without decoding its pixels."""

from __future__ import annotations

import io
from dataclasses import replace

from vqcodec.image.accounting import UNKNOWN, Facts, Inventory, account
from vqcodec.image.inventory.listing import list_contents
from vqcodec.image.metadata import statements_of
from vqcodec.image.opening import mode_of
from vqcodec.image.pixels import replaced_colours
from vqcodec.image.reading import kept_of, refuse_multiplied_tags


def survey(data: bytes, *, exact: bool = False) -> Inventory:
    """Return a picture file's inventory without decoding its pixels: colours under full
    transparency, and profiles that cannot be used, are not found out. `exact` is as for
    `read_picture`.

    Raises PictureError for tags that share bytes.
    """
    contents = list_contents(data)
    if contents is None:
        return UNKNOWN
    refuse_multiplied_tags(contents, data)
    statements = statements_of(contents, data)
    kept = kept_of(statements, statements.metadata.icc, strip=False)
    metadata, mode = kept.metadata, mode_of(io.BytesIO(data))
    replaced = replaced_colours(mode, metadata.icc if metadata.cicp is None else None)
    if replaced:
        metadata = replace(metadata, icc=None)
    facts = Facts(
        turned=statements.orientation != 1,
        colours_used=kept.colours_used,
        exact=exact,
        profile_used=bool(replaced),
        replaced=replaced,
    )
    return account(contents, metadata, facts)
