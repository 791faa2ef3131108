"""Curves of routed trainings with bands over seeds: the paper's Figures 1 and 7."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from munet.report.charts import bands
from munet.report.charts.bands import Band
from munet.report.charts.chart import Chart
from munet.suites.paired import t_interval

if TYPE_CHECKING:
    from munet.suites.routing_report import Trained


def figure(name: str, title: str, trained: Sequence[Trained]) -> Chart:
    """Training loss over rounds, a line a method; the band is the 90 % interval of the mean over seeds.

    Args:
      name: of its file.
      title: above it.
      trained: at least one.
    """
    curves, seeds = [_band(one) for one in trained], len(trained[0].losses)
    caption = f"Mean of {seeds} seeds, band: 90 % interval. Beside each name: the last value."
    words = {"text": title, "subtitle": caption, "fontSize": 15, "limit": 0, "offset": 16, "frame": "bounds"}
    spec = bands.spec(curves, "rounds", "training loss (mean of all tasks)")
    return Chart(name, title, caption, {**spec, "title": words}, bands.rows(curves))


def _band(one: Trained) -> Band:
    mean = one.losses.mean(axis=0)
    bounds = np.stack([mean, mean])
    if len(one.losses) > 1:
        bounds = np.array([t_interval(values, 0.9) for values in one.losses.T]).T
    low, high = bounds.tolist()
    return Band(f"{one.title}: {mean[-1]:.3g}", one.steps.tolist(), mean.tolist(), low, high)
