"""At which rate a codec is as good as another one is at its own: read off its mean curve."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from vqcodec_bench.bdrate import Curve, curve_of
from vqcodec_bench.codec import Codec, Content
from vqcodec_bench.medium import Medium, Row
from vqcodec_bench.summary import grouped


def reached(
    medium: Medium[Content], codecs: Sequence[Codec[Content]], curves: Sequence[Row]
) -> list[Row]:
    """Return a row per codec, quality and metric: the value there, and `at`, the rates at which
    the others reach it, by name.

    A rate that is the lowest of its curve's may be more than is needed: its name is in `at_most`
    too. Codecs that reach the value nowhere, or have a single point, are left out.
    """
    by_codec = grouped(curves, codecs)
    rows = []
    for metric in medium.metrics:
        made = {name: curve_of(found, metric, medium.rate) for name, found in by_codec.items()}
        for row in curves:
            value = row[metric]
            if value is None:
                continue
            others = {n: curve for n, curve in made.items() if curve and n != row["codec"]}
            found = {name: _rate_at(curve, value) for name, curve in others.items()}
            told: Mapping[str, Any] = {
                "at": {name: rate for name, (rate, _) in found.items() if rate is not None},
                "at_most": [name for name, (_, most) in found.items() if most],
            }
            about = {key: row[key] for key in ("codec", "quality", medium.rate)}
            rows.append({**about, "metric": metric, "value": value, **told})
    return rows


def _rate_at(curve: Curve, value: float) -> tuple[float | None, bool]:
    lowest, worst = curve.start
    return (lowest, True) if worst > value else (curve.rate_at(value), False)
