"""Class by class: what the end of a phase recorded is found again, shown worst first, and drawn."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from munet.errors import UserError
from munet.quality import quality_of
from munet.report import classes, status
from munet.report.charts import confusion
from munet.report.classes import SplitCounts
from munet.system import view
from munet.types import PhaseEntry, Position
from tests.evolution import simulation
from tests.report.drawn_texts import faults, texts_of
from tests.report.stored_run import write_run

CORRECT, COUNTED = (9, 0, 3, 0), (10, 5, 4, 0)
PAIRS = ((1, 2, 4), (0, 1, 1), (1, 0, 1), (2, 1, 1))


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Makes simulated runs record counts by class, under balanced accuracy; the iteration is told by a count."""
    invented = simulation.next_entry

    def next_entry(*arguments: object) -> object:
        entry = invented(*arguments)  # type: ignore[arg-type]  # passed on
        if not isinstance(entry, PhaseEntry):
            return entry
        correct = (9 - entry.position.task_iteration, *CORRECT[1:])
        quality = quality_of("balanced_accuracy", correct, COUNTED)
        return replace(
            entry, test_quality=quality, test_correct_per_class=correct, test_counted_per_class=COUNTED,
            test_confusions=PAIRS, validation_correct_per_class=correct, validation_counted_per_class=COUNTED,
        )  # fmt: skip

    monkeypatch.setattr(simulation, "next_entry", next_entry)
    return  # type: ignore[return-value]  # nothing to undo


@pytest.mark.parametrize(
    ("until", "iterations"), [(None, (1, 1)), (Position(1, 1, 0), (1, 0)), (Position(1, 0, 1), (0, 0))]
)
def test_the_last_closed_phase_of_each_task_is_found(
    until: Position | None, iterations: tuple[int, int], tmp_path: Path
) -> None:
    write_run(tmp_path, until=until)
    opened = view.open(str(tmp_path))
    for task, iteration in zip(("task0", "task1"), iterations, strict=True):
        entry = opened.last_phase(task)
        assert (entry.task, entry.position.task_iteration) == (task, iteration)
        assert entry.retained == opened.model(task).id


def test_a_task_without_a_model_has_no_phase(tmp_path: Path) -> None:
    write_run(tmp_path, until=Position(0, 1, 1))
    with pytest.raises(UserError, match="has no model yet"):
        view.open(str(tmp_path)).last_phase("task1")
    with pytest.raises(UserError, match="Did you mean 'task1' or 'task0'"):
        status.print_status(str(tmp_path), task="task9")


@pytest.mark.usefixtures("recorded")
def test_status_of_a_task_lists_the_worst_classes_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(tmp_path, num_classes=(4, 4), quality_metric="balanced_accuracy", seed=1)
    status.print_status(str(tmp_path), task="task0")
    text = capsys.readouterr().out
    names = view.open(str(tmp_path)).task("task0").class_names
    rows = [line for line in text.splitlines() if line.startswith("│")]
    assert [row.split("│")[1].strip() for row in rows] == [names[label] for label in (1, 2, 0, 3)]
    assert f"{names[2]} (4)" in rows[0]
    assert "0.0%" in rows[0]
    assert "no images" in rows[3]
    assert f"  {names[1]} taken for {names[2]}: 4 of 5" in text
    assert f"Test balanced accuracy {(0.8 + 0 + 0.75) / 3:.2%} (" in text
    assert "); 11 of 19 images right." in text
    status.print_status(str(tmp_path))
    table = capsys.readouterr().out
    assert "balanced" in table
    assert f"{11 / 19:.2%}" in table  # accuracy beside it
    assert "Mean balanced accuracy:" in table


@pytest.mark.usefixtures("recorded")
def test_json_has_the_counts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(tmp_path, num_classes=(4, 4), seed=1)
    status.print_status(str(tmp_path), as_json=True, task="task1")
    (task,) = json.loads(capsys.readouterr().out)["tasks"].items()
    assert task[0] == "task1"
    assert task[1]["classes"]["test"] == {
        "correct": [8, 0, 3, 0],
        "counted": list(COUNTED),
        "confusions": [*map(list, PAIRS)],
    }
    assert task[1]["classes"]["validation"]["confusions"] == []


def test_old_journals_say_that_nothing_was_recorded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(tmp_path)
    opened = view.open(str(tmp_path))
    assert classes.counts_json(opened, "task0") == {"validation": None, "test": None}
    status.print_status(str(tmp_path), task="task0")
    assert "were not recorded" in capsys.readouterr().out
    with pytest.raises(UserError, match="was not recorded"):
        status.print_status(str(tmp_path), task="task0", confusion=str(tmp_path / "c.svg"))
    assert not (tmp_path / "c.svg").exists()


@pytest.mark.usefixtures("recorded")
def test_the_matrix_is_drawn(tmp_path: Path) -> None:
    write_run(tmp_path, num_classes=(4, 4), seed=1)
    with pytest.raises(UserError, match="say which with --task"):
        status.print_status(str(tmp_path), confusion="c.svg")
    with pytest.raises(UserError, match=r"give a name that ends in \.svg or \.png"):
        status.print_status(str(tmp_path), task="task0", confusion=str(tmp_path / "c.pdf"))
    with pytest.raises(UserError, match="in a folder that exists"):
        status.print_status(str(tmp_path), task="task0", confusion=str(tmp_path / "no" / "c.svg"))
    status.print_status(str(tmp_path), task="task0", confusion=str(tmp_path / "c.svg"))
    drawn = (tmp_path / "c.svg").read_bytes()
    texts = [text.text for text in texts_of(drawn)]
    assert faults(drawn) == []
    assert {"task0: what is taken for what", "Test split, 4 classes", "right", "taken for another"} <= set(texts)
    cells = ElementTree.fromstring(drawn).findall(".//*[@aria-roledescription='rect mark']")
    assert len(cells) == 2 + len(PAIRS)  # two classes have images right
    status.print_status(str(tmp_path), task="task0", confusion=str(tmp_path / "c.png"))
    assert (tmp_path / "c.png").read_bytes()[:4] == b"\x89PNG"


def test_short_names_stand_upright() -> None:
    counts = SplitCounts((1, 1), (2, 2), ((0, 1, 1), (1, 0, 1)))

    def angle(*names: str) -> int:
        return confusion.spec(names, counts)["encoding"]["x"]["axis"]["labelAngle"]

    assert (angle("0", "11"), angle("0", "wren")) == (0, -90)


def test_of_many_classes_those_most_confused_are_drawn() -> None:
    counts = SplitCounts((4,) * 1623, (5,) * 1623, tuple((label, label + 1, 1) for label in range(0, 200, 2)))
    assert "the 40 of 1,623 classes that are confused most" in confusion.caption(1623, counts)
    names = tuple(f"<{label}>" for label in range(1623))
    assert len(confusion.spec(names, counts)["data"]["values"]) == 40 + 20
    assert len(confusion.rows(names, counts)) == 1623 + 100
