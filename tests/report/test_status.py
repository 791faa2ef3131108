from __future__ import annotations

import io
import itertools
import json
import shlex
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from munet.cli.parser import make_parser
from munet.errors import UserError, WorkdirError
from munet.evolution import schedule
from munet.report import overview, status, unfinished
from munet.store.journal import Journal
from munet.system import view
from munet.types import GenerationEntry, JournalEntry, Position
from tests.evolution.simulation import make_tasks
from tests.report import fixed_journal
from tests.report.stored_run import write_run

KEYS = [
    "format", "version", "kind", "workdir", "complete", "generations", "num_generations", "position", "active_task",
    "image_steps", "seed", "scale_factor", "baseline", "root", "tasks", "unsolved_tasks", "total_params",
    "params_per_task", "mean_quality", "mean_test_quality", "quality_metric", "mean_accuracy", "mean_test_accuracy",
    "flops_factor", "latency_factor", "mean_test_interval", "unfinished", "seconds_left", "joint",
    "forgotten_tasks", "trainable_params", "time",
]  # fmt: skip
TASK_KEYS = [
    "quality", "test_quality", "score", "params", "accounted_params", "model", "components", "layers",
    "validation_counts", "test_counts", "lineage", "shared_with", "hyperparameters", "accuracy", "test_accuracy",
    "classes", "flops", "latency", "parent", "test_interval", "trainable_params",
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


def test_trainable_parameters_are_those_that_are_not_the_roots(tmp_path: Path) -> None:
    """`one`: a block of 100, a norm of 4, a head of 6; `two` shares the first two and has a block and a head more."""
    fixed_journal.write(tmp_path)
    data = status.status_json(view.open(str(tmp_path)))
    assert [task["trainable_params"] for task in data["tasks"].values()] == [110, 210]
    assert data["trainable_params"] == 216
    text = "\n".join(overview.summary(view.open(str(tmp_path))))
    assert "Parameters in use: 346, 173 a task; trainable, that is not the root's: 216." in text


def test_it_says_what_a_score_is_where_it_is_no_quality(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(tmp_path / "a", scale_factor=0.5)
    status.print_status(str(tmp_path / "a"))
    assert "Score: validation quality, penalised for size; " in capsys.readouterr().out
    write_run(tmp_path / "b", scale_factor=1.0)
    status.print_status(str(tmp_path / "b"))
    assert "Score:" not in capsys.readouterr().out


def test_what_is_offered_next_is_understood(tmp_path: Path) -> None:
    """Each line is a command that the parser takes, also of a directory with a blank in its name."""
    workdir = tmp_path / "my runs"
    write_run(workdir)
    first, *commands = overview.next_steps(str(workdir)).splitlines()
    assert first.endswith(":")
    for command in commands:
        words = shlex.split(command.partition(" # ")[0])
        assert words[0] == "munet"
        make_parser().parse(words[1:])
        assert f"--workdir={workdir}" in words


def test_time_by_part_is_that_of_the_log(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two starts, of which the first was killed while it wrote; baselines have their own time."""
    write_run(tmp_path)
    assert status.status_json(view.open(str(tmp_path)))["time"] is None
    times = (f"2026-01-01T00:{minute:02}:00.000+00:00" for minute in itertools.count())

    def line(event: str, **fields: object) -> str:
        return json.dumps({"time": next(times), "event": event, **fields})

    first = [
        line("RunStarted", workdir="/x/run"),
        line("GenerationStarted", plan={"seconds": 1}),
        line("CycleEnded", cycle=0, qualities={}, image_steps=1, seconds=20.5),
        line("GenerationEnded", entry={"a": {"seconds": 3.0}}, seconds=50.0),
        line("Compiling", done=0, total=2),
        line("Compiling", done=1, total=2),
        line("Compiling", done=2, total=2),
        line("CycleEnded", cycle=0, qualities={}, image_steps=1, seconds=10),
    ]
    second = [
        line("RunStarted", workdir="/x/run/baselines/full"),
        line("RunEnded", is_complete=True, seconds=60.0),
        line("RunStarted", workdir="/x/run"),
        line("RunEnded", is_complete=True, seconds=60.0),
        line("Note", text="of a start a day later, before it begins"),
    ]
    text = "\n".join(first) + '\n{"time": "2026-01-01T00:0\n' + "\n".join(second)
    (tmp_path / "log.jsonl").write_text(text)
    found = status.status_json(view.open(str(tmp_path)))["time"]
    # 7 minutes (the broken line says nothing), then 1: 20.5 + 10 in cycles, 50 - 20.5 in the rest of a generation, and
    # the 2 in which was compiled for one that never ended.
    assert found == {"starts": 2, "cycles": 30.5, "generations": 149.5, "between": 300.0, "total": 480.0}
    status.print_status(str(tmp_path))
    said = " ".join(capsys.readouterr().out.split())
    assert (
        "Wall time: 8 min 00 s in 2 starts; 30 s training and validating, 2 min 30 s compiling, saving and compressing,"
        in said
    )


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
        low, high = task["test_interval"]
        interval = f"({100 * low:.1f}-{100 * high:.1f})"
        for expected in (f"{task['quality']:.2%}", f"{task['test_quality']:.2%} {interval}", f"{task['params']:,}"):
            assert expected in line
    assert "Complete: 8 of 8 generations, 2 tasks." in text
    assert f"{data['total_params']:,}" in text


def test_printed_status_of_an_open_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(tmp_path, until=Position(0, 1, 1))
    status.print_status(str(tmp_path))
    text = capsys.readouterr().out
    assert "Not complete: 3 of 8 generations; task iteration 1, task 2 of 2 (task1) is active." in text
    assert "Without a model yet: task1." in text
    best = status.status_json(view.open(str(tmp_path)))["unfinished"]
    assert (best["task"], best["generation"], best["num_generations"]) == ("task1", 1, 2)
    assert f"task1 is unfinished: model {best['model']} leads with {best['quality']:.2%} validation" in text
    (line,) = [line for line in text.splitlines() if line.startswith("│ task1 ")]
    assert line.replace(" ", "").startswith(f"│task1│{best['quality']:.2%}│unfinished│-│")


def test_before_the_first_generation_there_is_no_best(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(tmp_path, until=Position(0, 0, 0))
    status.print_status(str(tmp_path))
    assert "task0 is unfinished: its first generation is in training." in capsys.readouterr().out
    assert status.status_json(view.open(str(tmp_path)))["unfinished"]["quality"] is None


def test_time_left_is_that_of_generations_that_compile_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_run(tmp_path, until=Position(1, 0, 0))
    opened = view.open(str(tmp_path))
    entries = Journal.entries
    seen = {"images": 0, "generations": 0}

    def timed(journal: Journal, start: int = 0) -> Iterator[JournalEntry]:
        for entry in entries(journal, start):
            if isinstance(entry, GenerationEntry):
                seen["generations"] += 1
                pace = 0.5 if seen["generations"] == 1 else 0.01  # seconds an image; the first one compiles
                children = [
                    replace(child, cost=replace(child.cost, seconds=pace * child.cost.image_steps))
                    for child in entry.children
                ]
                entry = replace(entry, children=tuple(children))
            yield entry

    monkeypatch.setattr(Journal, "entries", timed)
    left = schedule.images_of_run(opened.experiment, opened.tasks) - opened.run_state.image_steps
    assert left == opened.run_state.image_steps  # one of two iterations
    assert unfinished.seconds_left(opened) == pytest.approx(0.01 * left)
    monkeypatch.setattr(overview, "seconds_left", lambda _: 185.0)
    status.print_status(str(tmp_path))
    assert "is active; about 3 min 05 s of training left." in capsys.readouterr().out


@pytest.mark.parametrize("width", [60, 80, 100, 120, 160])
@pytest.mark.parametrize("name", ["digits", "tfds:visual_domain_decathlon/vgg-flowers_and_more"])
def test_no_digit_is_cut_at_any_width(width: int, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_run(tmp_path, tasks=(replace(make_tasks(5)[0], name=name), *make_tasks(3)[:1]))
    opened = view.open(str(tmp_path))
    for wide in (False, True):
        console = Console(file=io.StringIO(), width=400 if wide else width)
        for part in overview.overview(opened, wide):
            console.print(part)
        assert isinstance(console.file, io.StringIO)
        text = console.file.getvalue()
        assert max(map(len, text.splitlines())) <= console.width
        assert "…" not in text
        for row in overview.rows(opened):
            assert all(cell in text for cell in row[1:3])
        left_out = text.partition("--wide also shows columns that have no room: ")[2].replace("\n", " ")
        for heading, cell in zip(overview.headings(opened)[3:-2], next(overview.rows(opened))[3:-2], strict=True):
            assert (heading in left_out) is not (cell in text.partition("Complete")[0]), (heading, cell)


def test_of_many_tasks_totals_come_first_and_the_worst_next(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(tmp_path, num_classes=(3,) * 33, num_task_iterations=1, num_generations=1)
    status.print_status(str(tmp_path))
    text = capsys.readouterr().out
    assert text.startswith("Complete: 33 of 33 generations, 33 tasks.")
    shown = [float(line.split("│")[3].split("%")[0]) for line in text.splitlines() if line.startswith("│ task")]
    tested = [model.test_quality for model in view.open(str(tmp_path)).models.values()]
    assert shown == pytest.approx(sorted(100 * quality.value for quality in tested if quality)[:30])
    assert "--wide also shows 3 tasks that do no worse" in text
    status.print_status(str(tmp_path), wide=True)
    assert sum(line.startswith("│ task") for line in capsys.readouterr().out.splitlines()) == 33


def test_the_comparison_is_shown_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(tmp_path)
    with pytest.raises(UserError, match="has no baselines to compare with"):
        status.print_status(str(tmp_path), compare=True)
    write_run(tmp_path / "baselines" / "full", seed=1)
    write_run(tmp_path / "baselines" / "multi_head", seed=2, until=Position(0, 1, 0))
    status.print_status(str(tmp_path), compare=True)
    text = capsys.readouterr().out
    (head,) = [line for line in text.splitlines() if line.startswith("┃ task ")]
    assert [name.strip() for name in head.split("┃")[2:5]] == ["multi-head", "full fine-tuning", "muNet"]
    assert "Not every task is measured for multi-head" in text
    with pytest.raises(UserError, match="leave --task and --json out"):
        status.print_status(str(tmp_path), compare=True, as_json=True)


def test_of_thousands_of_tasks_what_grows_with_the_square_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_run(tmp_path)
    opened = view.open(str(tmp_path))
    full = status.status_json(opened)["tasks"]
    monkeypatch.setattr(status, "MOST_TASKS", len(full) - 1)
    monkeypatch.setattr(overview, "MOST_TASKS", len(full) - 1)
    for name, task in status.status_json(opened)["tasks"].items():
        assert task == {**full[name], "lineage": None, "shared_with": None}
        assert full[name]["lineage"][1] == task["parent"]
        assert status.status_json(opened, name)["tasks"] == {name: full[name]}
    assert {row[-2] for row in overview.rows(opened)} == {"(--json --task)"}


def test_of_a_long_lineage_the_end_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_run(tmp_path)
    opened = view.open(str(tmp_path))
    name = max(opened.models, key=lambda task: len(opened.lineage(task)))
    ids = opened.lineage(name)[::-1]
    (row,) = (row for row in overview.rows(opened) if row[0] == name)
    assert row[-1] == " > ".join(["root", *map(str, ids[1:])])
    monkeypatch.setattr(overview, "_MOST_ANCESTORS", 1)
    (row,) = (row for row in overview.rows(opened) if row[0] == name)
    assert row[-1] == ("... > " if len(ids) > 1 else "") + str(ids[-1])


def test_no_run_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(WorkdirError, match="no run"):
        status.print_status(str(tmp_path))


def test_every_key_is_documented() -> None:
    text = (Path(__file__).parents[2] / "docs" / "status.md").read_text("utf-8")
    assert [key for key in (*KEYS, *TASK_KEYS) if f"`{key}`" not in text] == []
