"""Figures, also of many tasks with long and hostile names: no text overlaps another or leaves the canvas."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from functools import cache
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from munet.report import drawing
from munet.report.charts import (
    bands,
    bars,
    cells,
    chart,
    confusion,
    hyperparameters,
    knowledge,
    point_labels,
    scores,
    sharing,
    tradeoff,
    validation,
)
from munet.report.charts.bands import Band
from munet.report.charts.chart import DARK, LIGHT, Chart
from munet.report.charts.point_labels import Label
from munet.report.charts.tradeoff import Curve, Point
from munet.report.classes import SplitCounts
from munet.report.facts import costs, lineages, mutations
from munet.report.facts.knowledge import Flow
from munet.report.facts.lineages import Lineage
from munet.report.facts.scores import Scored
from munet.report.facts.sharing import Shared
from tests.evolution.simulation import make_experiment, make_tasks, simulate
from tests.report.drawn_texts import faults, texts_of

NAMES = (
    "</script><b>x",
    "a\"b'c&<!--",
    "\u202eright to left",
    "\u05d0\u05d1\u05d2",
    "x" * 200,
    "x" * 199 + "y",
    "W" * 60,
    "a/b/c",
)


def svg(spec: Mapping[str, Any] | None) -> bytes:
    assert spec is not None
    made = Chart("name", "title", "caption", spec)
    json.dumps(made.vega_lite())
    return made.svg()


@cache
def journal(num_tasks: int) -> tuple[Any, ...]:
    tasks = make_tasks(*([3] * num_tasks))
    changes: dict[str, Any] = {"num_generations": 2, "children_per_generation": 4, "num_task_iterations": 2}
    return simulate(make_experiment(tasks, mutation_probability=0.5, **changes), tasks).entries


def test_overlaps_are_seen() -> None:
    draw = '<svg xmlns="http://www.w3.org/2000/svg" width="200" height="60">{}</svg>'
    text = '<text font-size="11" transform="translate({},{}) rotate({})">some words</text>'
    assert not faults(draw.format(text.format(5, 20, 0) + text.format(5, 40, 0)).encode())
    assert "overlaps" in faults(draw.format(text.format(5, 20, 0) + text.format(30, 24, 0)).encode())[0]
    assert "overlaps" in faults(draw.format(text.format(15, 50, -20) + text.format(20, 44, 0)).encode())[0]
    assert "leaves" in faults(draw.format(text.format(180, 20, 0)).encode())[0]


@pytest.mark.parametrize("count", [1, 2, 8, 20])
def test_texts_of_figures_over_tasks(count: int) -> None:
    names = {name: name for name in [*NAMES, *(f"task {number}" for number in range(20))][:count]}
    lines = [
        {name: Lineage((0.1, 0.5 + index / 50, 0.4), 1, 0.45) for index, name in enumerate(names)} for _ in range(2)
    ]
    flows = [Flow(one, other, 1 / count, 3) for one in names for other in names]
    drawn = [validation.spec({"muNet": lines}, names, "accuracy"), knowledge.heat_map(flows, list(names))]
    drawn.append(validation.spec(dict.fromkeys(NAMES[:3], lines), names, "balanced accuracy"))
    pairs = [Shared(one, other, 5, 3, 134) for one, other in itertools.combinations_with_replacement(names, 2)]
    drawn.append(sharing.spec(pairs))
    scored = [Scored(number, name, number / 100, number % 2 == 0, False) for number, name in enumerate(names)]
    drawn.append(scores.spec(scored))
    if count <= knowledge.MOST_IN_GRAPH:
        drawn.append(knowledge.graph(flows, list(names)))
    else:
        assert knowledge.graph(flows, list(names)) is None
    for spec in drawn:
        assert faults(svg(spec)) == []


@pytest.mark.parametrize("num_tasks", [1, 3, 14])
def test_texts_of_figures_of_a_journal(num_tasks: int) -> None:
    entries = journal(num_tasks)
    families = lineages.families(entries)
    sampled = mutations.sampled(entries)
    ways = {task: [mutations.hyperparameters(child) for child in families.ancestry(task)] for task in families.last}
    for spec in (
        hyperparameters.histograms({"muNet": sampled}),
        hyperparameters.histograms(dict.fromkeys(NAMES[:4], sampled)),
        hyperparameters.along_lineages(ways),
        bars.mutations(mutations.count(entries, families)),
        bars.costs(costs.by_generation(entries)),
    ):
        assert faults(svg(spec)) == []


@pytest.mark.parametrize("count", [40, 100, 150])
def test_heat_maps_of_many_tasks(count: int) -> None:
    names = [*NAMES, *(f"task {number}" for number in range(count))][:count]
    flows = [Flow(name, name, 1.0, 3) for name in names]
    drawn = svg(knowledge.heat_map(flows, names))
    assert faults(drawn) == []
    assert "share of training cycles" in {text.text for text in texts_of(drawn)}
    few = svg(knowledge.heat_map(flows[:3], names[:3]))  # its cells have numbers
    assert "share of training cycles" not in {text.text for text in texts_of(few)}


def test_of_many_children_all_that_were_retained_are_drawn() -> None:
    children = [Scored(number, "a", 0.5, True, number % 1001 == 7) for number in range(10_000)]
    spec = scores.spec(children)
    assert spec is not None
    drawn = spec["data"]["values"]
    assert len(drawn) < scores.MOST_DRAWN + 20
    assert {row["id"] for row in drawn if row["what"] == "retained"} == {one.id for one in children if one.is_retained}
    assert len(scores.rows(children)) == 10_000


def test_costs_of_many_generations() -> None:
    cost = costs.by_generation(journal(1))
    assert faults(svg(bars.costs(cost * 100))) == []


@pytest.mark.parametrize("count", [1, 5, 12, 40])
@pytest.mark.parametrize("legend", [True, False])
def test_texts_of_tradeoffs(count: int, legend: bool) -> None:
    draws = np.random.default_rng(count)
    names = [*NAMES, *(f"method {number}" for number in range(40))][:count]
    curves = [
        Curve(name, [Point(f"s={k}", *_bar(*point)) for k, point in enumerate(_points(draws, 1 + place % 4))])
        for place, name in enumerate(names)
    ]
    assert faults(svg(tradeoff.spec(curves, "parameters per task", "mean test accuracy", legend))) == []


def _points(draws: np.random.Generator, count: int) -> list[tuple[float, float]]:
    return sorted((float(x), float(y)) for x, y in draws.uniform((1e5, 0.6), (3e6, 0.95), (count, 2)))


def _bar(size: float, quality: float) -> tuple[float, float, float, float]:
    return size, quality, quality - 0.02, quality + 0.02


@pytest.mark.parametrize("count", [3, 12, 60])
def test_labels_cover_neither_each_other_nor_points(count: int) -> None:
    """Where many points are close, some labels are left out; where there is room, none is."""
    places = np.random.default_rng(count).uniform(0.15, 0.2 if count == 60 else 0.85, (count, 2)) * (560, 360)
    (placed,) = point_labels.place(
        [[Label(f"s=0.{i}", float(x), float(y)) for i, (x, y) in enumerate(places)]], 560, 360
    )
    found = [
        one.box(Label("", float(x), float(y))) for one, (x, y) in zip(placed, places, strict=True) if one is not None
    ]
    assert count == 60 or len(found) == count
    assert 0 < len(found) <= count
    for one, other in itertools.combinations(found, 2):
        assert one[2] < other[0] or other[2] < one[0] or one[3] < other[1] or other[3] < one[1]
    for box in found:
        assert min(box) >= 0
        assert box[2] <= 560
        assert box[3] <= 360
        assert not any(box[0] <= x <= box[2] and box[1] <= y <= box[3] for x, y in places)


def test_points_that_have_no_room_for_their_names_have_a_legend() -> None:
    """Or nobody would know whose they are."""
    names = [f"a method of a long name {number}" for number in range(8)]
    close = [Curve(name, [Point("", 100 + n / 10, 0.5 + n / 1000, 0.1, 0.9)]) for n, name in enumerate(names)]
    drawn = svg(tradeoff.spec(close, "size", "quality", legend=False))
    assert sorted(text.text for text in texts_of(drawn) if text.text.startswith("a ")) == names
    assert faults(drawn) == []


def test_labels_stand_beside_their_points() -> None:
    curve = Curve("c", [Point("here", 1.0, 0.5, 0.5, 0.5), Point("there", 2.0, 0.9, 0.9, 0.9)])
    texts = {text.text: text for text in texts_of(svg(tradeoff.spec([curve], "size", "quality")))}
    assert texts["here"].left < texts["there"].left
    assert texts["there"].bottom < texts["here"].top


@pytest.mark.parametrize("count", [1, 2, 10, 60, 1623])
def test_texts_of_confusion_matrices(count: int) -> None:
    names = [*NAMES, *map(str, range(count))][:count]
    counts = SplitCounts(
        (9,) * count, (12,) * count, tuple((one, (one + 1) % count, 3) for one in range(count) if count > 1)
    )
    drawn = svg(confusion.spec(names, counts))
    assert faults(drawn) == []
    shown = [text.text for text in texts_of(drawn)]
    assert "right" in shown
    assert "taken for another" in shown
    assert sum(text.startswith("x") for text in shown) == (4 if count > 5 else 0)


def test_names_that_are_cut_to_the_same_stay_apart() -> None:
    found = chart.labels(NAMES)
    assert len(set(found.values())) == len(NAMES)
    assert all(len(name) <= 18 and name.isprintable() for name in found.values())


def test_a_dark_page_changes_the_colour_of_every_text() -> None:
    for part, values in LIGHT.items():
        for key, colour in values.items() if isinstance(values, dict) else ():
            if colour in (drawing.INK, drawing.FAINT):
                assert DARK[part].get(key, colour) != colour, (part, key)
    assert "titleColor" in LIGHT["legend"]  # or it is Vega's black


def test_equal_figures_have_equal_bytes() -> None:
    spec = bars.costs(costs.by_generation(journal(1)))
    assert svg(spec) == svg(spec)
    assert spec is not None
    assert Chart("a", "b", "c", spec).png()[:4] == b"\x89PNG"


@pytest.mark.parametrize("count", [1, 4, 8])
def test_texts_of_curves_with_bands(count: int) -> None:
    steps = range(1000)
    curves = [
        Band(name, steps, [1 / (step + 1) for step in steps], [0.0] * 1000, [1.0] * 1000) for name in NAMES[:count]
    ]
    assert faults(svg(bands.spec(curves, "rounds", "training loss (mean of all tasks)"))) == []
    assert len(bands.rows(curves)) == 1000 * count
    drawn = bands.spec(curves, "rounds", "loss")["data"]["values"]
    assert len(drawn) < 500 * count
    assert drawn[-1]["x"] == 999


def test_cells_are_runs_of_what_a_row_has() -> None:
    """Colours follow what is there at the end, top to bottom; what went away is grey."""
    steps = [[0, 1, 2], [0, 0, 2], [0, 0, 5]]
    made = cells.spec(steps, "generation", "task")
    blue, orange = drawing.TASK_COLOURS[:2]
    assert [(cell["row"], cell["from"], cell["to"], cell["colour"]) for cell in made["data"]["values"]] == [
        (0, 0, 3, blue), (1, 0, 1, drawing.ROOT_COLOUR), (1, 1, 3, blue), (2, 0, 2, drawing.ROOT_COLOUR),
        (2, 2, 3, orange),
    ]  # fmt: skip
    assert faults(svg(made)) == []
    assert faults(svg(cells.spec([list(range(200))] * 3, "generation", "task"))) == []


def test_lineages_mark_the_version_that_was_kept_which_need_not_be_the_best() -> None:
    """A race keeps the latest version within a standard error of the best; no axis goes on beyond 100% or below 0%."""

    def drawn(qualities: tuple[float, ...], best: int) -> set[str]:
        made = validation.spec({"muNet": [{"a": Lineage(qualities, best, qualities[best])}]}, {"a": "a"}, "accuracy")
        return {text for one in ElementTree.fromstring(svg(made)).iter() if (text := (one.text or "").strip())}

    later = drawn((0.94, 0.97, 0.94), 2)
    assert "kept version" in later
    assert "best validation" not in later
    shares = [float(text.rstrip("%")) for text in drawn((1.0, 1.0), 1) | drawn((0.0, 0.0), 1) if text.endswith("%")]
    assert (min(shares), max(shares)) == (0, 100)


def test_what_does_not_vary_has_no_figure() -> None:
    assert hyperparameters.histograms({"muNet": [{"momentum": 0.9}, {"momentum": 0.9}]}) is None
    assert hyperparameters.histograms({}) is None
    assert hyperparameters.along_lineages({}) is None
    assert validation.spec({"muNet": []}, {"a": "a"}, "accuracy") is None
    assert knowledge.heat_map([], []) is None
    assert bars.mutations([]) is None
    assert bars.costs([]) is None


def test_a_method_without_a_hyperparameter_has_no_bars_of_it() -> None:
    both = {
        "muNet": [{"momentum": 0.9}, {"momentum": 0.8}],
        "LoRA": [{"momentum": 0.9, "lora_rank": rank} for rank in (2, 4)],
    }
    assert [row for row in hyperparameters.shares(both) if row["hyperparameter"] == "lora_rank"] == [
        {"method": "LoRA", "hyperparameter": "lora_rank", "value": rank, "children": 1, "share": 0.5} for rank in (2, 4)
    ]


def test_no_step_stands_twice_beside_an_axis_of_few_steps() -> None:
    def numbers(spec: dict[str, Any]) -> list[str]:
        drawn = ElementTree.fromstring(Chart("c", "c", "", spec).svg())
        return [text for one in drawn.iter() if (text := (one.text or "").strip()).isdigit()]

    curve = Band("one", range(3), [0.5] * 3, [0.25] * 3, [0.75] * 3)
    assert numbers(bands.spec([curve], "generation", "score")) == ["0", "1", "2"]
    assert numbers(cells.spec([[0, 1], [1, 1], [2, 1]], "generation", "task")) == ["0", "1", "2", "3", "0", "1", "2"]
