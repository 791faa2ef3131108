"""`munet predict`: what it prints, its exit codes, and what it answers bad input with."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import munet
from munet.cli import main
from munet.serving.answers import Alone, answers
from munet.training.measure.evaluation import count
from tests.report.stored_run import write_run

Printed = pytest.CaptureFixture[str]


@pytest.fixture
def workdir(tmp_path: Path) -> Path:
    """Two tasks, not trained."""
    write_run(tmp_path / "run", num_blocks=1)
    return tmp_path / "run"


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """`images/1.png`, `2.png`, `10.png`, and in a folder below `3.png`; a text and a hidden file beside them."""
    folder = tmp_path / "images"
    (folder / "more").mkdir(parents=True)
    for name in ("1", "2", "10", "more/3"):
        Image.fromarray(np.full((9, 9), 20 * int(name[-1]), np.uint8)).save(folder / f"{name}.png")
    (folder / "notes.txt").write_text("x")
    (folder / ".4.png").write_text("x")
    return folder


def predict(workdir: Path, *arguments: object) -> int:
    return main(["predict", f"--workdir={workdir}", "--cache_dir=off", *map(str, arguments)])


def lines(printed: Printed) -> list[dict[str, Any]]:
    return [json.loads(line) for line in printed.readouterr().out.splitlines()]


@pytest.mark.parametrize("form", ["--json", "--csv"])
def test_files_of_the_test_split_give_the_counts_of_the_journal(form: str, folder_run: Path, printed: Printed) -> None:
    folder = folder_run.parent / "photos" / "test"
    assert predict(folder_run, form, folder) == 0
    text = printed.readouterr().out
    if form == "--json":
        rows = [json.loads(line) for line in text.splitlines()]
        found = [(row["image"], row["predictions"]["photos"][0]["class"]) for row in rows]
    else:
        found = [(row["image"], row["class"]) for row in csv.DictReader(io.StringIO(text))]
    system = munet.open(str(folder_run))
    names = list(system.task("photos").class_names)
    predicted = np.array([names.index(name) for _, name in found])
    labels = np.array([names.index(Path(path).parent.name) for path, _ in found])
    measured, recorded = count(predicted, labels, num_classes=3, metric="accuracy"), system.last_phase("photos")
    assert (measured.correct_per_class, measured.confusions) == (
        recorded.test_correct_per_class,
        recorded.test_confusions,
    )
    assert sum(recorded.test_counted_per_class) == len(found) > 10


@pytest.fixture
def printed(capsys: Printed) -> Printed:
    return capsys


def test_a_table(workdir: Path, images: Path, printed: Printed) -> None:
    assert predict(workdir, "--task=task1", "--top=2", images) == 0
    head, *rows = [line.split() for line in printed.readouterr().out.splitlines()]
    assert head == ["image", "class", "%", "2.", "%"]
    assert [Path(row[0]).name for row in rows] == ["1.png", "2.png", "10.png", "3.png"]
    for row in rows:
        assert float(row[2]) >= float(row[4]) > 0


def test_all_tasks(workdir: Path, images: Path, printed: Printed) -> None:
    assert predict(workdir, "--all_tasks", "--json", images / "1.png") == 0
    (line,) = lines(printed)
    expected = munet.open(str(workdir))
    assert list(line["predictions"]) == ["task0", "task1"]
    for task, found in line["predictions"].items():
        best = expected.predict(task, images / "1.png").top(3)[0]
        assert [item["class"] for item in found] == [name for name, _ in best]
        np.testing.assert_allclose([item["probability"] for item in found], [share for _, share in best], atol=2e-6)


def test_improbable_classes_are_not_named(workdir: Path, images: Path, printed: Printed) -> None:
    assert predict(workdir, "--task=task0", "--json", "--min_confidence=0.9999", images / "1.png") == 0
    assert lines(printed)[0]["predictions"] == {"task0": []}
    assert predict(workdir, "--task=task0", "--min_confidence=0.9999", images / "1.png") == 0
    assert printed.readouterr().out.splitlines()[1].split()[1:] == ["?"]


@pytest.mark.parametrize("option", ["--output", "--out"])
def test_into_a_file(option: str, workdir: Path, images: Path, tmp_path: Path, printed: Printed) -> None:
    assert predict(workdir, "--task=task0", "--csv", f"{option}={tmp_path}/a.csv", images) == 0
    with (tmp_path / "a.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [Path(row["image"]).name for row in rows] == ["1.png", "2.png", "10.png", "3.png"]
    assert printed.readouterr().out == ""


def test_paths_from_standard_input(
    workdir: Path, images: Path, printed: Printed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{images}/10.png\n\n{images}/more\n"))
    assert predict(workdir, "--task=task0", "--json", "-", images / "1.png") == 0
    assert [Path(line["image"]).name for line in lines(printed)] == ["10.png", "3.png", "1.png"]


def test_unreadable_images_are_named_after_all_others_are_answered(
    workdir: Path, images: Path, printed: Printed
) -> None:
    (images / "1.png").write_bytes(b"")
    (images / "2.png").write_bytes(b"hello")
    (images / "5.png").symlink_to("nowhere")
    for form in ("--json", "--csv", "--top=1"):
        assert predict(workdir, "--task=task0", form, images, "missing.png") == 2
        out, err = printed.readouterr()
        assert len(out.splitlines()) == 6 + (form != "--json")
        for text in (out, err):
            assert "an empty file" in text
            assert "missing.png" in text
        assert "4 of 6 images could not be read" in err
        assert "(cannot be read" not in err  # it says so already


def test_odd_names_do_not_break_lines(workdir: Path, tmp_path: Path, printed: Printed) -> None:
    name = b'<script>\n\xe2\x80\xae\xff,".png'
    place = os.fsencode(tmp_path) + b"/" + name
    Image.new("L", (9, 9)).save(tmp_path / "a.png")
    Path(os.fsdecode(place)).write_bytes((tmp_path / "a.png").read_bytes())
    (tmp_path / "a.png").unlink()
    assert predict(workdir, "--task=task0", "--json", os.fsdecode(place)) == 0
    assert lines(printed)[0]["image"] == os.fsdecode(place)
    assert predict(workdir, "--task=task0", os.fsdecode(place)) == 0
    out = printed.readouterr().out
    assert len(out.splitlines()) == 2
    assert "\\n\\u202e\\udcff" in out
    assert predict(workdir, "--task=task0", "--csv", f"--out={tmp_path}/o.csv", os.fsdecode(place)) == 0
    (row,) = csv.DictReader(io.StringIO((tmp_path / "o.csv").read_text(errors="surrogateescape"), newline=""))
    assert row["image"] == os.fsdecode(place)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--task=task0"], "name images: files, folders, or -"),
        (["--task=tsk1", "a.png"], "There is no task 'tsk1' in .* Did you mean 'task1'"),
        (["a.png"], "say which task, --task=NAME, or --all_tasks. Tasks with a model: task0, task1"),
        (["--task=task0", "--all_tasks", "a.png"], "give one of them"),
        (["--json", "--csv", "--task=task0", "a.png"], "give one of them"),
        (["--top=0", "--task=task0", "a.png"], "--top=0: expected 1 or more"),
        (["--min_confidence=80", "--task=task0", "a.png"], "expected a probability"),
        (["--task=task0", "--output=/dev/null/x", "a.png"], "--output=/dev/null/x cannot be written: Not a directory"),
        (["--task=task0", "--output=.", "a.png"], "--output=. cannot be written: Is a directory"),
        (["--task=task0", "empty"], "there are no images in 'empty'"),
    ],
)
def test_what_cannot_be_meant(
    arguments: list[str], message: str, workdir: Path, printed: Printed, monkeypatch: pytest.MonkeyPatch
) -> None:
    import re

    monkeypatch.chdir(workdir.parent)
    Path("empty").mkdir()
    assert predict(workdir, *arguments) == 2
    assert re.search(message, printed.readouterr().err)


def test_answers_of_before_are_kept_where_there_are_no_images(workdir: Path, tmp_path: Path, printed: Printed) -> None:
    (tmp_path / "empty").mkdir()
    output = tmp_path / "answers.csv"
    output.write_text("answers of yesterday\n")
    assert predict(workdir, "--task=task0", "--csv", f"--output={output}", str(tmp_path / "empty")) == 2
    assert "there are no images in" in printed.readouterr().err
    assert output.read_text() == "answers of yesterday\n"


def test_no_work_directory(tmp_path: Path, printed: Printed) -> None:
    assert predict(tmp_path / "nothing", "--task=a", "a.png") == 2
    assert str(tmp_path / "nothing") in printed.readouterr().err
    (tmp_path / "begun" / "journal").mkdir(parents=True)
    assert predict(tmp_path / "begun", "--task=a", "a.png") == 2
    assert "Traceback" not in printed.readouterr().err


@pytest.mark.parametrize("damage", ["missing", "corrupt"])
def test_a_damaged_component_stops_only_the_tasks_that_need_it(
    damage: str, workdir: Path, images: Path, printed: Printed
) -> None:
    head = munet.open(str(workdir)).models["task0"].components["head"]
    file = workdir / "components" / f"{head}.safetensors"
    data = file.read_bytes()
    file.unlink() if damage == "missing" else file.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    assert predict(workdir, "--task=task0", images) == 2
    error = printed.readouterr().err
    assert head in error
    assert "needed by: task0. All other tasks still predict. Restore this file" in error
    assert predict(workdir, "--task=task1", images) == 0
    printed.readouterr()
    assert predict(workdir, "--all_tasks", "--json", images) == 2
    out, err = printed.readouterr()
    assert all(list(json.loads(line)["predictions"]) == ["task1"] for line in out.splitlines())
    assert "task0 is left out" in err


def test_nothing_is_written_into_the_work_directory(workdir: Path, images: Path, tmp_path: Path) -> None:
    def state() -> dict[str, tuple[int, int]]:
        return {str(path): (path.stat().st_mtime_ns, path.stat().st_size) for path in workdir.rglob("*")}

    before = state()
    assert predict(workdir, "--all_tasks", images) == 0
    assert state() == before
    shutil.copytree(workdir, tmp_path / "copy")
    assert predict(tmp_path / "copy", "--task=task0", images) == 0


def test_answers_do_not_wait_for_paths_that_are_not_there_yet(workdir: Path, images: Path) -> None:
    more = threading.Event()

    def paths() -> Iterator[str]:
        yield f"{images}/1.png"
        assert more.wait(60)
        yield f"{images}/2.png"

    found = answers(Alone(munet.open(str(workdir)).predictor("task0")), paths())
    assert [Path(answer.path).name for answer in next(found)] == ["1.png"]  # never, if a whole batch were waited for
    more.set()
    assert [Path(answer.path).name for together in found for answer in together] == ["2.png"]


def test_paths_are_asked_for_a_bounded_number_ahead(workdir: Path, images: Path) -> None:
    asked = 0

    def paths() -> Iterator[str]:
        nonlocal asked
        for _ in range(100_000):
            asked += 1
            yield f"{images}/1.png"

    found = answers(Alone(munet.open(str(workdir)).predictor("task0")), paths())
    told = 0
    for _ in range(5):
        told += len(next(found))
        assert told < asked < told + 2000
    found.close()  # type: ignore[attr-defined]  # a generator
    assert asked < 5000


def test_what_the_paths_raise_is_raised(workdir: Path) -> None:
    def paths() -> Iterator[str]:
        yield "a.png"
        raise KeyError("x")

    with pytest.raises(KeyError, match="x"):
        list(answers(Alone(munet.open(str(workdir)).predictor("task0")), paths()))
