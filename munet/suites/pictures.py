"""The pictures in a suite's directory: drawn all at once, so that none is left of what the suite no longer shows."""

from __future__ import annotations

from collections.abc import Iterable

from munet.report.charts.chart import Chart
from munet.store.folders import open_folder

FIGURES = "figures"
_SVG = ".svg"


def draw(workdir: str, charts: Iterable[Chart]) -> None:
    """Draws these, and removes those that are not among them."""
    place, names = open_folder(f"{workdir}/{FIGURES}"), set()
    for chart in charts:
        names.add(f"{chart.name}{_SVG}")
        place.replace(f"{chart.name}{_SVG}", chart.svg())
    place.delete(name for name in sorted(place.names() - names) if name.endswith(_SVG))


def drawn(workdir: str) -> dict[str, str]:
    """The pictures that are there: their places, as a page beside the folder names them, by their names."""
    names = sorted(open_folder(f"{workdir}/{FIGURES}").names())
    return {name.removesuffix(_SVG): f"{FIGURES}/{name}" for name in names if name.endswith(_SVG)}
