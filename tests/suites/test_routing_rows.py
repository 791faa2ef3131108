"""Seed-wise rows of routed trainings: all numbers of a page can be made again from the file; pictures of many tasks."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest

from munet.joint.beginning import Beginning
from munet.joint.records import Decision
from munet.methods.gumbel_matrix.result import RoutedReplica, RoutedTask, RoutingResult
from munet.report.charts import connections
from munet.suites import routing_rows
from munet.suites.routing_report import Trained
from munet.types import Quality, TaskInfo

SETS = ("tfds:mnist", "tfds:fashion_mnist", "tfds:cifar100_subset")


def trained(num_tasks: int = 12, seeds: int = 2, allocation: str = "learnt") -> Trained:
    names = [f"task {number}" for number in range(num_tasks)]
    sets = [SETS[number * 3 // num_tasks] for number in range(num_tasks)]
    infos = tuple(
        TaskInfo(name, f"{place}?without={number}", "f", ("x", "y"), 9, 9, 9)
        for number, (name, place) in enumerate(zip(names, sets, strict=True))
    )

    def task(number: int, seed: int) -> RoutedTask:
        group = number * 3 // num_tasks
        rows = ("".join("1" if place == group or (place == 3 and seed) else "0" for place in range(4)), "10")
        odds = ((0.75,) * 4, (0.5, 0.25))
        return RoutedTask({}, rows, odds, 0.5, Quality(8, 10), Quality(9, 10), None, 1000, 500.0, 10_000)

    replicas = tuple(
        RoutedReplica(seed, {name: task(number, seed) for number, name in enumerate(names)}) for seed in range(seeds)
    )
    result = RoutingResult(allocation, replicas, {}, 5, 100, 1.0)
    beginning = Beginning({"allocation": allocation}, infos, {}, {})
    return Trained("Gumbel-Matrix", "", result, beginning, np.array([5]), np.ones((seeds, 1)))


def test_a_line_for_each_seed_and_task() -> None:
    lines = list(csv.DictReader(io.StringIO(routing_rows.csv({"gumbel": trained()}))))
    assert len(lines) == 24
    assert lines[0]["rows"] == "1000|10"
    assert lines[12]["rows"] == "1001|10"
    assert {line["seed"] for line in lines} == {"0", "1"}
    first = lines[0]
    assert (first["method"], first["task"], first["uri"]) == ("gumbel", "task 0", "tfds:mnist?without=0")
    assert (float(first["test_accuracy"]), first["test_loss"], first["connections"]) == (0.9, "", "6")
    assert (first["used"], float(first["expected"]), first["distinct_rows"]) == ("2", 3.75, "3")
    assert first["probabilities"] == "0.7500 0.7500 0.7500 0.7500|0.5000 0.2500"


def test_tasks_that_are_made_are_of_no_set() -> None:
    one = trained(num_tasks=2)
    made = tuple(replace(info, uri=f"made:two_pairs/{info.name}") for info in one.beginning.tasks)
    assert routing_rows.separations(replace(one, beginning=replace(one.beginning, tasks=made))) == []


def test_rows_of_different_sets_are_told_apart() -> None:
    found = routing_rows.separations(trained())
    assert [one.silhouette for one in found] == pytest.approx([1, 1])
    assert [one.rand for one in found] == [1, 1]
    assert routing_rows.separations(trained(allocation="all")) == []
    assert routing_rows.separations(trained(num_tasks=1)) == []
    assert routing_rows.separations(trained(num_tasks=3)) == []  # each of its own set
    assert len(routing_rows.separations(trained(num_tasks=4))) == 2


def test_the_set_of_a_task_is_not_its_name() -> None:
    infos = [TaskInfo("a", uri, "f", ("x", "y"), 9, 9, 9) for uri in ("a=tfds:mnist", "b=tfds:mnist?rotate=90")]
    assert routing_rows.groups(infos) == ["tfds:mnist", "tfds:mnist"]


def test_pictures_show_every_task_and_component() -> None:
    first, second = routing_rows.charts("gumbel", trained(num_tasks=40))
    cells = [cell for layer in first.spec["hconcat"] for cell in layer["data"]["values"]]
    assert len(cells) == 40 * 6
    assert sum(cell["what"] != "not used" for cell in cells) == 40 * 2
    assert {cell["what"] for cell in cells} == {"mnist", "fashion_mnist", "cifar100_subset", "not used"}
    assert len(second.spec["data"]["values"]) == 1600
    assert routing_rows.charts("gumbel", trained(num_tasks=4)) == []
    for chart in (first, second):
        svg = chart.svg()
        ElementTree.fromstring(svg)
        assert svg.count(b">task ") >= 40  # every task is named
    assert b">cosine<" in second.svg()  # cells of so many tasks have no room for numbers


def test_probabilities_are_drawn_in_the_course_of_training() -> None:
    one, names = trained(num_tasks=2, seeds=1), ("task 0", "task 1")
    settings = {"network": "omniglot_small", "p_init": [0.9]}
    looks = tuple(
        Decision(step, seed, {"probabilities": {name: [[0.9 - step / 100] * 7] * 4 for name in names}})
        for step in (5, 10)
        for seed in (0, 1)
    )
    one = replace(one, looks=looks, beginning=replace(one.beginning, experiment=settings))
    (chart,) = routing_rows.charts("gumbel", one)
    values = chart.spec["data"]["values"]
    assert len(values) == 2 * 3 * 4 * 7  # tasks, looks with the beginning, layers, components
    assert {(value["round"], round(value["probability"], 2)) for value in values} == {(0, 0.9), (5, 0.85), (10, 0.8)}
    assert len({value["component"] for value in values}) == 7
    svg = chart.svg()
    assert b">conv 5x5, conv 5x5<" in svg
    assert b">probability of using component<" in svg
    assert b">layer 0<" in svg  # as rows and components are numbered
    assert b">layer 4<" not in svg
    assert routing_rows.charts("gumbel", replace(one, looks=())) == []


def test_of_many_tasks_the_first_are_drawn_in_the_course_of_training() -> None:
    one, names = trained(num_tasks=20, seeds=1), [f"task {number}" for number in range(20)]
    looks = tuple(Decision(step, 0, {"probabilities": {name: [[0.9] * 7] * 4 for name in names}}) for step in (5, 10))
    settings = {"network": "omniglot_small", "p_init": [0.9]}
    one = replace(one, looks=looks, beginning=replace(one.beginning, experiment=settings))
    *_, chart = routing_rows.charts("gumbel", one)
    assert len({value["task"] for value in chart.spec["data"]["values"]}) == 12
    assert "The first 12 of 20 tasks" in chart.caption


def test_layers_stand_in_their_order() -> None:
    spec = connections.spec([0, 1], {"task": [[[0.5]] * 12] * 2}, ["no. 0"])
    assert spec["facet"]["column"]["sort"] == [f"layer {number}" for number in range(12)]


def test_how_many_tasks_use_each_kind_of_component() -> None:
    one = trained(num_tasks=3, seeds=2)
    kinds = replace(one, beginning=replace(one.beginning, experiment={"network": "omniglot_small"}))
    rows = ("1010101", "0000000", "1111111", "1000000")
    used = [
        replace(replica, tasks={name: replace(task, rows=rows) for name, task in replica.tasks.items()})
        for replica in one.result.replicas
    ]
    table = routing_rows.usage(replace(kinds, result=replace(one.result, replicas=tuple(used))))
    assert "| conv 3x3, conv 3x3 | 3 | 0 | 3 | 3 |" in table
    assert "| average pool 3x3 | 0 | 0 | 3 | 0 |" in table
    alike = replace(one, beginning=replace(one.beginning, experiment={"network": "mnist"}))
    assert routing_rows.usage(alike) == []
    assert routing_rows.usage(one) == []


def test_how_often_each_component_is_used() -> None:
    first, second = trained().result.replicas
    assert first.usage == [[4, 4, 4, 0], [12, 0]]
    assert second.usage == [[4, 4, 4, 12], [12, 0]]
