"""The loop, on a toy: killed and resumed, replicas, decisions, the best version, divergence, deadlines."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from munet.errors import DivergedError
from munet.joint.learner import Place
from munet.joint.length import Length
from munet.joint.loop import Training
from munet.joint.program import Programs, mesh_of
from munet.progress.events import Decided, Event, Measured, TrainingStarted
from munet.run.deadline import TimeIsUpError
from tests.joint import toy

LENGTH = Length(12, 4, final_rounds=2, decide_every=6, block=3)  # windows end at 3, 4, 6, 7 or 8, ...
VARIATIONS: dict[str, dict[str, Any]] = {
    "plain": {"length": Length(12, 4, block=3)},
    "best and final phase": {"length": LENGTH, "keeps_best": "loss"},
    "replicas": {"length": LENGTH, "keeps_best": "quality", "seeds": (0, 1, 2)},
    "streamed": {"length": Length(12, 4, block=3), "streamed": True},
}


def curve(workdir: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (workdir / "curve.jsonl").read_text().splitlines()]
    for line in lines:
        del line["seconds"]
    return lines


def decisions(workdir: Path) -> str:
    file = workdir / "decisions.jsonl"
    return file.read_text() if file.exists() else ""


@pytest.mark.parametrize("variation", VARIATIONS)
def test_what_was_killed_goes_on_bit_for_bit(variation: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = VARIATIONS[variation]
    whole = toy.train(toy.make(tmp_path / "data", **settings), tmp_path / "whole")
    checks = Training._check_losses

    def stopping_at(stop: int) -> Any:
        def check(self: Training, carried: Any, step: int) -> None:
            if step >= stop:
                raise KeyboardInterrupt
            checks(self, carried, step)

        return check

    for stop in (4, 7, 10):  # killed three times on its way
        monkeypatch.setattr(Training, "_check_losses", stopping_at(stop))
        with pytest.raises(KeyboardInterrupt):
            toy.train(toy.make(tmp_path / "data", **settings), tmp_path / "run")
        assert len(list((tmp_path / "run" / "in_training").iterdir())) == 1
    monkeypatch.undo()
    seen: list[Event] = []
    again = toy.train(toy.make(tmp_path / "data", **settings), tmp_path / "run", seen.append)
    assert next(event for event in seen if isinstance(event, TrainingStarted)).rounds_done >= 6
    assert toy.leaves(again) == toy.leaves(whole)
    assert curve(tmp_path / "run") == curve(tmp_path / "whole")
    assert decisions(tmp_path / "run") == decisions(tmp_path / "whole")


def test_killed_inside_of_a_decision(tmp_path: Path) -> None:
    class Killed(toy.Linear):
        def decide(self, state: Any, place: Place) -> Any:
            if place.seed == 1:
                raise KeyboardInterrupt
            return super().decide(state, place)

    names = ("first", "second")
    whole = toy.train(toy.make(tmp_path, length=LENGTH, seeds=(0, 1)), tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        toy.train(toy.make(tmp_path, length=LENGTH, seeds=(0, 1), learner=Killed(names)), tmp_path / "run")
    again = toy.train(toy.make(tmp_path, length=LENGTH, seeds=(0, 1)), tmp_path / "run")
    assert toy.leaves(again) == toy.leaves(whole)
    assert decisions(tmp_path / "run") == decisions(tmp_path / "whole")
    assert [json.loads(line)["round"] for line in decisions(tmp_path / "run").splitlines()] == [6, 6, 12, 12]


def test_a_decision_copies_what_it_reads_and_what_it_changed(tmp_path: Path) -> None:
    job = toy.make(tmp_path, seeds=(0, 1))
    programs = Programs(job.learner, 2, mesh_of(job.layout, 2))
    state = programs.initial(job.seeds, [stream.name for stream in job.streams]).state
    before, whole = programs.views(state), programs.taken(state)
    assert np.array_equal(before[1]["params"]["first"]["kernel"], whole[1]["params"]["first"]["kernel"])
    read = [view for view in jax.tree.leaves(before[1]) if "values" in vars(view._fetched)]
    assert read == [before[1]["params"]["first"]["kernel"]]
    bias = np.array([1, -1], np.float32)
    params = {**before[1]["params"], "second": {**before[1]["params"]["second"], "bias": bias}}
    new = programs.put_changed(state, before, [before[0], {**before[1], "params": params}])
    moved = [one is not other for one, other in zip(jax.tree.leaves(new), jax.tree.leaves(state), strict=True)]
    assert sum(moved) == 1
    np.testing.assert_array_equal(new["params"]["second"]["bias"], [[0, 0], bias])


def test_a_replica_is_a_run_of_its_seed(tmp_path: Path) -> None:
    length = Length(5, 5, block=5)
    together = toy.train(toy.make(tmp_path, seeds=(3, 4), length=length), tmp_path / "both")
    for replica, seed in enumerate((3, 4)):
        alone = toy.train(toy.make(tmp_path, seeds=(seed,), length=length), tmp_path / str(seed))
        own = together.programs.taken(together.state)[replica]
        jax.tree.map(lambda one, other: np.testing.assert_allclose(one, other, atol=1e-5, rtol=0), own, alone.state)
        points = [point for point in together.points if point.replica == replica]
        assert [point.validation for point in points] == [point.validation for point in alone.points]


@pytest.mark.parametrize("criterion", ["loss", "quality"])
def test_the_best_version_counts_with_its_optimiser(criterion: str, tmp_path: Path) -> None:
    rate = 3.0  # so large that later versions are worse
    names = ("first", "second")
    kept = toy.train(
        toy.make(tmp_path, keeps_best=criterion, length=Length(16, 2, block=3), learner=toy.Linear(names, rate)),
        tmp_path / "kept",
    )

    def worth(point: Any) -> float:
        values = (
            [-loss for loss in point.validation_losses.values()]
            if criterion == "loss"
            else [quality.value for quality in point.validation.values()]
        )
        return float(np.mean(values))

    scores = [worth(point) for point in kept.points]
    best = kept.points[int(np.argmax(scores))].step
    assert best < 16
    until = toy.train(
        toy.make(tmp_path, length=Length(best, 2, block=3), learner=toy.Linear(names, rate)), tmp_path / "until"
    )
    assert toy.leaves(kept) == toy.leaves(until)  # parameters, momentum and step


def test_the_final_phase_begins_with_the_best_version(tmp_path: Path) -> None:
    names = ("first", "second")
    learner = toy.Linear(names, 3.0)
    length = Length(16, 2, final_rounds=2, decide_every=16, block=3)
    ended = toy.train(toy.make(tmp_path, keeps_best="loss", length=length, learner=learner), tmp_path / "final")
    kept = toy.train(
        toy.make(tmp_path, keeps_best="loss", length=Length(16, 2, block=3), learner=toy.Linear(names, 3.0)),
        tmp_path / "kept",
    )
    ((state, place),) = learner.decided  # at the moment between the two
    assert place == Place(0, 16, 18)
    assert [np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(state)] == toy.leaves(kept)
    assert int(ended.state["step"]) == int(kept.state["step"]) + 2


def test_a_decision_follows_from_its_arguments(tmp_path: Path) -> None:
    learner = toy.Linear(("first", "second"))
    seen: list[Event] = []
    toy.train(toy.make(tmp_path, length=LENGTH, seeds=(0, 1), learner=learner), tmp_path / "run", seen.append)
    told = [event for event in seen if isinstance(event, Decided)]
    assert [(event.round, event.seed) for event in told] == [(6, 0), (6, 1), (12, 0), (12, 1)]
    for (state, place), event in zip(list(learner.decided), told, strict=True):
        assert learner.decide(state, place)[1] == event.record


def test_what_changes_nothing_is_kept_and_not_told(tmp_path: Path) -> None:
    class Looking(toy.Linear):
        def decide(self, state: Any, place: Place) -> Any:
            return state, {"seen": place.round}

    seen: list[Event] = []
    job = toy.make(tmp_path, length=LENGTH, seeds=(0, 1), learner=Looking(("first", "second")))
    toy.train(job, tmp_path / "run", seen.append)
    kept = [json.loads(line) for line in decisions(tmp_path / "run").splitlines()]
    assert [line["record"] for line in kept] == [{"seen": 6}, {"seen": 6}, {"seen": 12}, {"seen": 12}]
    assert not any(isinstance(event, Decided) for event in seen)


def test_a_loss_that_is_not_finite_names_task_round_and_seed(tmp_path: Path) -> None:
    job = toy.make(tmp_path, seeds=(5, 6), learner=toy.Linear(("first", "second"), bad=7))
    with pytest.raises(DivergedError, match=r"at round 8 of 12 the loss of first \(seed 5\) is nan\. Lower the rate"):
        toy.train(job, tmp_path / "run")


def test_a_deadline_saves_and_ends(tmp_path: Path) -> None:
    whole = toy.train(toy.make(tmp_path), tmp_path / "whole")
    with pytest.raises(TimeIsUpError) as raised:
        toy.train(toy.make(tmp_path), tmp_path / "run", hours=1e-9)
    assert (
        raised.value.words(0.5) == "runtime.max_hours = 0.5 have passed. Everything is saved; the same command goes on."
    )
    seen: list[Event] = []
    again = toy.train(toy.make(tmp_path), tmp_path / "run", seen.append)
    assert next(event for event in seen if isinstance(event, TrainingStarted)).rounds_done == 3
    assert toy.leaves(again) == toy.leaves(whole)
    assert [event.round for event in seen if isinstance(event, Measured)] == [4, 8, 12]


def test_a_deadline_does_not_say_saved_where_nothing_could_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError("the disk is full")

    told: list[str] = []
    monkeypatch.setattr(toy, "notify_of", told.append)
    monkeypatch.setattr("munet.training.saves.ocp.save_async", full)
    with pytest.raises(TimeIsUpError) as raised:
        toy.train(toy.make(tmp_path), tmp_path / "run", hours=1e-9)
    assert len(told) == 1
    assert "What could not be saved (above) is trained again; the same command goes on." in raised.value.words(0.5)
