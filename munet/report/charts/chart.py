"""A figure: one Vega-Lite specification, shown by the page's viewer and written as SVG and PNG by `vl-convert-python`.

Specifications are plain dicts. What users have named stands in data and titles only, cut to a length and printable;
fields and expressions have names of ours.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from munet.report import drawing
from munet.report.drawing import FAINT, INK, TASK_COLOURS
from munet.text import printable
from munet.types import TaskName

SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
FONT = "Helvetica Neue, Helvetica, Arial, Liberation Sans, DejaVu Sans, sans-serif"
SHAPES = ("circle", "square", "triangle-up", "diamond", "triangle-down", "cross", "triangle-right", "triangle-left")
DASHES = ([1, 0], [6, 3], [2, 2])  # when the colours are used up
PANELS = 3  # side by side, where there is room
_SHORT = 18  # letters of a name
_SCALE = 2.0  # pixels of a PNG per pixel of the figure

LIGHT: Mapping[str, Any] = {
    "background": "#FFFFFF",
    "font": FONT,
    "padding": 12,
    "view": {"stroke": None},
    "axis": {
        "gridColor": drawing.HAIRLINE,
        "domainColor": FAINT,
        "tickColor": FAINT,
        "labelColor": FAINT,
        "titleColor": INK,
        "labelFontSize": 11,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
        "titlePadding": 10,
        "labelLimit": 170,
        "labelOverlap": True,
        "labelSeparation": 3,
    },
    "header": {"labelColor": INK, "labelFontSize": 12, "labelFontWeight": "bold", "labelLimit": 220, "title": None},
    "title": {
        "color": INK,
        "subtitleColor": FAINT,
        "subtitlePadding": 5,
        "fontSize": 12,
        "anchor": "start",
        "frame": "group",
        "offset": 10,
        "limit": 200,
    },
    "legend": {
        "orient": "top",
        "title": None,
        "titleColor": INK,
        "labelColor": INK,
        "labelFontSize": 12,
        "labelLimit": 320,
        "symbolSize": 90,
        "columnPadding": 18,
        "rowPadding": 4,
        "offset": 14,
    },
    "text": {"color": INK, "fontSize": 11},
    "range": {"category": list(TASK_COLOURS)},
}
_LIGHT_INK, _LIGHT_FAINT = "#E8EAED", "#A4ABB3"
DARK: Mapping[str, Any] = {  # what a dark page changes
    "background": "transparent",
    "axis": {
        "gridColor": "#2B3037",
        "domainColor": _LIGHT_FAINT,
        "tickColor": _LIGHT_FAINT,
        "labelColor": _LIGHT_FAINT,
        "titleColor": _LIGHT_INK,
    },
    "header": {"labelColor": _LIGHT_INK},
    "title": {"color": _LIGHT_INK, "subtitleColor": _LIGHT_FAINT},
    "legend": {"titleColor": _LIGHT_INK, "labelColor": _LIGHT_INK},
    "text": {"color": _LIGHT_INK},
}


@dataclass(frozen=True)
class Chart:
    """A figure with what is said of it.

    Attributes:
      name: of its files, without an ending.
      title: above it.
      caption: what is to be seen.
      spec: the specification, without configuration.
      rows: the numbers that it shows, for who cannot see it and for programs.
    """

    name: str
    title: str
    caption: str
    spec: Mapping[str, Any]
    rows: Sequence[Mapping[str, Any]] = field(default=())

    def vega_lite(self) -> dict[str, Any]:
        """The whole specification."""
        description = f"{printable(self.title)}. {printable(self.caption)}"
        return {"$schema": SCHEMA, "description": description, "config": dict(LIGHT), **self.spec}

    def svg(self) -> bytes:
        """The figure as SVG; equal figures have equal bytes."""
        import vl_convert

        return str(vl_convert.vegalite_to_svg(self.vega_lite())).encode()

    def png(self) -> bytes:
        """The figure as PNG, twice as many pixels as it has on a screen."""
        import vl_convert

        return bytes(vl_convert.vegalite_to_png(self.vega_lite(), scale=_SCALE))


def labels(names: Iterable[str], most: int = _SHORT) -> dict[str, str]:
    """Short names by name, all different: of two that are cut to the same the second has a number."""
    seen: Counter[str] = Counter()
    found = {}
    for name in names:
        cut = drawing.short(name, most)
        seen[cut] += 1
        found[name] = cut if seen[cut] == 1 else f"{drawing.short(name, most - 4)} ({seen[cut]})"
    return found


def quantity(name: str, title: str, **options: Any) -> dict[str, Any]:
    """The encoding of a number by a field."""
    axis = options.pop("axis", {})
    return {"field": name, "type": "quantitative", "axis": {"title": title, **axis}, **options}


def share_axis(**options: Any) -> dict[str, Any]:
    """An axis in percent of fractions."""
    return {"format": "~%", **options}


def colours(values: Sequence[str]) -> dict[str, Any]:
    """A colour for each of some names, by place."""
    return {"domain": list(values), "range": [TASK_COLOURS[place % len(TASK_COLOURS)] for place in range(len(values))]}


def task_colours(names: Mapping[TaskName, str], numbers: Mapping[TaskName, int] | None = None) -> dict[str, Any]:
    """The colours of tasks, the same in every picture of a run.

    Args:
      names: as they are shown, by task.
      numbers: of the run's tasks (`Plan.numbers`), one without is a task that it has no more; None: their places.
    """
    numbered = _by_place(names) if numbers is None else numbers
    return {"domain": list(names.values()), "range": [drawing.owner_style(task, numbered).colour for task in names]}


def task_dashes(names: Mapping[TaskName, str], numbers: Mapping[TaskName, int] | None = None) -> dict[str, Any]:
    """A dash pattern for each task, in the same way: another one whenever the colours are used up."""
    numbered = _by_place(names) if numbers is None else numbers
    rounds = [numbered.get(task, 0) // len(TASK_COLOURS) % len(DASHES) for task in names]
    return {"domain": list(names.values()), "range": [DASHES[number] for number in rounds]}


def _by_place(names: Iterable[TaskName]) -> dict[TaskName, int]:
    return {task: place for place, task in enumerate(names)}


def fluid(beside: int) -> dict[str, Any]:
    """What makes a figure narrower on a narrow page; `beside`: pixels that its axis takes."""
    return {"usermeta": {"fluid": beside}}


def panels(specs: Sequence[Mapping[str, Any]], columns: int = PANELS, **options: Any) -> dict[str, Any]:
    """Small figures side by side, their axes in line; a narrow page has fewer in a row."""
    room = {"spacing": {"row": 84, "column": 72}, "bounds": "flush", "usermeta": {"panels": True}}
    return {"concat": list(specs), "columns": columns, **room, **options}
