"""Figure 5: validation accuracy cycle by cycle along the lineage of each task's final model, beside a baseline's."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from munet.report import canvas
from munet.suites.journals import Lineage
from munet.types import TaskName


def draw(
    lineages: Mapping[str, Sequence[Mapping[TaskName, Lineage]]],
    labels: Mapping[TaskName, str],
    metric: str = "accuracy",
) -> bytes | None:
    """The figure; None without any run.

    Args:
      lineages: by the method's title, one mapping for each run.
      labels: what the tasks are called, in order: a panel each.
      metric: what the qualities are, in words.
    """
    if not any(lineages.values()) or not labels:
        return None
    columns = min(4, len(labels))
    rows = math.ceil(len(labels) / columns)
    with canvas.canvas(3.0 * columns + 1.0, 2.5 * rows + 0.7, rows, columns) as (figure, axes):
        panels = list(axes.flat)
        for panel, (task, label) in zip(panels, labels.items(), strict=False):
            for index, (_, runs) in enumerate(lineages.items()):
                for run in runs:
                    if task in run:
                        _line(panel, run[task], index)
            panel.set_title(label)
            panel.xaxis.get_major_locator().set_params(integer=True)
        for panel in panels[len(labels) :]:
            panel.set_visible(False)
        figure.supxlabel("train/validation cycles", fontsize=10)
        figure.supylabel(f"validation {metric} (%)", fontsize=10)
        figure.legend(handles=_legend(list(lineages), metric), loc="outside upper center", ncols=len(lineages) + 2)
        return canvas.svg(figure)


def _line(panel: Any, lineage: Lineage, index: int) -> None:
    colour = canvas.colour(index)
    cycles = range(1, len(lineage.qualities) + 1)
    panel.plot(cycles, [100 * value for value in lineage.qualities], color=colour, linewidth=1.2, alpha=0.8)
    at = lineage.best + 1
    panel.plot([at], [100 * lineage.qualities[lineage.best]], color=colour, marker="+", markersize=9, linestyle="")
    panel.plot([at], [100 * lineage.test], color=colour, marker="o", markersize=5, fillstyle="none", linestyle="")


def _legend(titles: Sequence[str], metric: str) -> list[Any]:
    from matplotlib.lines import Line2D

    grey = "#5A6270"
    return [
        *(Line2D([], [], color=canvas.colour(index), label=title) for index, title in enumerate(titles)),
        Line2D([], [], color=grey, marker="+", markersize=9, linestyle="", label="best validation"),
        Line2D([], [], color=grey, marker="o", fillstyle="none", linestyle="", label=f"its test {metric}"),
    ]
