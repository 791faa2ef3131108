"""Points of a journal against numbers worked out by hand; names of tasks in tags."""

from __future__ import annotations

from pathlib import Path

import pytest

from munet.evolution.controller import Controller
from munet.report.tensorboard.points import Fold, Picture, Points, Scalar, Trial, tags
from munet.system import view
from tests.compression.compressed_run import compressed, entry_of, write_smooth_run
from tests.report import fixed_journal
from tests.report.stored_run import write_run


def told() -> list[Points]:
    infos = fixed_journal.tasks()
    fold = Fold(Controller(fixed_journal.experiment(infos), infos))
    return [fold.tell(entry) for entry in fixed_journal.entries()]


def scalars(points: Points) -> dict[str, float]:
    return {item.tag: item.value for item in points.items if isinstance(item, Scalar)}


def test_points_are_at_image_steps() -> None:
    assert [(points.step, points.seconds) for points in told()] == [
        (0, 0.0), (600, 6.0), (1500, 15.0), (1500, 15.0), (2100, 21.0), (3600, 36.0), (3600, 36.0),
    ]  # fmt: skip


def test_generations() -> None:
    points = told()
    assert points[0].items == []
    first, second = scalars(points[1]), scalars(points[2])
    assert first["cost/images_per_second"] == 100
    assert first["children/kept_share"] == pytest.approx(2 / 3)
    assert (first["task/one/validation"], second["task/one/validation"]) == (0.7, 0.9)
    assert second["task/one/params"] == 240
    assert "task/one/test" not in second


def test_phases_say_what_changed_for_others() -> None:
    """When `two` comes, 134 parameters of `one` are shared by two tasks: of its 240 it accounts for 67 fewer."""
    points = told()
    one, two = scalars(points[3]), scalars(points[6])
    assert (one["task/one/test"], one["system/mean_test"], one["system/params_per_task"]) == (0.8, 0.8, 240)
    assert scalars(points[2])["task/one/accounted_params"] == 240
    assert two["task/one/accounted_params"] == 173
    assert two["system/mean_test"] == pytest.approx(0.7)
    assert two["system/params_per_task"] == 173
    assert "task/one/test" not in two
    pictures = [item for item in points[6].items if isinstance(item, Picture)]
    assert [picture.tag for picture in pictures] == ["system/graph"]


def test_children_are_trials() -> None:
    trials = {item.name: item for points in told() for item in points.items if isinstance(item, Trial)}
    assert set(trials) == {"1", "2", "4", "5", "6", "7", "8"}  # 3 has no finite result
    assert trials["4"].hyperparameters["learning_rate"] == 0.05
    assert trials["4"].metrics == {"hparam/validation": 0.9, "hparam/kept": 1.0}


def test_tags_of_hostile_names_stay_apart() -> None:
    found = tags(["a b", "a_b", "a_b_2", "/", "..", "\u05d0", "\udcff", "a/b"])
    assert list(found.values()) == ["a_b", "a_b_2", "a_b_2_2", "_", "..", "\u05d0", "__2", "a/b"]


def test_simulated_runs_and_compressed_ones(tmp_path: Path) -> None:
    write_run(tmp_path / "run", num_classes=(3, 5, 7), mutation_probability=0.6)
    for run, more in ((view.open(str(tmp_path / "run")), False), (write_smooth_run(tmp_path / "smooth"), True)):
        fold = Fold(run.controller)
        last: dict[str, float] = {}
        for entry in run.store.journal.entries():
            last |= scalars(fold.tell(entry))
        if more:
            last |= scalars(fold.tell(entry_of(run, compressed(run))))
        state = fold.state
        for task in run.models:
            model = state.models[state.retained[task]]
            assert last[f"task/{task}/score"] == run.controller.score(state, model)
