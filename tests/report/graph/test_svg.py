from __future__ import annotations

import re
from collections.abc import Callable
from itertools import combinations
from typing import Any
from xml.etree import ElementTree

import pytest

from munet.report import drawing
from munet.report.graph.svg import to_svg

NS = {"s": "http://www.w3.org/2000/svg"}


def boxes(root: ElementTree.Element) -> dict[str, tuple[float, float, float, float]]:
    """Left, top, right, bottom of every node by id."""
    found = {}
    for group in root.iterfind(".//s:g[@class='node']", NS):
        rect = group.find("s:rect", NS)
        assert rect is not None
        x, y, width, height = (float(rect.attrib[name]) for name in ("x", "y", "width", "height"))
        found[group.attrib["data-id"]] = (x, y, x + width, y + height)
    return found


@pytest.mark.parametrize("count", [1, 4, 9, 20])
def test_boxes_do_not_overlap_and_lie_on_the_canvas(many_tasks: Callable[[int], Any], count: int) -> None:
    graph = many_tasks(count).graph()
    root = ElementTree.fromstring(to_svg(graph))
    found = boxes(root)
    assert set(found) == {node.id for node in graph.nodes}
    for (_, a), (_, b) in combinations(found.items(), 2):
        assert a[2] < b[0] or b[2] < a[0] or a[3] < b[1] or b[3] < a[1]
    width, height = float(root.attrib["width"]), float(root.attrib["height"])
    assert all(a >= 0 and b >= 0 and c <= width and d <= height for a, b, c, d in found.values())


@pytest.mark.parametrize("count", [1, 4, 9, 20])
def test_no_line_runs_through_a_box(many_tasks: Callable[[int], Any], count: int) -> None:
    root = ElementTree.fromstring(to_svg(many_tasks(count).graph()))
    found = boxes(root)
    for path in root.iterfind(".//s:path[@class='path']", NS):
        numbers = [float(number) for number in re.findall(r"-?\d+\.\d", path.attrib["d"].split("C", 1)[0])]
        assert len(numbers) == 2
        # Lines pass a layer vertically ("V"); the x before it must be clear of that layer's boxes.
        x = y = 0.0
        for command, values in re.findall(r"([MCV])([^MCV]*)", path.attrib["d"]):
            points = [float(value) for value in values.split()]
            if command == "V":
                assert not any(a < x < c and b <= y <= d for a, b, c, d in found.values())
                y = points[0]
            else:
                x, y = points[-2:]


@pytest.mark.parametrize("count", [1, 20])
def test_paths_join_the_boxes_that_they_should(many_tasks: Callable[[int], Any], count: int) -> None:
    graph = many_tasks(count).graph()
    root = ElementTree.fromstring(to_svg(graph))
    found = boxes(root)
    drawn = []
    for path in root.iterfind(".//s:path[@class='path']", NS):
        numbers = [float(number) for number in re.findall(r"-?\d+\.\d", path.attrib["d"])]
        start, end = numbers[:2], numbers[-2:]
        source = next(i for i, (a, b, c, _) in found.items() if a <= start[0] <= c and abs(start[1] - b) < 0.2)
        target = next(i for i, (a, _, c, d) in found.items() if a <= end[0] <= c and abs(end[1] - d) < 0.2)
        drawn.append((source, target, path.attrib["data-task"]))
    assert sorted(drawn) == sorted((edge.source, edge.target, edge.task) for edge in graph.edges)


def test_every_task_accuracy_and_legend_entry_is_written(two_tasks: Any) -> None:
    text = " ".join(ElementTree.fromstring(to_svg(two_tasks.graph())).itertext())
    for expected in ("one", "two", "two (2)", "val 90.0%", "test 50.0%", "val 75.0%", "357 parameters in use"):
        assert expected in text
    assert "never trained here" in text


def test_names_are_escaped(two_tasks: Any) -> None:
    name = 'a<b>&"c"'
    two_tasks.model(name, two_tasks.models["two"].quality, *two_tasks.models["two"].components.values())
    root = ElementTree.fromstring(to_svg(two_tasks.graph()))
    assert any(path.attrib.get("data-task") == name for path in root.iter())


def test_a_system_without_models_is_still_a_picture(two_tasks: Any) -> None:
    two_tasks.models.clear()
    text = " ".join(ElementTree.fromstring(to_svg(two_tasks.graph())).itertext())
    assert "no task is solved yet" in text


def test_the_same_graph_gives_the_same_picture(many_tasks: Callable[[int], Any]) -> None:
    assert to_svg(many_tasks(9).graph()) == to_svg(many_tasks(9).graph())


def test_styles_of_thirty_tasks_differ() -> None:
    assert len({drawing.task_style(index) for index in range(30)}) == 30


def test_text_stands_out_from_every_colour() -> None:
    assert drawing.text_colour("#FFFFFF") == "#1A1D21"
    assert drawing.text_colour("#000000") == "#FFFFFF"
    assert drawing.text_colour(drawing.TASK_COLOURS[0]) == "#FFFFFF"
    assert drawing.text_colour(drawing.ROOT_COLOUR) == "#1A1D21"
