"""The pictures in a suite's directory: drawn all at once, so that none is left of what the suite no longer shows.

Which are munet's says a list beside them. A picture that somebody else has put there is not in it: it is neither
removed nor shown.
"""

from __future__ import annotations

from collections.abc import Iterable

from munet.report.charts.chart import Chart
from munet.store.folders import Folder, open_folder

FIGURES, LIST = "figures", "drawn.txt"
_SVG = ".svg"


def draw(workdir: str, charts: Iterable[Chart]) -> None:
    """Draws these, and removes what was drawn before and is not among them."""
    place, found = open_folder(f"{workdir}/{FIGURES}"), {f"{chart.name}{_SVG}": chart for chart in charts}
    before = _listed(place) or set()
    _list(place, before | set(found))  # first: a killed process leaves no picture that nobody knows
    for name, chart in found.items():
        place.replace(name, chart.svg())
    place.delete(sorted(before - set(found)))
    _list(place, set(found))


def drawn(workdir: str) -> dict[str, str]:
    """The pictures that are there: their places, as a page beside the folder names them, by their names.

    Without a list, as versions before it left their folders, these are all.
    """
    place = open_folder(f"{workdir}/{FIGURES}")
    names, listed = {name for name in place.names() if name.endswith(_SVG)}, _listed(place)
    shown = names if listed is None else names & listed
    return {name.removesuffix(_SVG): f"{FIGURES}/{name}" for name in sorted(shown)}


def _listed(place: Folder) -> set[str] | None:
    """Names of pictures that were drawn; None: there is no list."""
    try:
        lines = place.read(LIST).decode(errors="replace").splitlines()
    except FileNotFoundError:
        return None
    return {line for line in lines if line.endswith(_SVG) and "/" not in line and "\\" not in line}


def _list(place: Folder, names: Iterable[str]) -> None:
    place.replace(LIST, "".join(f"{name}\n" for name in sorted(names)).encode())
