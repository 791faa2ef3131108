from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from munet.errors import UserError
from munet.report.graph import render
from munet.report.graph.graph import of_run
from munet.system import view
from munet.types import Quality
from tests.report.stored_run import write_run


def test_layers_from_the_task_up_to_the_head(two_tasks: Any) -> None:
    assert two_tasks.graph().layers == ("task", "input", "block 0", "adapter 1", "block 1", "head")


def test_nodes_by_hand(two_tasks: Any) -> None:
    nodes = {node.id: node for node in two_tasks.graph().nodes}
    assert list(nodes) == [
        "task:one", "task:two", "component:embedding-root", "component:b0", "component:a1", "component:b1",
        "component:b1-clone", "head:one", "head:two",
    ]  # fmt: skip
    shared, clone, head = nodes["component:b0"], nodes["component:b1-clone"], nodes["head:two"]
    assert (shared.tasks, shared.trained_last, shared.num_tasks_trained) == (("one", "two"), None, 0)
    assert (clone.tasks, clone.trained_last, clone.num_tasks_trained) == (("two",), "two", 2)
    assert [part.name for part in head.parts] == ["encoder_norm", "head"]
    assert head.params == 10
    assert nodes["component:embedding-root"].params == 30  # three components always used together


def test_edges_are_each_tasks_path(two_tasks: Any) -> None:
    steps = [(edge.source, edge.target) for edge in two_tasks.graph().edges if edge.task == "two"]
    path = ["task:two", "component:embedding-root", "component:b0", "component:a1", "component:b1-clone", "head:two"]
    assert steps == list(pairwise(path))


def test_unique_parameters_are_counted_once(two_tasks: Any) -> None:
    assert two_tasks.graph().num_params == 30 + 100 + 100 + 100 + 7 + 2 * 10


def test_inputs_used_in_different_combinations_are_apart(two_tasks: Any) -> None:
    own = two_tasks.component("p-two", "posembed_input", 12)
    two_tasks.models["two"].components["posembed_input"] = own
    assert two_tasks.graph().layers[1:3] == ("embedding + class token", "position")


def test_inputs_of_different_colours_are_apart(two_tasks: Any) -> None:
    del two_tasks.models["two"]
    two_tasks.models["one"].components["cls"] = two_tasks.component("c-one", "cls", 10, {"one": 1})
    assert two_tasks.graph().layers[1:4] == ("embedding", "class token", "position")


def test_tasks_without_a_model_are_left_out(two_tasks: Any) -> None:
    del two_tasks.models["one"]
    graph = two_tasks.graph()
    assert [task.name for task in graph.tasks] == ["two"]
    assert all("one" not in node.tasks for node in graph.nodes)
    two_tasks.models.clear()
    assert two_tasks.graph().nodes == ()


def test_json_form_is_stable(two_tasks: Any) -> None:
    data = json.loads(render.render(two_tasks.graph(), "json"))
    assert list(data) == ["format", "version", "num_params", "layers", "tasks", "nodes", "edges"]
    assert (data["format"], data["version"]) == ("munet-graph", 1)
    assert data["tasks"][0] == {
        "name": "one", "num_classes": 3, "model": 1, "quality": 0.9, "test_quality": 0.5,
        "quality_metric": "accuracy",
    }  # fmt: skip
    assert data["nodes"][6] == {
        "id": "component:b1-clone",
        "kind": "component",
        "layer": 4,
        "params": 100,
        "trained_last": "two",
        "num_tasks_trained": 2,
        "tasks": ["two"],
        "components": [
            {
                "id": "b1-clone", "name": "encoderblock_1", "params": 100, "origin": "clone",
                "cycles": {"one": 2, "two": 3},
            }
        ],
    }  # fmt: skip
    assert data["edges"][0] == {"source": "task:one", "target": "component:embedding-root", "task": "one"}


def test_unknown_format_names_the_nearest(two_tasks: Any) -> None:
    with pytest.raises(UserError, match="Did you mean 'svg'"):
        render.render(two_tasks.graph(), "svgz")


def test_a_path_never_goes_down(many_tasks: Callable[[int], Any]) -> None:
    graph = many_tasks(12).graph()
    layer = {node.id: node.layer for node in graph.nodes}
    assert all(layer[edge.source] < layer[edge.target] for edge in graph.edges)


def test_unmeasured_test_quality_is_null(two_tasks: Any) -> None:
    two_tasks.tasks.pop()
    model = two_tasks.models.pop("two")
    del two_tasks.models["one"]
    two_tasks.model("three", Quality(1, 1), *model.components.values())
    object.__setattr__(two_tasks.models["three"], "test_quality", None)
    assert json.loads(render.render(two_tasks.graph(), "json"))["tasks"][0]["test_quality"] is None


def test_a_norm_that_heads_share_is_counted_once(two_tasks: Any) -> None:
    two_tasks.models["two"].components["encoder_norm"] = "n-one"
    graph = two_tasks.graph()
    assert graph.num_params == 30 + 100 + 100 + 100 + 7 + 4 + 2 * 6
    assert graph.num_shared == 3 + 1 + 1  # the inputs, block 0 and the norm


def test_the_graph_of_a_run_agrees_with_its_system(tmp_path: Path) -> None:
    write_run(tmp_path, num_classes=(3, 5, 7))
    opened = view.open(str(tmp_path))
    graph = of_run(opened)
    assert graph.num_params == opened.total_params
    assert {part.id for node in graph.nodes for part in node.parts} == set(opened.components)
    for task, model in opened.models.items():
        on_path = {part.id for node in graph.nodes if task in node.tasks for part in node.parts}
        assert on_path == set(model.components.values())


@pytest.mark.parametrize("format", ["dot", "json", "svg"])
def test_write_chooses_the_format_by_the_ending(
    tmp_path: Path, format: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    write_run(run)
    output = tmp_path / f"picture.{format}"
    render.write(str(run), output=str(output))
    render.write(str(run), format=format)
    assert output.read_text("utf-8") == render.render(of_run(view.open(str(run))), format) == capsys.readouterr().out


def test_write_refuses_what_it_cannot_write(tmp_path: Path) -> None:
    run = tmp_path / "run"
    write_run(run)
    with pytest.raises(UserError, match=r"no graph format 'pdf'. Valid: dot, html, json, model_explorer, png, svg"):
        render.write(str(run), output=str(tmp_path / "a.pdf"))
    with pytest.raises(UserError, match=r"give --output=graph\.png"):
        render.write(str(run), format="png")
    with pytest.raises(UserError, match="in a folder that exists"):
        render.write(str(run), output=str(tmp_path / "nowhere" / "a.svg"))
