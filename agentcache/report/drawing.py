"""Charts as pictures: bars told as values, drawn by Vega-Lite as SVG when the page is built.

The only module that knows vl-convert, which the extra `html` brings. A drawing holds no script, and its colours are
CSS variables of the page, so that one drawing serves light and dark.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from agentcache.errors import TargetError
from agentcache.prompt.canonical import JsonObject, JsonValue
from agentcache.visible import visible

WIDE, NARROW = 800, 300
"""Widths in CSS pixels, axes included: a column of text on a desk, and on a phone."""

COLOURS = 8
"""Colours of the page for series: `--c1` to `--c8`."""

_VEGA_LITE = "5.21"
_SHORT_NAME = 12
"""Characters of a name of which two stand side by side on a phone."""

_BAR_PX, _UPRIGHT_PX = 30, 220
_MEASURED_PX = 14
"""Text is measured larger than the page shows it (12 px): a reader's font may be wider than the one measured with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A piece of a bar, as long as `amount`."""

    bar: str
    series: str
    amount: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Bars:
    """Bars made of pieces that stand on each other.

    label: what a screen reader is told instead of the picture.
    bars, series: names, in the order in which they are drawn; at most `COLOURS` series. What would hide in a name is
    drawn by its number: no picture can hold a control character, and the drawer ends the process over one.
    axis: what amounts are; form: how they read, in d3's format language.
    upright: bars stand, in an order that means something (time), rather than lie below each other.
    """

    label: str
    bars: tuple[str, ...]
    series: tuple[str, ...]
    pieces: Sequence[Piece]
    axis: str
    form: str = "~s"
    most: float | None = None
    """Where the axis of amounts ends; `None` is where the longest bar does."""
    upright: bool = False


def draw(bars: Bars, width: int) -> str:
    """Return the chart as an SVG element, `width` CSS pixels wide. Raises `TargetError` without vl-convert."""
    try:
        # An optional extra, and 90 MB that only this needs.
        import vl_convert
    except ImportError as error:
        raise TargetError(
            "a report as HTML needs the package vl-convert-python; install it (pip install 'agentcache-claude[html]')"
        ) from error
    spec = json.dumps(bar_spec(bars, width), ensure_ascii=False, allow_nan=False)
    return vl_convert.vegalite_to_svg(spec, vl_version=_VEGA_LITE, allowed_base_urls=[])


def bar_spec(bars: Bars, width: int) -> JsonObject:
    """Return the chart as a Vega-Lite specification that fits `width` CSS pixels."""
    names: JsonObject = {
        "field": "bar",
        "type": "nominal",
        "title": None,
        "sort": None,
        "scale": {"domain": [visible(name) for name in bars.bars], "padding": 0.25},
        "axis": {
            "labelAngle": 0,
            "labelOverlap": bars.upright,
            "labelLimit": width // 3,
            "ticks": False,
            "grid": False,
        },
    }
    amounts: JsonObject = {
        "field": "amount",
        "type": "quantitative",
        "stack": "zero",
        "title": bars.axis,
        "axis": {"format": bars.form, "tickCount": 4 if width == NARROW else 6},
        "scale": {} if bars.most is None else {"domain": [0, bars.most]},
    }
    return {
        "width": width,
        "height": _UPRIGHT_PX if bars.upright else _BAR_PX * max(1, len(bars.bars)),
        "autosize": {"type": "fit-x", "contains": "padding"},
        "padding": 4,
        "background": None,
        "data": {"values": _values(bars)},
        "mark": {"type": "bar", "stroke": "var(--card)", "strokeWidth": 1},
        "encoding": {
            "x": names if bars.upright else amounts,
            "y": amounts if bars.upright else names,
            "color": _colours(bars, width),
            "order": {"field": "place", "type": "quantitative"},
        },
        "config": _CONFIG,
    }


def _values(bars: Bars) -> list[JsonValue]:
    places = {name: place for place, name in enumerate(bars.series)}
    return [
        {
            "bar": visible(piece.bar),
            "series": visible(piece.series),
            "amount": piece.amount,
            "place": places[piece.series],
        }
        for piece in bars.pieces
    ]


def _colours(bars: Bars, width: int) -> JsonObject:
    colours: list[JsonValue] = [f"var(--c{number})" for number in range(1, len(bars.series) + 1)]
    longest = max(map(len, bars.series), default=0)
    columns = 4 if width == WIDE else 2 if longest <= _SHORT_NAME else 1
    legend: JsonObject = {
        "title": None,
        "orient": "top",
        "columns": columns,
        "labelLimit": width // columns - 50,
        "symbolType": "square",
        "symbolStrokeWidth": 0,
        "columnPadding": 14,
    }
    return {
        "field": "series",
        "type": "nominal",
        "scale": {"domain": [visible(name) for name in bars.series], "range": colours},
        "legend": legend if len(bars.series) > 1 else None,
    }


_CONFIG: JsonObject = {
    "font": "sans-serif",
    "view": {"stroke": None},
    "axis": {
        "labelColor": "var(--soft)",
        "titleColor": "var(--soft)",
        "gridColor": "var(--rule)",
        "domainColor": "var(--rule)",
        "tickColor": "var(--rule)",
        "labelFontSize": _MEASURED_PX,
        "titleFontSize": _MEASURED_PX,
        "titleFontWeight": "normal",
        "labelPadding": 6,
        "titlePadding": 10,
    },
    "legend": {"labelColor": "var(--ink)", "labelFontSize": _MEASURED_PX},
}
