"""Figures are well-formed SVG that says what it shows, and repeat byte for byte (munet/suites/figures)."""

from __future__ import annotations

import itertools
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from munet.report import canvas
from munet.suites import journals, summary
from munet.suites.figures import CAPTIONS, figures, histograms, lineage, point_labels, tradeoff
from munet.suites.figures.point_labels import Label
from munet.suites.journals import Lineage
from munet.suites.suite import Method, Suite
from munet.types import HyperparameterValue
from tests.report.stored_run import write_run
from tests.suites.rows import rows

RUNS = [
    *rows("a_8", [[0.5, 0.6], [0.6, 0.7]], params_per_task=1e5),
    *rows("a_512", [[0.7, 0.6], [0.7, 0.8]], params_per_task=9e5),
    *rows("munet", [[0.9, 0.9], [0.8, 0.9]], params_per_task=5e5, baseline=""),
]
CURVES = {"a_8": "adapters", "a_512": "adapters"}


def num_paths(svg: bytes | None) -> int:
    assert svg is not None
    return len(ElementTree.fromstring(svg).findall(".//{http://www.w3.org/2000/svg}path"))


def test_the_tradeoff_joins_curves_and_shows_the_rest_as_points() -> None:
    methods = summary.methods(RUNS)
    everything = tradeoff.draw(methods, CURVES)
    assert everything == tradeoff.draw(methods, CURVES)
    assert num_paths(everything) > num_paths(tradeoff.draw(methods, CURVES, ("none",)))
    assert tradeoff.draw([], CURVES) is None
    assert tradeoff.draw(methods[:1], CURVES, ("other",)) is None


@pytest.mark.parametrize("count", [3, 12, 60])
def test_labels_cover_neither_each_other_nor_points(count: int) -> None:
    """Where many points are close, some labels are left out; where there is room, none is."""
    places = np.random.default_rng(count).uniform(0, 0.05 if count == 60 else 1, (count, 2))
    curves = [[Label(f"s=0.{i}", float(x), float(y), "black") for i, (x, y) in enumerate(places)]]
    with canvas.canvas(7.0, 5.0) as (figure, axes):
        axis = axes[0, 0]
        axis.plot(*places.T, "o")
        axis.set_xlim(-0.2, 1.2)
        point_labels.write(figure, axis, curves)
        figure.draw_without_rendering()
        boxes = [text.get_window_extent() for text in axis.texts]
        assert not any(one.overlaps(other) for one, other in itertools.combinations(boxes, 2))
        assert not any(box.contains(*point) for box in boxes for point in axis.transData.transform(places))
        edge = axis.get_window_extent()
        assert all(edge.contains(*box.min) and edge.contains(*box.max) for box in boxes)
        assert count == 60 or len(boxes) == count


def test_measured_latencies_are_an_axis_of_the_tradeoff(tmp_path: Path) -> None:
    """Of methods whose score counts them."""
    write_run(tmp_path / "timed", latency_factor=0.9)
    write_run(tmp_path / "plain")
    places = {("munet", seed): str(tmp_path / "timed") for seed in range(2)} | {("a_8", 0): str(tmp_path / "plain")}
    drawn = figures(RUNS, _suite(), CURVES, places)
    assert "figure_3_latency.svg" in drawn
    assert set(CAPTIONS) >= set(drawn)
    times = journals.latencies(str(tmp_path / "timed"))
    assert list(times) == ["task0", "task1"]
    assert all(time is not None and time > 0 for time in times.values())
    assert set(journals.latencies(str(tmp_path / "plain")).values()) == {None}
    assert tradeoff.latency({"munet": 0.25}).of(summary.methods(RUNS)[-1]) == 250
    assert "figure_3_latency.svg" not in figures(RUNS, _suite(), CURVES, {("a_8", 0): str(tmp_path / "plain")})


def test_a_lineage_has_a_panel_for_each_task() -> None:
    run = {"mnist": Lineage((0.1, 0.5, 0.4), 1, 0.45), "digits": Lineage((0.2,), 0, 0.1)}
    labels = {"mnist": "mnist", "digits": "digits", "late": "late"}
    one = lineage.draw({"muNet": [run]}, labels)
    assert num_paths(lineage.draw({"muNet": [run, run], "full": [run]}, labels)) > num_paths(one)
    assert lineage.draw({"muNet": []}, labels) is None
    assert lineage.draw({"muNet": [run]}, {}) is None


def test_histograms_show_what_varies() -> None:
    sampled: list[dict[str, HyperparameterValue]] = [
        {"momentum": 0.9, "flip": True, "schedule": "cosine"},
        {"momentum": 0.8, "flip": True, "schedule": "x"},
    ]
    assert num_paths(histograms.draw({"muNet": sampled})) > 10
    with_lora = [child | {"lora_rank": rank} for rank, child in enumerate(sampled)]
    both = histograms.draw({"muNet": sampled, "muNet, LoRA": with_lora})  # who inserts none has no rank
    assert num_paths(both) > num_paths(histograms.draw({"muNet": sampled, "again": sampled}))
    assert histograms.draw({"muNet": sampled[:1]}) is None
    assert histograms.draw({}) is None


@pytest.mark.parametrize("draw", [lambda: figures(RUNS, _suite(), CURVES, {}), lambda: figures([], _suite(), {}, {})])
def test_what_cannot_be_shown_is_left_out(draw: Callable[[], dict[str, bytes]]) -> None:
    assert set(draw()) <= {"figure_3.svg", "figure_3_flops.svg", "figure_4.svg"}


def _suite() -> Suite:
    methods = tuple(Method(name, "demo", curve=CURVES.get(name, "")) for name in ("a_8", "a_512", "munet"))
    return Suite(methods, figures={"figure_3": ("adapters",), "figure_4": ("adapters",)})
