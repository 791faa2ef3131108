"""Figure 8: which hyper-parameters were sampled, pooled over runs; smaller adapters and fewer blocks if size costs."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from munet.report import canvas
from munet.types import HyperparameterValue


def draw(sampled: Mapping[str, Sequence[Mapping[str, HyperparameterValue]]]) -> bytes | None:
    """The figure; None where nothing was sampled or nothing differs.

    Args:
      sampled: by the method's title, the hyper-parameters of each child.
    """
    everything = [child for children in sampled.values() for child in children]
    names = list(dict.fromkeys(name for child in everything for name in child))
    varied = [name for name in names if len({child[name] for child in everything if name in child}) > 1]
    if not varied:
        return None
    columns = min(4, len(varied))
    rows = math.ceil(len(varied) / columns)
    with canvas.canvas(3.0 * columns + 0.5, 2.1 * rows + 0.7, rows, columns) as (figure, axes):
        panels = list(axes.flat)
        for panel, name in zip(panels, varied, strict=False):
            # A method without the insertion has no width or rank of it.
            values = {title: [child[name] for child in own if name in child] for title, own in sampled.items()}
            _bars(panel, name, values)
        for panel in panels[len(varied) :]:
            panel.set_visible(False)
        figure.supylabel("share of the sampled children (%)", fontsize=10)
        handles, titles = panels[0].get_legend_handles_labels()
        figure.legend(handles, titles, loc="outside upper center", ncols=len(sampled))
        return canvas.svg(figure)


def _bars(panel: Any, name: str, values: Mapping[str, Sequence[HyperparameterValue]]) -> None:
    """Bars side by side at every value that any method has."""
    ticks = sorted({value for own in values.values() for value in own}, key=_order)
    width = 0.8 / max(len(values), 1)
    for index, (title, own) in enumerate(values.items()):
        counts = Counter(own)
        shares = [100 * counts[tick] / len(own) if own else 0.0 for tick in ticks]
        places = [place + (index - (len(values) - 1) / 2) * width for place in range(len(ticks))]
        panel.bar(places, shares, width, color=canvas.colour(index), label=title)
    panel.set_xticks(range(len(ticks)), [_short(tick) for tick in ticks], fontsize=7, rotation=45 * (len(ticks) > 6))
    panel.set_title(name.replace("num_", "number of ").replace("_", " "), fontsize=10)
    panel.grid(visible=False, axis="x")


def _order(value: HyperparameterValue) -> tuple[bool, float, str]:
    """Numbers by size, then text by alphabet."""
    return (True, 0.0, value) if isinstance(value, str) else (False, float(value), "")


def _short(value: HyperparameterValue) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, int | float) else value
