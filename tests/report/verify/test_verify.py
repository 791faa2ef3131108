from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from munet import config, right_images
from munet.errors import DataError, WorkdirError
from munet.report.verify import verify as verifying
from munet.report.verify.verify import VerifyReport, verify
from munet.store import Store
from munet.system import view
from munet.system.view import RunView
from munet.types import ComponentId, ComponentRecord, Position, Quality, SeedsEntry, StartEntry, TaskName
from tests.report.stored_run import write_run
from tests.store import journal_files


@pytest.fixture
def run(tmp_path: Path) -> Path:
    write_run(tmp_path / "run", num_classes=(3, 5, 7))
    return tmp_path / "run"


def edit(file: Path, change: Callable[[bytes], bytes]) -> None:
    before = file.read_bytes()
    file.write_bytes(change(before))
    assert file.read_bytes() != before


def flip_last_byte(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


def component_file(run: Path, task: str, name: str) -> Path:
    return run / "components" / f"{view.open(str(run)).models[task].components[name]}.safetensors"


def entry_file(run: Path, index: int) -> Path:
    return run / "journal" / f"{index:08d}.json"


def test_a_sound_run_has_no_problems(run: Path) -> None:
    report = verify(str(run))
    opened = view.open(str(run))
    assert report.problems == []
    assert (report.num_entries, report.num_models) == (1 + 3 * 2 * (2 + 1), 3)
    assert report.num_components == len(list((run / "components").iterdir()))
    assert report.total_params == opened.total_params
    assert list(report.lines())[-1].startswith(f"{run} is sound: 19 journal entries")


def test_a_run_that_goes_on_is_sound(tmp_path: Path) -> None:
    write_run(tmp_path, until=Position(0, 1, 1))
    report = verify(str(tmp_path))
    assert report.problems == []
    assert report.notes == ["The run is not complete; the phase of task1 is open."]


@pytest.mark.parametrize("until", [None, Position(1, 2, 0)])
def test_a_run_that_chose_seed_parents_by_fit_is_sound(tmp_path: Path, until: Position | None) -> None:
    write_run(tmp_path, num_classes=(3, 5, 7), seed_choice="fit", max_seed_parents=1, until=until)
    assert verify(str(tmp_path)).problems == []


def test_altered_fits_are_found(tmp_path: Path) -> None:
    run = write_run(tmp_path, num_classes=(3, 5, 7), seed_choice="fit", max_seed_parents=1)
    index = next(place for place, entry in enumerate(run.entries) if isinstance(entry, SeedsEntry))
    content = journal_files.read(entry_file(tmp_path, index))
    fits = content["entry"]["fits"]
    worst = min(fits, key=lambda model: fits[model])
    journal_files.write(
        entry_file(tmp_path, index), content | {"entry": content["entry"] | {"fits": fits | {worst: 1.0}}}
    )
    problems = verify(str(tmp_path)).problems
    assert problems[0].place == str(entry_file(tmp_path, index + 1))  # whose chain is broken
    # One who also mends the chain is found by the children, which are of another parent.
    entries = list(run.entries)
    chosen = entries[index]
    assert isinstance(chosen, SeedsEntry)
    entries[index] = replace(chosen, fits={**chosen.fits, int(worst): 1.0})
    store = Store.create_or_open(tmp_path / "mended")
    with store.lock():
        for entry in entries[: index + 2]:
            if isinstance(entry, StartEntry):
                entry = replace(entry, experiment=config.to_json(run.controller.experiment))
            store.journal.append(entry)
    texts = [problem.text for problem in verify(str(tmp_path / "mended")).problems]
    assert any(text.startswith("It records other children than") for text in texts)


def test_a_flipped_byte_is_found(run: Path) -> None:
    file = component_file(run, "task1", "head")
    edit(file, flip_last_byte)
    (problem,) = verify(str(run)).problems
    assert problem.place == str(file)
    assert "does not hold the bytes" in problem.text
    assert problem.advice.startswith("Restore this file")


def test_a_missing_component_is_found_with_who_needs_it(run: Path) -> None:
    file = component_file(run, "task1", "head")
    file.unlink()
    (problem,) = verify(str(run)).problems
    assert problem.place == str(file)
    model = view.open(str(run)).models["task1"].id
    assert problem.text == f"Component head is missing; needed by model {model} of task1."


def test_a_missing_root_component_is_found(run: Path) -> None:
    file = run / "components" / f"{view.open(str(run)).root.components['encoder_norm']}.safetensors"
    file.unlink()
    (problem,) = verify(str(run)).problems
    assert problem.place == str(file)
    assert "needed by model 0 (the root)" in problem.text


def test_a_record_that_is_not_the_journals_is_found(tmp_path: Path) -> None:
    write_run(tmp_path, until=Position(0, 0, 1))
    file = entry_file(tmp_path, 1)
    content = journal_files.read(file)
    identity, record = next(iter(content["entry"]["published"].items()))
    record["cycles"] = {"task0": 1000}
    journal_files.write(file, content)
    (problem,) = verify(str(tmp_path)).problems
    assert problem.place == str(tmp_path / "components" / f"{identity}.safetensors")
    assert "is not the one in the journal" in problem.text


def test_a_run_that_goes_on_meanwhile_is_no_problem(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    head = component_file(run, "task1", "head")
    hidden, last = head.read_bytes(), entry_file(run, 18).read_bytes()
    checks: list[int] = []

    def components(store: Store, report: VerifyReport) -> dict[ComponentId, ComponentRecord]:
        """While this looks for the first time, the run appends an entry after which all is well."""
        result = check_components(store, report)
        if not checks:
            entry_file(run, 18).write_bytes(last)
            head.write_bytes(hidden)
        checks.append(len(report.problems))
        return result

    check_components = verifying._check_components
    monkeypatch.setattr(verifying, "_check_components", components)
    entry_file(run, 18).unlink()
    edit(head, flip_last_byte)
    assert verify(str(run)).problems == []
    assert checks == [1, 0]


@pytest.mark.parametrize("index", [0, 1, 5, 17])
def test_an_altered_entry_is_found(run: Path, index: int) -> None:
    def alter(data: bytes) -> bytes:
        return data.replace(b'"seed":0', b'"seed":1').replace(b'"correct":', b'"correct":1', 1)

    edit(entry_file(run, index), alter)
    problems = verify(str(run)).problems
    assert any(problem.place in (str(entry_file(run, index)), str(entry_file(run, index + 1))) for problem in problems)


def test_an_altered_last_entry_is_found_by_its_snapshot(run: Path) -> None:
    file = entry_file(run, 18)  # a phase's end: no later entry vouches for it
    content = journal_files.read(file)
    content["entry"]["test_quality"]["correct"] += 1
    journal_files.write(file, content)
    (problem,) = verify(str(run)).problems
    assert problem.place == str(file)
    assert "when the snapshot" in problem.text


def test_a_decision_that_does_not_follow_is_found(tmp_path: Path) -> None:
    write_run(tmp_path, until=Position(0, 1, 1))
    file = entry_file(tmp_path, 4)  # the last generation: no later entry vouches for it
    content = journal_files.read(file)
    child = next(child for child in content["entry"]["children"] if child["verdict"]["is_kept"])
    for quality in child["training"]["qualities"]:
        quality["correct"] = 0
    journal_files.write(file, content)
    (problem,) = verify(str(tmp_path)).problems
    assert problem.place == str(file)
    assert f"verdict on child {child['plan']['id']}" in problem.text
    child["plan"]["hyperparameters"]["learning_rate"] = 0.5
    journal_files.write(file, content)
    (problem,) = verify(str(tmp_path)).problems
    assert "other children" in problem.text


def test_a_missing_entry_is_found_and_components_are_still_checked(run: Path) -> None:
    head = component_file(run, "task1", "head")
    edit(head, flip_last_byte)
    entry_file(run, 3).unlink()
    problems = verify(str(run)).problems
    assert [problem.place for problem in problems] == [str(run / "journal"), str(head)]
    assert "00000003.json is missing" in problems[0].text


def test_all_problems_are_in_one_report(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flipped = [component_file(run, task, "head") for task in ("task0", "task1")]
    missing = component_file(run, "task2", "head")
    altered = entry_file(run, 18)
    for file in flipped:
        edit(file, flip_last_byte)
    missing.unlink()
    edit(altered, lambda data: data.replace(b'"correct":', b'"correct":1', 1))
    assert verifying.run(str(run)) == 4
    text = capsys.readouterr().out
    assert all(str(file) in text for file in (*flipped, missing, altered))
    assert text.splitlines()[-1].startswith(f"4 problems in {run}")
    assert text.count("Restore") == 3, "what to do stands behind each problem, once behind several in a row"


def test_a_component_in_the_place_of_another_is_found(run: Path) -> None:
    first, second = component_file(run, "task0", "head"), component_file(run, "task1", "head")
    first.write_bytes(second.read_bytes())
    places = {problem.place for problem in verify(str(run)).problems}
    assert places == {str(first)}


def test_a_snapshot_of_another_state_is_found(run: Path) -> None:
    opened = view.open(str(run))
    file = max((run / "snapshots").iterdir())
    content = json.loads(file.read_bytes().split(b"\n", 1)[1])
    content["image_steps"] += 1
    opened.store.snapshots.save(opened.run_state.length, opened.store.journal.head_hash, content)
    (problem,) = verify(str(run)).problems
    assert problem.place == str(run / "snapshots")
    assert "Delete the folder" in problem.advice


def test_measured_tests_are_compared(run: Path) -> None:
    asked: list[TaskName] = []

    def measure(opened: RunView, task: TaskName) -> Quality:
        asked.append(task)
        if task == "task1":
            return Quality(0, 100)
        if task == "task2":
            raise DataError("no such data")
        quality = opened.models[task].test_quality
        assert quality is not None
        return quality

    report = verify(str(run), measure)
    assert asked == ["task0", "task1", "task2"]
    assert [problem.place for problem in report.problems] == ["task task1", "task task2"]
    assert "gets 0 of 100 test images right" in report.problems[0].text
    assert "no such data" in report.problems[1].text
    assert report.num_tested == 2


def test_a_damaged_model_is_not_measured(run: Path) -> None:
    edit(component_file(run, "task0", "head"), flip_last_byte)
    asked: list[TaskName] = []

    def measure(opened: RunView, task: TaskName) -> Quality:
        asked.append(task)
        return opened.models[task].test_quality or Quality(0, 1)

    verify(str(run), measure)
    assert asked == ["task1", "task2"]


def test_no_run_is_an_error_of_the_user(tmp_path: Path) -> None:
    with pytest.raises(WorkdirError, match="no run"):
        verify(str(tmp_path))


def test_verifying_changes_nothing(run: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in sorted(run.rglob("*"))}
    verify(str(run))
    assert {path: path.stat().st_mtime_ns for path in sorted(run.rglob("*"))} == before


def test_right_images_that_do_not_fit_the_counts_are_found(tmp_path: Path) -> None:
    write_run(tmp_path, until=Position(0, 1, 0))
    file = entry_file(tmp_path, 3)  # the end of the first phase
    content = journal_files.read(file)
    correct = content["entry"]["test_quality"]["correct"]
    labels = np.repeat([0, 1, 2], [50, 30, 20])
    is_right = np.arange(100) < correct
    content["entry"] |= {
        "test_counted_per_class": [50, 30, 20],
        "test_correct_per_class": np.bincount(labels[is_right], minlength=3).tolist(),
        "test_right": right_images.pack(is_right, labels),
    }

    def problems() -> list[str]:
        journal_files.write(file, content)
        return [problem.text for problem in verify(str(tmp_path)).problems if problem.place == str(file)]

    sound = problems()
    for text, words in ((right_images.pack(~is_right, labels), "not as many of each class"), ("AA", "is not written")):
        content["entry"]["test_right"] = text
        (found,) = set(problems()) - set(sound)
        assert words in found
