from __future__ import annotations

import json
import re
import struct
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from munet.report import drawing, history
from munet.report.graph import page, render
from munet.report.graph.graph import of_run
from munet.report.graph.model_explorer import to_collection
from munet.system import view
from munet.types import GenerationEntry
from tests.evolution.simulation import make_experiment, make_tasks, simulate
from tests.report.stored_run import write_run

HOSTILE = (
    "</script><script>alert(1)</script>",
    "a\"b'c&<!--",
    "\u202eright to left",
    "x" * 200,
    "a/b/c",
    "\ufffe\x1b[31m",
)


def simulated(num_tasks: int, names: tuple[str, ...] = (), **changes: object) -> tuple[Any, history.History]:
    tasks = make_tasks(*([3] * num_tasks))
    tasks = tuple(replace(task, name=name) for task, name in zip(tasks, names, strict=True)) if names else tasks
    settings: dict[str, Any] = {"num_generations": 2, "children_per_generation": 3, "num_task_iterations": 1}
    run = simulate(make_experiment(tasks, **settings | changes), tasks)
    return tasks, history.fold(run.controller, run.entries)


def test_what_the_page_shows_is_what_the_history_says() -> None:
    tasks, folded = simulated(3, num_task_iterations=2, mutation_probability=0.5)
    data = page.to_data(tasks, folded)
    assert len(data["frames"]) == len(folded.frames)
    system: dict[int, int] = {}
    for frame, told, models in zip(folded.frames, data["frames"], folded.systems(), strict=True):
        system |= dict(told["changed"])
        assert {tasks[task].name: data["models"][model]["id"] for task, model in system.items()} == {
            task: model.id for task, model in models.items()
        }
        for task, number in system.items():
            shown, model = data["models"][number], models[tasks[task].name]
            nodes = [data["nodes"][node] for node in (*shown["path"], shown["head"])]
            parts = [data["parts"][part] for node in nodes for part in node["parts"]]
            assert {(part["name"], part["hash"]) for part in parts} == {
                (name, id[:16]) for name, id in model.components.items()
            }
            assert sum(part["params"] for part in parts) == sum(
                folded.components[id].num_params for id in model.components.values()
            )
            assert model.quality is not None
            assert shown["validation"] == f"{model.quality.value:.1%}"
            assert shown["test"] == (f"{model.test_quality.value:.1%}" if model.test_quality else "")
        if isinstance(frame.entry, GenerationEntry):
            assert sorted(child[0] for child in told["children"]) == [child.plan.id for child in frame.entry.children]


def test_hostile_names_stay_text() -> None:
    tasks, folded = simulated(len(HOSTILE), HOSTILE)
    text = page.to_page(tasks, folded)
    assert text.count("</script>") == 2
    assert "alert(1)</" not in text
    found = re.search('<script id="data" type="application/json">(.*?)</script>', text, re.DOTALL)
    assert found is not None
    assert not set("<>&") & set(found[1])
    assert found[1].isascii()
    names = [task["name"] for task in json.loads(found[1])["tasks"]]
    assert names[0] == HOSTILE[0]
    assert all(name.isprintable() for name in names)
    assert all(len(task["short"]) <= 18 for task in json.loads(found[1])["tasks"])
    text.encode()


def test_it_asks_for_nothing() -> None:
    tasks, folded = simulated(1)
    text = page.to_page(tasks, folded)
    assert "default-src 'none'" in text
    assert not re.findall(r"https?://(?!www\.w3\.org/2000/svg)", text)
    assert not re.findall(r"fetch\(|XMLHttpRequest|import\(|innerHTML|insertAdjacentHTML|\beval\(", text)


def test_the_script_is_short() -> None:
    script = page.to_page(*simulated(1)).rsplit("<script>", 1)[1]
    assert script.count("\n") < 400


def test_a_hundred_tasks_are_small_and_quick() -> None:
    tasks, folded = simulated(100, num_generations=1, children_per_generation=2, mutation_probability=0.5)
    start = time.process_time()
    text = page.to_page(tasks, folded)
    assert time.process_time() - start < 20
    assert len(text.encode()) < 3_000_000


def test_a_run_without_a_model_has_a_page(tmp_path: Path) -> None:
    tasks, folded = simulated(2)
    data = page.to_data(tasks, replace(folded, frames=folded.frames[:1]))
    assert data["models"] == []
    assert len(data["pictures"][0]["boxes"]) == 2


def test_colours_stand_out_from_a_dark_page() -> None:
    assert drawing.on_dark("#E69F00") == "#E69F00"
    for colour in drawing.TASK_COLOURS:
        assert drawing._luminance(drawing.on_dark(colour)) >= 0.2


def test_the_other_formats_by_ending(tmp_path: Path) -> None:
    write_run(tmp_path / "run")
    for name in ("a.html", "a.png", "a.model_explorer.json"):
        render.write(str(tmp_path / "run"), output=str(tmp_path / name))
    assert (tmp_path / "a.html").read_text().startswith("<!doctype html>")
    header = (tmp_path / "a.png").read_bytes()[:24]
    svg = render.render(of_run(view.open(str(tmp_path / "run"))), "svg")
    width, height = (float(size) for size in re.findall(r'(?:width|height)="(\d+)"', svg)[:2])
    assert header[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">II", header[16:]) == pytest.approx((2 * width, 2 * height), abs=2)
    assert json.loads((tmp_path / "a.model_explorer.json").read_text())["graphs"][0]["id"] == "layer graph"


def test_model_explorer_has_every_node_and_edge(two_tasks: Any) -> None:
    graph = two_tasks.graph()
    (found,) = to_collection(graph)["graphs"]
    assert [node["id"] for node in found["nodes"]] == [node.id for node in graph.nodes]
    edges = {(edge["sourceNodeId"], node["id"]) for node in found["nodes"] for edge in node["incomingEdges"]}
    assert edges == {(edge.source, edge.target) for edge in graph.edges}
    head = next(node for node in found["nodes"] if node["id"] == "head:one")
    assert {"key": "validation", "value": "90.00%"} in head["attrs"]
    assert {"key": "test", "value": "50.00%"} in head["attrs"]
    assert all(isinstance(pair["value"], str) for node in found["nodes"] for pair in node["attrs"])
