"""Qualities while children train: counted on the images that count, and the best cycle is the controller's."""

from __future__ import annotations

import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from munet.evolution.judging import best_cycle
from munet.quality import quality_of
from munet.training.batches import stream
from munet.training.in_flight import InFlight
from munet.training.measure.evaluation import count
from munet.training.measure.validation import CycleScores, Validation
from tests.training.children import FakeTask, config, random_child, work_of
from tests.training.test_population import train

SIZE = 16


@pytest.mark.parametrize("metric", ["accuracy", "balanced_accuracy"])
def test_only_the_images_under_the_cap_count(metric: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "_PIECE_BATCHES", 1)  # 256 images a piece
    task = FakeTask(num_other=700, size=SIZE)
    settings = config(quality_metric=metric, batch_size=100, max_validation_batches=6)
    validation = Validation(task.split("validation"), work_of(settings, task), SIZE)
    assert [piece.counted for piece in validation.pieces] == [256, 256, 88]
    random = np.random.default_rng(0)
    predicted = [random.integers(-1, 5, (2, 1, 256)).astype(np.int32) for _ in validation.pieces]
    labels = task.split("validation").labels[:600]
    for child, quality in enumerate(validation.qualities(predicted)):
        said = np.concatenate([piece[child].ravel() for piece in predicted])[:600]
        assert quality.correct == (said == labels).sum()
        assert quality.counted == 600
        shares = [float((said[labels == label] == label).mean()) for label in range(5)]
        expected = np.mean(shares) if metric == "balanced_accuracy" else (said == labels).mean()
        assert quality.value == pytest.approx(expected, abs=1e-12)
        assert len(quality.strata) == validation.num_strata


def test_the_metric_decides_which_cycle_is_best() -> None:
    common, fair = [90, 1], [60, 9]  # of 95 and 10 images
    for metric, is_fair_better in (("accuracy", False), ("balanced_accuracy", True)):
        scores = CycleScores.before([7, 8])
        qualities = [quality_of(metric, correct, [95, 10]) for correct in (common, fair)]
        for cycle, quality in enumerate(qualities):
            scores = scores.after(cycle, {7: (quality, True)})
        assert scores.is_best(7) == is_fair_better
    assert scores.of(8).qualities == ()
    assert not scores.after(2, {7: (qualities[1], True)}).is_best(7)  # not the second of equals
    diverged = CycleScores.before([7]).after(0, {7: (qualities[0], True)}).after(1, {7: (qualities[1], False)})
    assert not diverged.is_best(7)
    assert diverged.after(2, {7: (qualities[1], True)}).of(7).diverged_at == 1  # once is for good


def test_one_set_is_on_the_device_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """What placement counts with: also where a generation trains in several waves."""
    alive: list[int] = []
    made: list[weakref.ref[Validation]] = []
    begin = Validation.__init__

    def watched(self: Validation, *arguments: Any) -> None:
        alive.append(sum(one() is not None for one in made))
        made.append(weakref.ref(self))
        begin(self, *arguments)

    monkeypatch.setattr(Validation, "__init__", watched)
    settings = config()
    settings.experiment.baseline.kind = "full"  # replicas see batches of their own
    settings.runtime.resident_share = 0.0  # streams of a set that is decoded as it trains follow each other
    train([random_child(1, id=id, max_blocks=1, image_size=SIZE) for id in (1, 2, 3)], settings)
    assert alive == [0, 0, 0]


def test_confusions_are_sorted_and_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    labels, predicted = np.array([0, 0, 0, 1, 1, 2, 2, 2]), np.array([0, 2, 2, 0, 0, 1, -1, 2])
    measured = count(predicted, labels, num_classes=4, metric="balanced_accuracy")
    assert (measured.correct_per_class, measured.counted_per_class) == ((1, 0, 1, 0), (3, 2, 3, 0))
    assert measured.confusions == ((0, 2, 2), (1, 0, 2), (2, 1, 1))
    assert measured.quality == quality_of("balanced_accuracy", [1, 0, 1], [3, 2, 3])
    monkeypatch.setattr("munet.training.measure.evaluation.MAX_CONFUSIONS", 2)
    assert count(predicted, labels, num_classes=4, metric="accuracy").confusions == ((0, 2, 2), (1, 0, 2))


def test_the_engine_keeps_the_cycle_that_the_controller_chooses(tmp_path: Path) -> None:
    """With balanced accuracy; and a generation that was saved goes on with the qualities by size of class."""
    child = random_child(6, id=1, max_blocks=1, learning_rate=0.1, schedule="constant", image_size=SIZE)

    def run(num_cycles: int, **options: Any) -> Any:
        task = FakeTask(num_train=48, size=SIZE)
        settings = config(cycles_per_child=num_cycles, quality_metric="balanced_accuracy")
        return train([child], settings, task, **options)[1]

    whole = run(6)
    best = best_cycle(whole.training)
    assert best is not None
    assert whole.training.qualities[best].metric == "balanced_accuracy"
    until_best = run(best + 1)
    in_flight = InFlight(str(tmp_path / "in_flight"), minutes=0)
    run(6, in_flight=in_flight)  # leaves its last save: the whole generation
    again = run(6, in_flight=InFlight(str(tmp_path / "in_flight"), minutes=0, note=pytest.fail))
    for other in (until_best, again):
        for name, arrays in whole.best.items():
            for path, array in arrays.items():
                assert array.tobytes() == other.best[name][path].tobytes()
    assert again.training == whole.training
