from __future__ import annotations

import json
from pathlib import Path

import pytest

from munet.errors import WorkdirError
from munet.report import status
from munet.system import view
from munet.types import Position
from tests.report.stored_run import write_run

KEYS = [
    "format", "version", "kind", "workdir", "complete", "generations", "num_generations", "position", "active_task",
    "image_steps", "seed", "scale_factor", "baseline", "root", "tasks", "unsolved_tasks", "total_params",
    "params_per_task", "mean_quality", "mean_test_quality", "quality_metric", "mean_accuracy", "mean_test_accuracy",
    "flops_factor", "latency_factor", "joint",
]  # fmt: skip
TASK_KEYS = [
    "quality", "test_quality", "score", "params", "accounted_params", "model", "components", "layers",
    "validation_counts", "test_counts", "lineage", "shared_with", "hyperparameters", "accuracy", "test_accuracy",
    "classes", "flops", "latency", "parent",
]  # fmt: skip


def test_json_keys_are_stable(tmp_path: Path) -> None:
    write_run(tmp_path)
    data = status.status_json(view.open(str(tmp_path)))
    assert list(data) == KEYS
    assert all(list(task) == TASK_KEYS for task in data["tasks"].values())
    assert (data["format"], data["version"]) == ("munet-status", 1)
    assert json.loads(json.dumps(data, allow_nan=False)) == data


def test_json_values_of_a_complete_run(tmp_path: Path) -> None:
    run = write_run(tmp_path, scale_factor=0.5)
    data = status.status_json(view.open(str(tmp_path)))
    assert (data["complete"], data["generations"], data["active_task"], data["unsolved_tasks"]) == (True, 8, None, [])
    assert data["position"] == {"task_iteration": 2, "task_index": 0, "generation": 0}
    for name, task in data["tasks"].items():
        model = run.final.models[run.final.retained[name]]
        assert model.quality is not None
        assert model.test_quality is not None
        assert task["quality"] == model.quality.correct / model.quality.counted
        assert task["test_counts"] == {"correct": model.test_quality.correct, "counted": 100}
        assert task["score"] == pytest.approx(task["quality"] * 0.5 ** (task["accounted_params"] / 149_954), abs=1e-3)
        assert task["score"] == run.controller.score(run.final, model)
        assert dict(zip(task["layers"], task["components"], strict=True)) == model.components
    accounted = sum(task["accounted_params"] for task in data["tasks"].values())
    assert accounted == pytest.approx(data["total_params"])
    assert data["params_per_task"] == data["total_params"] / 2
    assert data["mean_quality"] == pytest.approx(sum(task["quality"] for task in data["tasks"].values()) / 2)


def test_json_of_a_run_before_its_first_model(tmp_path: Path) -> None:
    write_run(tmp_path, until=Position(0, 0, 1))
    data = status.status_json(view.open(str(tmp_path)))
    assert (data["complete"], data["generations"], data["active_task"]) == (False, 1, "task0")
    assert (data["tasks"], data["unsolved_tasks"]) == ({}, ["task0", "task1"])
    assert (data["total_params"], data["params_per_task"], data["mean_quality"]) == (0, 0.0, None)


def test_printed_json_is_nothing_but_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(tmp_path)
    status.print_status(str(tmp_path), as_json=True)
    assert json.loads(capsys.readouterr().out) == status.status_json(view.open(str(tmp_path)))


def test_printed_table_names_every_task_and_number(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(tmp_path)
    status.print_status(str(tmp_path))
    text = capsys.readouterr().out
    data = status.status_json(view.open(str(tmp_path)))
    for name, task in data["tasks"].items():
        (line,) = [line for line in text.splitlines() if line.startswith(f"│ {name} ")]
        for expected in (f"{task['quality']:.2%}", f"{task['test_quality']:.2%}", f"{task['params']:,}", "root > "):
            assert expected in line
    assert "Complete: 8 of 8 generations, 2 tasks." in text
    assert f"{data['total_params']:,}" in text


def test_printed_status_of_an_open_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(tmp_path, until=Position(0, 1, 1))
    status.print_status(str(tmp_path))
    text = capsys.readouterr().out
    assert "Not complete: 3 of 8 generations; task iteration 1, task 2 of 2 (task1) is active." in text
    assert "Without a model yet: task1." in text


def test_of_thousands_of_tasks_what_grows_with_the_square_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_run(tmp_path)
    opened = view.open(str(tmp_path))
    full = status.status_json(opened)["tasks"]
    monkeypatch.setattr(status, "MOST_TASKS", len(full) - 1)
    for name, task in status.status_json(opened)["tasks"].items():
        assert task == {**full[name], "lineage": None, "shared_with": None}
        assert full[name]["lineage"][1] == task["parent"]
        assert status.status_json(opened, name)["tasks"] == {name: full[name]}
    assert {row[-2] for row in status.rows(opened)} == {"(--json --task)"}


def test_of_a_long_lineage_the_end_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_run(tmp_path)
    opened = view.open(str(tmp_path))
    name = max(opened.models, key=lambda task: len(opened.lineage(task)))
    ids = opened.lineage(name)[::-1]
    (row,) = (row for row in status.rows(opened) if row[0] == name)
    assert row[-1] == " > ".join(["root", *map(str, ids[1:])])
    monkeypatch.setattr(status, "_MOST_ANCESTORS", 1)
    (row,) = (row for row in status.rows(opened) if row[0] == name)
    assert row[-1] == ("... > " if len(ids) > 1 else "") + str(ids[-1])


def test_no_run_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(WorkdirError, match="no run"):
        status.print_status(str(tmp_path))


def test_every_key_is_documented() -> None:
    text = (Path(__file__).parents[2] / "docs" / "status.md").read_text("utf-8")
    assert [key for key in (*KEYS, *TASK_KEYS) if f"`{key}`" not in text] == []
