"""A heat map of tasks by tasks: shades of shares, numbers where there is room for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from munet.report.drawing import INK

MOST_NAMED = 120  # tasks that all have a name beside their row
_CELL, _SMALLEST_CELL, _TINY_CELL, _ROOM = 44, 10, 4, 640
_MOST_SAID = 400  # cells that an SVG has words for; more would make it twice as large
_NUMBERS_FROM = 32  # pixels of a cell that has room for a number
_SHADES = ("#DCE9F2", "#0072B2", "#00395A")
_WHITE_FROM = 0.35  # of a shade's share: numbers on it are white
_SCALE = {
    "orient": "bottom",
    "direction": "horizontal",
    "gradientLength": 180,
    "values": [0, 0.5, 1],
    "format": "~g",
    "titleFontWeight": "normal",
}


@dataclass(frozen=True)
class Axis:
    """A side of the map.

    Attributes:
      field: of the cells, which says where one stands.
      title: of the axis.
      names: all of it, in order, as they are shown.
    """

    field: str
    title: str
    names: Sequence[str]


def spec(
    cells: Sequence[Mapping[str, Any]],
    across: Axis,
    down: Axis,
    *,
    number: str,
    number_format: str,
    tooltip: Sequence[Mapping[str, Any]],
    scale: str = "",
) -> dict[str, Any]:
    """The specification.

    Args:
      cells: with the fields of both axes, `shade` in [0, 1] and the number.
      across, down: the axes.
      number: the field of what is written into a cell.
      number_format: how.
      tooltip: Vega-Lite's, of the cells' fields.
      scale: what a shade says where the cells have no room for numbers and it is the number; "": nothing.
    """
    most = max(len(across.names), len(down.names))
    is_named = most <= MOST_NAMED
    cell = max(min(_CELL, _ROOM // most), _SMALLEST_CELL if is_named else _TINY_CELL)
    every = {"labelOverlap": not is_named, "labelFontSize": min(11, cell - 1) if is_named else 9}
    shade = {
        "field": "shade",
        "type": "quantitative",
        "legend": _SCALE | {"title": scale} if scale and cell < _NUMBERS_FROM else None,
        "scale": {"domain": [0, 1], "range": list(_SHADES)},
    }
    numbers = {
        "mark": {"type": "text", "fontSize": 11},
        "encoding": {
            "text": {"field": number, "type": "quantitative", "format": number_format},
            "color": {"condition": {"test": f"datum.shade > {_WHITE_FROM}", "value": "#FFFFFF"}, "value": INK},
        },
    }
    rect = {
        "mark": {"type": "rect", "aria": len(cells) <= _MOST_SAID},
        "encoding": {"color": shade, "tooltip": list(tooltip)},
    }
    turned = {"orient": "top", "labelAngle": -45 if cell >= 20 else -90}
    return {
        "width": {"step": cell},
        "height": {"step": cell},
        "data": {"values": list(cells)},
        "encoding": {"x": _side(across, {**turned, **every}), "y": _side(down, every)},
        "layer": [rect, numbers] if cell >= _NUMBERS_FROM else [rect],
    }


def _side(axis: Axis, options: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "field": axis.field,
        "type": "nominal",
        "sort": None,
        "scale": {"domain": list(axis.names), "paddingInner": 0.04},
        "axis": {"title": axis.title, **options},
    }
