"""Pictures of the alignment search: cells by module over generations (the paper's Figure 2), and the score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from munet.report import canvas
from munet.suites.alignments import Search

_SHOWN = 100  # generations, of cells: later ones look alike
_PREFIX = "figure_2_"


def figures(titles: Mapping[str, str], searches: Mapping[str, Sequence[Search]]) -> dict[str, bytes]:
    """A picture for every method that searches and whose true groups are known."""
    return {
        f"{_PREFIX}{name}.svg": _picture(titles[name], own)
        for name, own in searches.items()
        if own and all(one.scores for one in own)
    }


def caption(name: str) -> str:
    """What is to be seen in a picture."""
    what = name.removeprefix(_PREFIX).removesuffix(".svg")
    return (
        f"Figure 2 of {what}: above, the module of every task (colour) of the first seed, in the order of the true "
        "groups; below, the score of the mapping after every generation: median of the seeds, and their quartiles."
    )


def _picture(title: str, searches: Sequence[Search]) -> bytes:
    first = searches[0]
    with canvas.canvas(9.5, 5.6, rows=2) as (figure, axes):
        cells, scores = axes[0][0], axes[1][0]
        _cells(cells, first)
        length = min(len(one.scores) for one in searches)
        values = np.array([one.scores[:length] for one in searches])
        low, middle, high = np.quantile(values, (0.25, 0.5, 0.75), axis=0)
        scores.fill_between(range(length), low, high, color=canvas.colour(5), alpha=0.35, linewidth=0)
        scores.plot(range(length), middle, color=canvas.colour(0), linewidth=1.0)
        full = first.mappings.shape[1]
        scores.set(xlabel="generation", ylim=(-full - 1, full + 1), xlim=(0, max(length - 1, 1)))
        scores.set_title(f"score of the mapping (at most {full})", loc="left", fontsize=10, fontweight="normal")
        figure.suptitle(title, fontsize=13, fontweight="bold", x=0.01, horizontalalignment="left")
        return canvas.svg(figure, title)


def _cells(axis: Any, search: Search) -> None:
    """Modules that last are named by colours, in the order in which tasks use them at the end; others are grey."""
    from matplotlib.colors import to_rgb

    shown = search.mappings[:_SHOWN]
    last = list(dict.fromkeys(shown[-1].tolist()))
    colours = {module: to_rgb(canvas.colour(at)) for at, module in enumerate(last) if at < 10}
    image = np.array([[colours.get(module, (0.86, 0.87, 0.89)) for module in row] for row in shown.tolist()])
    axis.imshow(np.swapaxes(image, 0, 1), aspect="auto", interpolation="nearest", origin="upper")
    axis.grid(visible=False)
    axis.set(xlabel="generation", ylabel="task")
    axis.set_title(
        f"module of each task, seed {search.seed}, first {len(shown)} generations", loc="left", fontsize=10,
        fontweight="normal",
    )  # fmt: skip
