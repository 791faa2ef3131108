"""Which of several things each row has, step by step: a colour for each thing (the cells of MUiR's Figure 2)."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from itertools import groupby
from typing import Any

from munet.report.charts import chart
from munet.report.drawing import ROOT_COLOUR, TASK_COLOURS

WIDTH = 620
_TALLEST, _ROW, _LEAST_ROW = 300, 10, 3  # pixels


def spec(steps: Sequence[Sequence[Hashable]], x: str, y: str) -> dict[str, Any]:
    """The specification: a row of cells for each place, a column for each step; equal neighbours are one cell.

    What is there at the last step has colours, in the order of its rows; what goes away, and what is more than there
    are colours, is grey.

    Args:
      steps: at least one; of each step what every row has, top to bottom.
      x, y: the titles of the axes.
    """
    last = list(dict.fromkeys(steps[-1]))[: len(TASK_COLOURS)]
    colours = dict(zip(last, TASK_COLOURS, strict=False))
    values = [
        {"row": row, "below": row + 1, "from": start, "to": end, "colour": colours.get(what, ROOT_COLOUR)}
        for row in range(len(steps[0]))
        for what, start, end in _runs([step[row] for step in steps])
    ]
    rows = len(steps[0])
    height = max(min(_ROW * rows, _TALLEST), _LEAST_ROW * rows)
    upright = {"domain": [0, rows], "nice": False, "reverse": True}
    return {
        "width": WIDTH,
        "height": height,
        "data": {"values": values},
        "mark": {"type": "rect"},
        "encoding": {
            "x": chart.quantity(
                "from",
                x,
                scale={"domain": [0, len(steps)], "nice": False},
                axis={"grid": False, "tickCount": min(6, len(steps)), "format": ",d"},
            ),
            "x2": {"field": "to"},
            "y": chart.quantity(
                "row", y, scale=upright, axis={"grid": False, "tickCount": min(4, rows), "format": "d"}
            ),
            "y2": {"field": "below"},
            "color": {"field": "colour", "type": "nominal", "scale": None},
        },
    }


def _runs(row: Sequence[Hashable]) -> list[tuple[Hashable, int, int]]:
    """What the row has, and from which step to before which."""
    found, start = [], 0
    for what, same in groupby(row):
        end = start + len(list(same))
        found.append((what, start, end))
        start = end
    return found
