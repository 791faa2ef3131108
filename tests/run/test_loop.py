"""The run loop with real training: what it tells, what it leaves, and what stops it."""

from __future__ import annotations

import errno
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import munet
from munet.data.tasks import Task, load_tasks
from munet.errors import CorruptionError, DiskFullError, WorkdirError
from munet.progress import events
from munet.report.verify.verify import remeasure, verify
from munet.run import loop, runs
from munet.run.setup import RunSetup
from munet.training.measure import evaluation
from tests import tiny_run
from tests.interrupted import partial


def test_a_run_tells_its_story_in_order(finished: tuple[Path, list[events.Event]]) -> None:
    _, told = finished
    kinds = [type(event).__name__ for event in told if not isinstance(event, events.CycleEnded | events.Compiling)]
    phase = ["PhaseStarted", *["GenerationStarted", "GenerationEnded"] * 2, "PhaseEnded"]
    assert kinds == ["RunStarted", *phase * 4, "RunEnded"]
    start = told[0]
    assert isinstance(start, events.RunStarted)
    seen = sum(event.image_steps for event in told if isinstance(event, events.CycleEnded))
    assert seen == start.image_steps_total


def test_compilation_is_told_before_the_first_cycle(finished: tuple[Path, list[events.Event]]) -> None:
    _, told = finished
    first = next(index for index, event in enumerate(told) if isinstance(event, events.CycleEnded))
    found = [event for event in told[:first] if isinstance(event, events.Compiling)]
    assert [event.done for event in found] == list(range(found[0].total + 1))


def test_which_test_images_are_right_is_journalled(finished: tuple[Path, list[events.Event]]) -> None:
    workdir, _ = finished
    system = munet.open(str(workdir))
    for name in system.models:
        entry, right = system.last_phase(name), system.test_right(name)
        assert right is not None
        by_class = np.split(right, np.cumsum(entry.test_counted_per_class)[:-1])
        assert tuple(int(part.sum()) for part in by_class) == entry.test_correct_per_class


def test_test_images_are_looked_at_once_a_phase_and_only_at_its_end(data: Path, tmp_path: Path) -> None:
    setup = RunSetup.prepare(tiny_run.config(data))
    ended = 0

    def listen(event: events.Event) -> None:
        nonlocal ended
        ended += isinstance(event, events.PhaseEnded)
        assert sum(task.num_tested for task in setup.tasks) == ended, event

    runs.run(setup, str(tmp_path / "run"), listen)
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
    runs.evolve(tiny_run.config(data), str(workdir), told.append)
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
        patch.setattr(RunSetup, "prepare", lambda config: pytest.fail("data and root are loaded"))
        runs.evolve(settings, str(workdir), told.append)
    assert [type(event).__name__ for event in told] == ["RunStarted", "Note", "RunEnded"]
    start = told[0]
    assert isinstance(start, events.RunStarted)
    assert start.image_steps_done == start.image_steps_total > 0
    assert not leftover.exists()
    settings.experiment.seed = 7
    with pytest.raises(WorkdirError, match="seed: 0 -> 7"):
        runs.evolve(settings, str(workdir), told.append)


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
        patch.setattr(loop, "measure", flaky)
        with pytest.raises(CorruptionError, match=r"Model \d of task 'left' gets (\d+) of 9 .*, but (?!\1)\d+ of 9"):
            runs.evolve(settings, str(tmp_path / "run"), lambda _: None)
    runs.evolve(settings, str(tmp_path / "run"), lambda _: None)  # a passing fault: nothing was written
    assert munet.open(str(tmp_path / "run")).is_complete


def test_only_the_active_task_stays_in_memory(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Task] = []

    def remember(*arguments: Any, **options: Any) -> list[Task]:
        opened.extend(load_tasks(*arguments, **options))
        return opened

    monkeypatch.setattr("munet.run.setup.load_tasks", remember)
    in_memory: list[set[str]] = []

    def look(event: events.Event) -> None:
        if isinstance(event, events.PhaseEnded):
            in_memory.append({task.info.name for task in opened if "_splits" in vars(task)})

    runs.evolve(tiny_run.config(data), str(tmp_path / "run"), look)
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
        runs.evolve(tiny_run.config(data), str(tmp_path / "run"), lambda _: None)


def test_a_full_disk_loses_nothing(
    finished: tuple[Path, list[events.Event]], data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    partial(data, tmp_path / "run")
    fsync = os.fsync

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DiskFullError):
        runs.evolve(tiny_run.config(data, checkpoint_minutes=0), str(tmp_path / "run"), lambda _: None)
    monkeypatch.setattr(os, "fsync", fsync)
    runs.evolve(tiny_run.config(data), str(tmp_path / "run"), lambda _: None)
    assert tiny_run.results(tmp_path / "run") == tiny_run.results(finished[0])


def test_baselines_run_beside_it(data: Path, tmp_path: Path) -> None:
    settings = tiny_run.config(data)
    settings.experiment.tasks = settings.experiment.tasks[:1]
    settings.experiment.baseline.kind = "multi_head"
    told: list[events.Event] = []
    runs.evolve(settings, str(tmp_path / "run"), told.append)
    generations = [event.entry for event in told if isinstance(event, events.GenerationEnded)]
    assert len(generations) == 1
    children = generations[0].children
    assert [len(child.training.qualities) for child in children] == [8, 8]  # cycles x generations x iterations
    names = {plan.name for child in children for plan in child.plan.components if plan.trainable}
    assert names == {"encoder_norm", "head"}
