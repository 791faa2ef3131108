"""`munet table`: every child of a journal with its facts, checked against the journal; histograms add up."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

import munet
from munet.cli.main import main
from munet.errors import UserError
from munet.report.children import COLUMNS, Children, histogram, ordered, shown
from munet.types import GenerationEntry, PhaseEntry
from munet.vit import architecture
from tests.report.stored_run import write_run


@pytest.fixture
def run(tmp_path: Path) -> Path:
    write_run(tmp_path, mutation_probability=0.5)
    return tmp_path


def test_every_child_is_there_with_what_the_journal_says(run: Path) -> None:
    system = munet.open(str(run))
    children = Children(system)
    assert list(children.columns)[: len(COLUMNS)] == list(COLUMNS)
    rows = {row["id"]: row for row in children.rows}
    entries = list(system.store.journal.entries())
    trained = [(entry, child) for entry in entries if isinstance(entry, GenerationEntry) for child in entry.children]
    assert len(rows) == len(children.rows) == len(trained)
    for entry, child in trained:
        row = rows[child.plan.id]
        assert set(row) == set(children.columns)
        assert (row["task"], row["parent"], row["kept"]) == (entry.task, child.plan.parent, child.verdict.is_kept)
        assert (row["score"], row["learning_rate"]) == (
            child.verdict.score,
            child.plan.hyperparameters["learning_rate"],
        )
        assert row["mutations"] == "; ".join(mutation.describe() for mutation in child.plan.mutations)
        if child.verdict.is_kept:  # its components were published: their records say the sizes, too
            published = [system.components.get(id) or entry.published.get(id) for id in child.components.values()]
            if all(published):
                assert row["params"] == sum(record.num_params for record in published if record)
    tested = {entry.retained: entry.test_quality.value for entry in entries if isinstance(entry, PhaseEntry)}
    assert {id: row["test"] for id, row in rows.items() if row["test"] is not None} == tested
    assert {row["id"] for row in rows.values() if row["retained"]} == {model.id for model in system.models.values()}


def test_what_a_child_trains_is_counted(run: Path) -> None:
    system = munet.open(str(run))
    variant = architecture.get_variant(system.experiment.variant)
    seeds = [row for row in Children(system).rows if row["seed"]]
    assert seeds
    for row in seeds:
        classes = system.task(str(row["task"])).num_classes
        assert row["trained_params"] == (variant.width + 1) * classes  # the head alone
        assert row["trained_layers"] == 1


def test_children_of_a_forgotten_task_stay(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = Children(munet.open(str(run))).rows
    assert main(["forget", f"--workdir={run}", "--task=task0", "--yes"]) == 0
    after = Children(munet.open(str(run))).rows
    assert [row["id"] for row in after] == [row["id"] for row in before]
    assert not any(row["retained"] for row in after if row["task"] == "task0")
    capsys.readouterr()
    assert main(["table", f"--workdir={run}", "--task=task0", "--json"]) == 0
    assert {row["task"] for row in json.loads(capsys.readouterr().out)} == {"task0"}


def test_a_histogram_counts_every_child_once(run: Path) -> None:
    rows = Children(munet.open(str(run))).rows
    for column in ("score", "task", "kept", "learning_rate", "test", "changes", "id"):
        bars = histogram(rows, column)
        assert sum(bar.children for bar in bars) == len(rows), column
        assert sum(bar.kept for bar in bars) == sum(bool(row["kept"]) for row in rows), column
    assert len(histogram(rows, "id")) == 10  # ranges
    assert [bar.value for bar in histogram(rows, "kept")] == ["no", "yes"]
    assert histogram(rows, "test")[-1].value == "-"


def test_rows_in_order(run: Path) -> None:
    rows = Children(munet.open(str(run))).rows
    tests = [row["test"] for row in ordered(rows, "-test")]
    there = [test for test in tests if isinstance(test, float)]
    assert there == sorted(there, reverse=True) == tests[: len(there)]
    assert [row["id"] for row in ordered(rows, "id")] == sorted(int(row["id"] or 0) for row in rows)


def test_the_command(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["table", f"--workdir={run}", "--columns=id,score,flip", "--csv"]) == 0
    lines = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    rows = Children(munet.open(str(run))).rows
    assert [line["id"] for line in lines] == [str(row["id"]) for row in rows]
    assert [float(line["score"] or "nan") for line in lines] == pytest.approx(
        [row["score"] for row in rows], nan_ok=True
    )
    assert main(["table", f"--workdir={run}", "--json", "--task=task1"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {row["task"] for row in found} == {"task1"}
    assert main(["table", f"--workdir={run}", "--histogram=learning_rate"]) == 0
    assert "kept" in capsys.readouterr().out
    assert main(["table", f"--workdir={run}"]) == 0
    assert f"{len(rows)} children" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--columns=id,scor"], "'scor'. Did you mean 'score'?"),
        (["--sort=-tst"], "'tst'. Did you mean 'test'?"),
        (["--histogram=mutation"], "'mutations'"),
        (["--task=task9"], "task0"),
        (["--json", "--csv"], "give one of them"),
    ],
)
def test_what_cannot_be_meant(run: Path, arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["table", f"--workdir={run}", *arguments]) == 2
    assert words in capsys.readouterr().err


def test_cells_are_for_people() -> None:
    cells = {"score": 0.5, "kept": True, "params": 1234, "test": None, "learning_rate": 0.0123456}
    assert [shown(name, cell) for name, cell in cells.items()] == ["50.00%", "yes", "1,234", "-", "0.01235"]


def test_a_joint_training_has_no_children(tmp_path: Path) -> None:
    class Joint:
        joint, workdir = object(), "runs/joint"

    with pytest.raises(UserError, match="one model a task, and no children"):
        Children(Joint())  # type: ignore[arg-type]
