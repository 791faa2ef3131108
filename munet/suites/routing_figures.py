"""Curves of routed trainings with bands over seeds: the paper's Figures 1 and 7."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from munet.report import canvas
from munet.suites.paired import t_interval

if TYPE_CHECKING:
    from munet.suites.routing_report import Trained

_DASHES = ("-", "--", "-.", ":")


def draw(title: str, trained: Sequence[Trained]) -> bytes:
    """Training loss over rounds, a line a method; the band is the 90 % interval of the mean over seeds."""
    with canvas.canvas(7.5, 4.6) as (figure, axes):
        axis = axes[0][0]
        for index, one in enumerate(trained):
            mean = one.losses.mean(axis=0)
            colour, dash = canvas.colour(index), _DASHES[index % len(_DASHES)]
            axis.plot(one.steps, mean, dash, color=colour, label=f"{one.title}: {mean[-1]:.3g}")
            if len(one.losses) > 1:
                bounds = np.array([t_interval(values, 0.9) for values in one.losses.T])
                axis.fill_between(one.steps, bounds[:, 0], bounds[:, 1], color=colour, alpha=0.2, linewidth=0)
        axis.set(xlabel="rounds", ylabel="training loss (mean of all tasks)", xlim=(0, None), ylim=(0, None))
        seeds = len(trained[0].losses)
        axis.set_title(f"{title}: mean of {seeds} seeds, band: 90 % interval", loc="left")
        axis.legend(loc="upper left", bbox_to_anchor=(0.0, -0.13), borderaxespad=0.0, ncols=2)
        return canvas.svg(figure, title)
