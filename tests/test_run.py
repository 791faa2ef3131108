"""The run loop with real training: what it leaves, how it resumes, and what it refuses with nothing lost."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import munet
from munet import preparation, run
from munet.codec import dumps
from munet.config import Config
from munet.data.splits import Splits
from munet.data.tasks import Task, load_tasks
from munet.deadline import Deadline
from munet.errors import CorruptionError, DataError, DiskFullError, UserError, WorkdirError
from munet.progress import events
from munet.report.verify import remeasure, verify
from munet.store import Store
from munet.training import evaluation, fit
from munet.types import GenerationEntry, SeedsEntry
from tests import tiny_run


class _Stop(Exception):
    """Ends a run from its listener, as a signal would."""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    tiny_run.write_data(folder)
    return folder


@pytest.fixture(scope="module")
def finished(data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[events.Event]]:
    """A complete run and what it told."""
    workdir = tmp_path_factory.mktemp("finished") / "run"
    told: list[events.Event] = []
    run.evolve(tiny_run.config(data), str(workdir), told.append)
    return workdir, told


def until(kind: type, count: int = 1) -> Callable[[events.Event], None]:
    """A listener that ends the run at the `count`-th event of a kind."""
    seen = 0

    def listen(event: events.Event) -> None:
        nonlocal seen
        seen += isinstance(event, kind)
        if seen == count:
            raise _Stop

    return listen


def partial(data: Path, workdir: Path, **changes: Any) -> None:
    settings = tiny_run.config(data)
    for name, value in changes.items():
        setattr(settings.runtime, name, value)
    with pytest.raises(_Stop):
        run.evolve(settings, str(workdir), until(events.GenerationEnded))


def test_a_run_tells_its_story_in_order(finished: tuple[Path, list[events.Event]]) -> None:
    _, told = finished
    kinds = [type(event).__name__ for event in told if not isinstance(event, events.CycleEnded)]
    phase = ["PhaseStarted", *["GenerationStarted", "GenerationEnded"] * 2, "PhaseEnded"]
    assert kinds == ["RunStarted", *phase * 4, "RunEnded"]
    start = told[0]
    assert isinstance(start, events.RunStarted)
    seen = sum(event.image_steps for event in told if isinstance(event, events.CycleEnded))
    assert seen == start.image_steps_total


def test_test_images_are_looked_at_once_a_phase_and_only_at_its_end(data: Path, tmp_path: Path) -> None:
    setup = preparation.Setup.prepare(tiny_run.config(data))
    ended = 0

    def listen(event: events.Event) -> None:
        nonlocal ended
        ended += isinstance(event, events.PhaseEnded)
        assert sum(task.num_tested for task in setup.tasks) == ended, event

    run.run(setup, str(tmp_path / "run"), listen)
    assert [task.num_tested for task in setup.tasks] == [2, 2]


def test_every_task_has_a_model_and_only_used_components_stay(finished: tuple[Path, list[events.Event]]) -> None:
    workdir, _ = finished
    system = munet.open(str(workdir))
    assert system.is_complete
    assert set(system.models) == {"left", "right"}
    used = {identity for model in system.models.values() for identity in model.components.values()}
    root = set(system.root.components.values())
    assert {path.stem for path in (workdir / "components").iterdir()} == used | root


def test_a_finished_run_verifies_and_measures_the_same_again(
    finished: tuple[Path, list[events.Event]], data: Path
) -> None:
    workdir, _ = finished
    assert not verify(str(workdir), remeasure(cache_dir=str(data / "cache"))).problems


def test_a_complete_run_only_says_so(finished: tuple[Path, list[events.Event]], data: Path) -> None:
    workdir, _ = finished
    before = tiny_run.results(workdir)
    told: list[events.Event] = []
    run.evolve(tiny_run.config(data), str(workdir), told.append)
    assert [type(event).__name__ for event in told] == ["RunStarted", "Note", "RunEnded"]
    assert tiny_run.results(workdir) == before


def test_a_complete_run_says_so_without_data_and_root(
    finished: tuple[Path, list[events.Event]], data: Path, tmp_path: Path
) -> None:
    settings = tiny_run.config(data)
    workdir = tmp_path / "run"
    shutil.copytree(finished[0], workdir)
    leftover = workdir / "components" / f"{'0' * 64}.safetensors"
    leftover.write_bytes(b"not collected: the run was killed at its very end")
    told: list[events.Event] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(preparation.Setup, "prepare", lambda config: pytest.fail("data and root are loaded"))
        run.evolve(settings, str(workdir), told.append)
    assert [type(event).__name__ for event in told] == ["RunStarted", "Note", "RunEnded"]
    start = told[0]
    assert isinstance(start, events.RunStarted)
    assert start.image_steps_done == start.image_steps_total > 0
    assert not leftover.exists()
    settings.experiment.seed = 7
    with pytest.raises(WorkdirError, match="seed: 0 -> 7"):
        run.evolve(settings, str(workdir), told.append)


def test_an_interrupted_run_ends_as_an_undisturbed_one(
    finished: tuple[Path, list[events.Event]], data: Path, tmp_path: Path
) -> None:
    for kind in (events.CycleEnded, events.GenerationEnded, events.PhaseEnded, events.PhaseStarted):
        with pytest.raises(_Stop):
            run.evolve(tiny_run.config(data), str(tmp_path / "run"), until(kind))
    run.evolve(tiny_run.config(data), str(tmp_path / "run"), lambda _: None)
    assert tiny_run.results(tmp_path / "run") == tiny_run.results(finished[0])


def test_seed_parents_chosen_by_fit_are_measured_once_and_journalled(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = tiny_run.config(data)
    settings.experiment.seed_choice = "fit"
    measured: list[dict[int, float]] = []
    whole = fit.measure

    def remember(*arguments: Any) -> dict[int, float]:
        measured.append(whole(*arguments))
        return measured[-1]

    monkeypatch.setattr(fit, "measure", remember)
    told: list[events.Event] = []
    run.evolve(settings, str(tmp_path / "whole"), told.append)
    fits = [entry.fits for entry in Store.open(tmp_path / "whole").journal.entries() if isinstance(entry, SeedsEntry)]
    # Of the first task's first phase the root alone is a candidate; of every other the root and one model.
    assert fits == measured
    assert [len(each) for each in fits] == [2, 2, 2]
    notes = [event.text for event in told if isinstance(event, events.Note) and "seed parents by fit" in event.text]
    assert len(notes) == 3
    assert all("of 2 models" in note for note in notes)
    assert not verify(str(tmp_path / "whole"), remeasure(cache_dir=str(data / "cache"))).problems
    taken = [
        [child.plan.parent for child in entry.children if child.plan.is_seed]
        for entry in Store.open(tmp_path / "whole").journal.entries()
        if isinstance(entry, GenerationEntry) and entry.position.generation == 0
    ]
    assert taken == [[0], *([max(each, key=lambda model: (each[model], model))] for each in fits)]

    measured.clear()

    def stop(event: events.Event) -> None:
        is_due = isinstance(event, events.GenerationStarted | events.GenerationEnded) or (
            isinstance(event, events.Note) and "seed parents by fit" in event.text
        )
        if is_due and len(measured) == 1:
            raise _Stop

    for _ in range(3):  # right after the choice, then in the first generation that it decides, every time again
        with pytest.raises(_Stop):
            run.evolve(settings, str(tmp_path / "stopped"), stop)
    run.evolve(settings, str(tmp_path / "stopped"), lambda _: None)
    assert measured == fits
    assert tiny_run.results(tmp_path / "stopped") == tiny_run.results(tmp_path / "whole")


def test_a_run_from_before_the_choice_goes_on_as_it_was(
    finished: tuple[Path, list[events.Event]], data: Path, tmp_path: Path
) -> None:
    partial(data, tmp_path / "run")
    first = tmp_path / "run" / "journal" / "00000000.json"
    content = json.loads(first.read_bytes())
    for name in ("seed_choice", "compute_dtype"):
        del content["entry"]["experiment"][name]
    first.write_bytes(dumps(content) + b"\n")
    second = tmp_path / "run" / "journal" / "00000001.json"
    changed = json.loads(second.read_bytes()) | {"previous": hashlib.sha256(first.read_bytes()).hexdigest()}
    second.write_bytes(dumps(changed) + b"\n")
    settings = tiny_run.config(data)
    settings.experiment.seed_choice = "fit"  # as `base` has it by now
    told: list[events.Event] = []
    run.evolve(settings, str(tmp_path / "run"), told.append)
    assert tiny_run.results(tmp_path / "run")["models"] == tiny_run.results(finished[0])["models"]
    notes = [event.text for event in told if isinstance(event, events.Note)]
    for changed in ("compute_dtype: 'auto' -> 'float32'", "seed_choice: 'fit' -> 'newest'"):
        assert any(changed in note for note in notes)
    run.evolve(settings, str(tmp_path / "run"), lambda _: None)  # complete: only says so
    partial(data, tmp_path / "newer")
    with pytest.raises(WorkdirError, match="seed_choice: 'newest' -> 'fit'"):
        run.evolve(settings, str(tmp_path / "newer"), lambda _: None)


def test_a_run_that_stops_at_its_time_ends_as_an_undisturbed_one(
    finished: tuple[Path, list[events.Event]], data: Path, tmp_path: Path
) -> None:
    """Every start does one cycle, which it saves although no save is due, and says that it is not complete."""
    settings = tiny_run.config(data)
    settings.runtime.max_hours = 1e-9
    settings.runtime.checkpoint_minutes = 60
    settings.runtime.compare = ("multi_head",)
    starts, cycles = 0, 0
    while True:
        told: list[events.Event] = []
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Deadline, "check", lambda self: None)  # which would stop before the first cycle
            is_complete = run.evolve(settings, str(tmp_path / "run"), told.append)
        starts += 1
        assert isinstance(told[-1], events.RunEnded)
        assert told[-1].is_complete == is_complete
        cycles += sum(isinstance(event, events.CycleEnded) for event in told)
        if is_complete or (tmp_path / "run" / "baselines").exists():
            break
        assert any("max_hours = 1e-09 have passed" in event.text for event in told if isinstance(event, events.Note))
        assert not munet.open(str(tmp_path / "run")).is_complete
    whole = [event for event in finished[1] if isinstance(event, events.CycleEnded)]
    assert starts >= len(whole) / 2
    assert cycles <= len(whole) + 2  # hardly any cycle was trained twice
    assert tiny_run.results(tmp_path / "run") == tiny_run.results(finished[0])


def test_a_run_that_does_not_save_generations_stops_between_them(data: Path, tmp_path: Path) -> None:
    settings = tiny_run.config(data)
    settings.runtime.checkpoint_minutes = -1
    now = 0.0

    def listen(event: events.Event) -> None:
        nonlocal now
        told.append(event)
        now += 3600 * isinstance(event, events.CycleEnded)

    told: list[events.Event] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("munet.run.Deadline", lambda hours: Deadline(hours, lambda: now))
        settings.runtime.max_hours = 1
        assert run.evolve(settings, str(tmp_path / "run"), listen) is False
    kinds = [type(event).__name__ for event in told]
    assert kinds.count("GenerationEnded") == 1
    assert kinds.count("CycleEnded") >= settings.experiment.cycles_per_child
    assert run.evolve(settings, str(tmp_path / "run"), lambda _: None)


def test_another_experiment_is_refused_and_every_field_named(data: Path, tmp_path: Path) -> None:
    partial(data, tmp_path / "run")
    before = sorted(path.read_bytes() for path in (tmp_path / "run" / "journal").iterdir())
    settings = tiny_run.config(data)
    settings.experiment.seed = 7
    settings.experiment.defaults.learning_rate = 0.1
    with pytest.raises(WorkdirError) as error:
        run.evolve(settings, str(tmp_path / "run"), lambda _: None)
    assert "seed: 0 -> 7" in str(error.value)
    assert "defaults.learning_rate: 0.01 -> 0.1" in str(error.value)
    assert sorted(path.read_bytes() for path in (tmp_path / "run" / "journal").iterdir()) == before


def test_other_data_is_refused(data: Path, tmp_path: Path) -> None:
    other = tmp_path / "data"
    tiny_run.write_data(other)
    partial(other, tmp_path / "run")
    (other / "left.npz").write_bytes((other / "right.npz").read_bytes())
    with pytest.raises(WorkdirError, match="the data of 'left': as many images, but others"):
        run.evolve(tiny_run.config(other), str(tmp_path / "run"), lambda _: None)
    with np.load(other / "right.npz") as arrays:
        np.savez(other / "left.npz", images=arrays["images"][:60], labels=arrays["labels"][:60])
    with pytest.raises(WorkdirError, match="the data of 'left': 72 / 9 / 9 -> 48 / 6 / 6 train / validation / test"):
        run.evolve(tiny_run.config(other), str(tmp_path / "run"), lambda _: None)


def test_another_root_or_order_of_tasks_is_refused(data: Path, tmp_path: Path) -> None:
    other = tmp_path / "data"
    shutil.copytree(data, other)
    partial(other, tmp_path / "run")
    tiny_run.write_root(other / "root.npz", seed=1)
    settings = tiny_run.config(other)
    settings.experiment.tasks = settings.experiment.tasks[::-1]
    with pytest.raises(WorkdirError, match=r"root\.npz holds other bytes than the one the run began with") as error:
        run.evolve(settings, str(tmp_path / "run"), lambda _: None)
    assert "tasks: left, right -> right, left" in str(error.value)


def test_moved_data_and_root_are_the_same(data: Path, tmp_path: Path) -> None:
    partial(data, tmp_path / "run")
    shutil.copytree(data, tmp_path / "moved")
    partial(tmp_path / "moved", tmp_path / "run")


def test_a_retained_model_that_no_longer_measures_the_same_stops_the_run(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = tiny_run.config(data)
    settings.experiment.tasks = settings.experiment.tasks[:1]
    settings.experiment.defaults.learning_rate = 1e-4  # too low for a child to beat the first phase's best
    calls = 0

    def flaky(*arguments: Any, **options: Any) -> evaluation.Measurement:
        nonlocal calls
        calls += 1
        result = evaluation.measure(*arguments, **options)
        first, *others = result.correct_per_class
        return result if calls == 1 else replace(result, correct_per_class=(first ^ 1, *others))

    with monkeypatch.context() as patch:
        patch.setattr(run, "measure", flaky)
        with pytest.raises(CorruptionError, match=r"Model \d of task 'left' gets (\d+) of 9 .*, but (?!\1)\d+ of 9"):
            run.evolve(settings, str(tmp_path / "run"), lambda _: None)
    run.evolve(settings, str(tmp_path / "run"), lambda _: None)  # a passing fault: nothing was written
    assert munet.open(str(tmp_path / "run")).is_complete


def test_images_that_cannot_be_decoded_show_before_anything_is_written(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def damaged(*arguments: Any, **options: Any) -> list[Task]:
        def load() -> Splits:
            raise DataError("tfds:damaged: labels out of range")

        return [Task(task.info, replace(task.source, load=load)) for task in load_tasks(*arguments, **options)]

    monkeypatch.setattr(preparation, "load_tasks", damaged)
    with pytest.raises(DataError, match="2 of 2 tasks cannot be used:\n  - tfds:damaged"):
        run.evolve(tiny_run.config(data), str(tmp_path / "run"), lambda _: None)
    assert not (tmp_path / "run").exists()


def test_only_the_active_task_stays_in_memory(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Task] = []

    def remember(*arguments: Any, **options: Any) -> list[Task]:
        opened.extend(load_tasks(*arguments, **options))
        return opened

    monkeypatch.setattr(preparation, "load_tasks", remember)
    in_memory: list[set[str]] = []

    def look(event: events.Event) -> None:
        if isinstance(event, events.PhaseEnded):
            in_memory.append({task.info.name for task in opened if "_splits" in vars(task)})

    run.evolve(tiny_run.config(data), str(tmp_path / "run"), look)
    assert in_memory == [{"left"}, {"right"}] * 2


def test_other_runtime_settings_are_free(data: Path, tmp_path: Path) -> None:
    partial(data, tmp_path / "run")
    partial(data, tmp_path / "run", block_megabytes=2, checkpoint_minutes=-1)


def test_a_damaged_component_stops_the_run_and_is_named(data: Path, tmp_path: Path) -> None:
    partial(data, tmp_path / "run")
    system = munet.open(str(tmp_path / "run"))
    victim = tmp_path / "run" / "components" / f"{system.root.components['cls']}.safetensors"
    content = bytearray(victim.read_bytes())
    content[-1] ^= 1
    victim.write_bytes(content)
    with pytest.raises(CorruptionError, match=victim.stem[:12]):
        run.evolve(tiny_run.config(data), str(tmp_path / "run"), lambda _: None)


def test_a_full_disk_loses_nothing(
    finished: tuple[Path, list[events.Event]], data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    partial(data, tmp_path / "run")
    fsync = os.fsync

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DiskFullError):
        run.evolve(tiny_run.config(data), str(tmp_path / "run"), lambda _: None)
    monkeypatch.setattr(os, "fsync", fsync)
    run.evolve(tiny_run.config(data), str(tmp_path / "run"), lambda _: None)
    assert tiny_run.results(tmp_path / "run") == tiny_run.results(finished[0])


def bad_data(settings: Config) -> None:
    settings.experiment.tasks = ("npz:/no/such/file.npz",)


def test_bad_input_leaves_nothing_behind(data: Path, tmp_path: Path) -> None:
    settings = tiny_run.config(data)
    bad_data(settings)
    with pytest.raises(DataError):
        run.evolve(settings, str(tmp_path / "run"), lambda _: None)
    assert not (tmp_path / "run").exists()


def test_missing_data_and_a_missing_root_are_one_message(data: Path, tmp_path: Path) -> None:
    settings = tiny_run.config(data)
    settings.experiment.tasks = ("tfds:mnist", "tfds:omniglot", settings.experiment.tasks[0])
    settings.experiment.root = str(tmp_path / "B_16.npz")
    settings.runtime.data_dir = str(tmp_path)
    with pytest.raises(UserError) as caught:
        run.evolve(settings, str(tmp_path / "run"), lambda _: None)
    message = str(caught.value)
    assert "2 of 3 tasks cannot be used:\n  - tfds:mnist is not prepared" in message
    assert f"tfds build mnist omniglot --file_format=array_record --data_dir={tmp_path}" in message
    assert str(tmp_path / "B_16.npz") in message
    assert not (tmp_path / "run").exists()


def test_a_dry_run_writes_nothing(data: Path, tmp_path: Path) -> None:
    told: list[events.Event] = []
    settings = tiny_run.config(data)
    settings.runtime.compare = ("multi_head", "full")
    run.evolve(settings, str(tmp_path / "run"), told.append, dry_run=True)
    assert not (tmp_path / "run").exists()
    text = "\n".join(event.text for event in told if isinstance(event, events.Note))
    assert "4 phases (2 tasks x 2 iterations) of 2 generations of 2 children of 2 cycles" in text
    assert "ms a step of 16" in text
    evolved = 4 * 2 * 2 * 2 * 2 * 16  # phases, generations, children, cycles, steps, images
    assert f"{evolved:,} training images in all" in text
    assert f"{2 * evolved:,} more for the baselines to compare with: multi_head, full" in text
    assert "baselines included" in text
    for part in ("on disk", "host memory", "resident", "Memory of a device", "1 x 1 x 1", "2 / 1", "every layer"):
        assert part in text
    assert "fits" in text
    assert "likely" in text


def test_a_dry_run_without_data_and_root_says_what_it_can(data: Path, tmp_path: Path) -> None:
    told: list[events.Event] = []
    settings = tiny_run.config(data)
    settings.experiment.tasks = (settings.experiment.tasks[0], "tfds:mnist?train=train[:50%]")
    settings.experiment.root = str(tmp_path / "B_16.npz")
    settings.runtime.data_dir = str(tmp_path)
    with pytest.raises(UserError) as caught:
        run.evolve(settings, str(tmp_path / "run"), told.append, dry_run=True)
    assert "tfds build mnist --file_format=array_record" in str(caught.value)
    assert "B_16.npz" in str(caught.value)
    assert not (tmp_path / "run").exists()
    text = "\n".join(event.text for event in told if isinstance(event, events.Note))
    assert "4 phases (2 tasks x 2 iterations)" in text
    assert re.search(r"\n +~ tfds:mnist +\? +\? +\? +\? +2 x 16 +16 ", text)
    assert "likely" in text


def test_baselines_run_beside_it(data: Path, tmp_path: Path) -> None:
    settings = tiny_run.config(data)
    settings.experiment.tasks = settings.experiment.tasks[:1]
    settings.experiment.baseline.kind = "multi_head"
    told: list[events.Event] = []
    run.evolve(settings, str(tmp_path / "run"), told.append)
    generations = [event.entry for event in told if isinstance(event, events.GenerationEnded)]
    assert len(generations) == 1
    children = generations[0].children
    assert [len(child.training.qualities) for child in children] == [8, 8]  # cycles x generations x iterations
    names = {plan.name for child in children for plan in child.plan.components if plan.trainable}
    assert names == {"encoder_norm", "head"}
