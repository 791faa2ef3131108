"""A suite's figures are those of reports, of all its methods and runs (munet/suites/figures.py)."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path

import pytest

from munet.report.charts.chart import Chart
from munet.suites import summary
from munet.suites.figures import CAPTIONS, FLOPS, PARAMS, figures, latencies, latency, of_size
from munet.suites.suite import Method, Suite
from tests.report.drawn_texts import faults, texts_of
from tests.report.stored_run import write_run
from tests.suites.rows import rows

RUNS = [
    *rows("a_8", [[0.5, 0.6], [0.6, 0.7]], params_per_task=1e5),
    *rows("a_512", [[0.7, 0.6], [0.7, 0.8]], params_per_task=9e5),
    *rows("munet", [[0.9, 0.9], [0.8, 0.9]], params_per_task=5e5, baseline=""),
]
CURVES = {"a_8": "adapters", "a_512": "adapters"}


def drawn_curves(chart: Chart | None) -> dict[str, int]:
    """Points by curve."""
    assert chart is not None
    return {row["curve"]: sum(other["curve"] == row["curve"] for other in chart.rows) for row in chart.rows}


def test_the_tradeoff_joins_curves_and_shows_the_rest_as_points() -> None:
    methods = summary.methods(RUNS)
    everything = of_size("figure_3", methods, CURVES)
    assert drawn_curves(everything) == {"adapters": 2, "MUNET": 1}
    assert drawn_curves(of_size("figure_3", methods, CURVES, ("none",))) == {"MUNET": 1}
    assert everything is not None
    assert everything.svg() == everything.svg()
    assert of_size("figure_3", [], CURVES) is None
    assert of_size("figure_3", methods[:1], CURVES, ("other",)) is None


def test_points_have_one_standard_deviation_over_runs() -> None:
    (chart,) = [of_size("figure_3", summary.methods(RUNS), CURVES)]
    assert chart is not None
    first = chart.rows[0]  # means of both runs: 0.55 and 0.65
    assert first["test"] == pytest.approx(0.6)
    assert first["high"] - first["test"] == pytest.approx(0.1 / 2**0.5)
    assert (first["size"], first["method"]) == (1e5, "A_8")
    assert PARAMS.of(summary.methods(RUNS)[0]) == 1e5
    assert FLOPS.of(summary.methods(RUNS)[0]) == 2.0


def test_no_text_overlaps_another(tmp_path: Path) -> None:
    """Nor leaves the canvas, whatever methods are called."""
    many = [
        row
        for place in range(9)
        for row in rows(f"method number {place} of nine, which has a long title", [[0.5 + place / 40] * 2] * 2,
                        params_per_task=1e5 * (place + 1))
    ]  # fmt: skip
    write_run(tmp_path)
    own = {("munet", 0): str(tmp_path), ("a_8", 0): str(tmp_path)}
    for chart in [*figures(many, _suite(), {}, {}), *figures(RUNS, _suite(), CURVES, own)]:
        assert faults(chart.svg()) == [], chart.name
    titles = [text.text for text in texts_of(figures(RUNS, _suite(), CURVES, {})[0].svg())]
    assert {"adapters", "MUNET", "A_8", "A_512"} <= set(titles)


def test_measured_latencies_are_an_axis_of_the_tradeoff(tmp_path: Path) -> None:
    """Of methods whose score counts them."""
    write_run(tmp_path / "timed", latency_factor=0.9)
    write_run(tmp_path / "plain")
    places = {("munet", seed): str(tmp_path / "timed") for seed in range(2)} | {("a_8", 0): str(tmp_path / "plain")}
    drawn = {chart.name: chart for chart in figures(RUNS, _suite(), CURVES, places)}
    assert "figure_3_latency" in drawn
    assert set(CAPTIONS) >= set(drawn)
    times = latencies(str(tmp_path / "timed"))
    assert list(times) == ["task0", "task1"]
    assert all(time is not None and time > 0 for time in times.values())
    assert set(latencies(str(tmp_path / "plain")).values()) == {None}
    assert latency({"munet": 0.25}).of(summary.methods(RUNS)[-1]) == 250
    plain = figures(RUNS, _suite(), CURVES, {("a_8", 0): str(tmp_path / "plain")})
    assert "figure_3_latency" not in [chart.name for chart in plain]


def test_lineages_and_histograms_are_of_all_runs(tmp_path: Path) -> None:
    write_run(tmp_path)
    runs = rows("munet", [[0.9, 0.9]] * 3, tasks=("task0", "task1"), baseline="")
    places = {("munet", seed): str(tmp_path) for seed in range(3)}
    drawn = {chart.name: chart for chart in figures(runs, _suite(), CURVES, places)}
    assert {(row["run"], row["task"]) for row in drawn["figure_5"].rows} == {
        (run, f"task{number}") for run in range(3) for number in range(2)
    }
    one = {chart.name: chart for chart in figures(runs, _suite(), CURVES, {("munet", 0): str(tmp_path)})}
    assert _children(drawn["figure_8"]) == 3 * _children(one["figure_8"])


@pytest.mark.parametrize("draw", [lambda: figures(RUNS, _suite(), CURVES, {}), lambda: figures([], _suite(), {}, {})])
def test_what_cannot_be_shown_is_left_out(draw: Callable[[], list[Chart]]) -> None:
    charts = draw()
    assert {chart.name for chart in charts} <= {"figure_3", "figure_3_flops", "figure_4"}
    for chart in charts:
        ElementTree.fromstring(chart.svg())


def _children(chart: Chart) -> int:
    return sum(row["children"] for row in chart.rows)


def _suite() -> Suite:
    methods = tuple(Method(name, "demo", curve=CURVES.get(name, "")) for name in ("a_8", "a_512", "munet"))
    return Suite(methods, figures={"figure_3": ("adapters",), "figure_4": ("adapters",)})
