"""Runs whose phases have stages: within their budget, the same however often interrupted, and sound afterwards."""

from __future__ import annotations

from pathlib import Path
from unittest import mock

import pytest

import munet
from munet.config import Config, Experiment
from munet.config.checks import validate
from munet.config.stages import Stage
from munet.errors import UserError
from munet.progress import events
from munet.report.verify.verify import verify
from munet.run import runs
from munet.run.loop import Loop
from munet.store import Store
from munet.training.work import TaskWork
from munet.types import GenerationEntry, SeedsEntry, TaskInfo
from tests import tiny_run
from tests.interrupted import Stop, until

BUDGET = 700


def race(data: Path, checkpoint_minutes: float = 60) -> Config:
    """The tiny run as a race: two tasks, cycles of 32 images."""
    config = tiny_run.config(data, checkpoint_minutes)
    experiment = config.experiment
    experiment.num_task_iterations, experiment.stages, experiment.images_per_task = 1, ("race",), BUDGET
    experiment.new_heads, experiment.seed_choice = "class_means", "fit"
    experiment.version_choice = "latest_within_error"
    return validate(config)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("race") / "data"
    tiny_run.write_data(folder)
    return folder


@pytest.fixture(scope="module")
def finished(data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[events.Event]]:
    told: list[events.Event] = []
    workdir = tmp_path_factory.mktemp("finished") / "run"
    runs.evolve(race(data), str(workdir), told.append)
    return workdir, told


def test_a_race_keeps_its_budget_with_all_that_it_looked_at(finished: tuple[Path, list[events.Event]]) -> None:
    entries = list(Store.open(finished[0]).journal.entries())
    for task in ("left", "right"):
        own = [entry for entry in entries if isinstance(entry, GenerationEntry | SeedsEntry) and entry.task == task]
        spent = sum(entry.image_steps for entry in own if isinstance(entry, SeedsEntry))
        spent += sum(
            child.cost.image_steps for entry in own if isinstance(entry, GenerationEntry) for child in entry.children
        )
        assert BUDGET - 32 < spent <= BUDGET
        races = [entry for entry in own if isinstance(entry, GenerationEntry)]
        assert [len(entry.children) for entry in races] == [8, 4, 1]
        heads = [child.cost.image_steps - 32 * len(child.training.qualities) for child in races[0].children]
        assert heads[0] == 24  # 72 training images passed through the first child's trunk
        assert sum(heads) == 24 * sum(image_steps > 0 for image_steps in heads)
    assert any(isinstance(entry, SeedsEntry) and entry.image_steps for entry in entries)
    system = munet.open(str(finished[0]))
    assert system.run_state.image_steps <= 2 * BUDGET


def test_each_generation_is_the_work_of_its_own_stage() -> None:
    """Not of the phase's first one: only some tell children apart that are equal in all."""
    task = TaskInfo("a", "fake:a", "", ("x", "y"), 64, 8, 8)
    first = TaskWork.of(Experiment(tasks=("fake:a",), stages=("evolve:1x1", "train:2x3")), task)
    loop = mock.Mock()
    loop._controller.stage.return_value, loop._controller.cycles.return_value = Stage("train", 2, 3), 3
    loop._trainer.plan.side_effect = Stop  # nothing is trained
    with pytest.raises(Stop):
        Loop._generation(loop, mock.Mock(), first)
    _, work, _ = loop._trainer.plan.call_args.args
    assert (first.tells_copies_apart, first.num_cycles) == (False, 1)
    assert (work.tells_copies_apart, work.num_cycles) == (True, 3)


def test_an_interrupted_race_ends_as_an_undisturbed_one(
    finished: tuple[Path, list[events.Event]], data: Path, tmp_path: Path
) -> None:
    for kind in (events.CycleEnded, events.GenerationEnded, events.CycleEnded, events.PhaseEnded, events.CycleEnded):
        with pytest.raises(Stop):
            runs.evolve(race(data, checkpoint_minutes=0), str(tmp_path / "run"), until(kind))
    runs.evolve(race(data), str(tmp_path / "run"), lambda _: None)
    assert tiny_run.results(tmp_path / "run") == tiny_run.results(finished[0])


def test_a_race_is_sound(finished: tuple[Path, list[events.Event]]) -> None:
    """Every child, its settings and every verdict follow from the seed and the entries before it."""
    report = verify(str(finished[0]))
    assert report.is_sound, report


def test_what_a_dry_run_says_of_stages(data: Path, tmp_path: Path) -> None:
    told: list[events.Event] = []
    settings = race(data)
    settings.runtime.compare = ("tuned",)
    settings.experiment.num_generations = 3
    runs.evolve(settings, str(tmp_path / "run"), told.append, dry_run=True)
    text = "\n".join(event.text for event in told if isinstance(event, events.Note))
    assert "2 phases (2 tasks x 1 iteration) of 3 stages: explore:8, narrow:4, train:1" in text
    assert "left, right: explore:8x1, narrow:4x1, train:1x9 (children x cycles; a cycle is 32 images)" in text
    assert "experiment.num_generations = 3" in text.splitlines()[0]
    assert "have no effect here: experiment.stages say what a phase is" in text.splitlines()[0]
    assert "1,280 more for the baselines to compare with: tuned" in text


def test_a_budget_that_is_too_small_is_refused_before_anything_is_written(data: Path, tmp_path: Path) -> None:
    settings = race(data)
    settings.experiment.images_per_task = 100
    told: list[events.Event] = []
    for dry_run in (False, True):
        with pytest.raises(UserError, match=r"images_per_task = 100 does not pay for the stages of 'left'"):
            runs.evolve(settings, str(tmp_path / "run"), told.append, dry_run=dry_run)
    said = [event.text for event in told if isinstance(event, events.Note)]
    assert not [text for text in said if "training images in all" in text]  # no plan of a budget that was not given
    assert not (tmp_path / "run").exists()


def test_a_tuned_baseline_of_a_race_runs(data: Path, tmp_path: Path) -> None:
    settings = race(data)
    settings.experiment.baseline.kind = "tuned"
    runs.evolve(settings, str(tmp_path / "run"), lambda _: None)
    system = munet.open(str(tmp_path / "run"))
    assert system.run_state.image_steps <= 2 * BUDGET
    assert all(float(model.hyperparameters["learning_rate"]) in (0.05, 0.1) for model in system.models.values())
