"""Measures a published model, always in the same way, so that a value measured again must be equal.

Used for the test accuracy at a phase's end, by `munet verify` and by prediction: one path, one set of programs, one
device.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from munet import right_images
from munet.data.tasks import Split, Task
from munet.quality import Quality, quality_of
from munet.training.assemble import FlatArrays
from munet.training.batches.stream import Resize, evaluation_batches
from munet.training.measure.one_model import OneModel
from munet.training.program import programs, signature
from munet.training.work import TaskWork
from munet.types import ComponentName, Hyperparameters, ModelId, PhaseEntry, Position, TaskName

MAX_CONFUSIONS = 2000  # pairs of classes that are kept of a measurement: about 25 kB in the journal at most


@dataclass(frozen=True)
class Measurement:
    """Integer counts of a model on a set, by class.

    Attributes:
      correct_per_class, counted_per_class: images.
      confusions: (class, predicted class, images) where the two differ, most images first, then by class; the first
        `MAX_CONFUSIONS` of them.
      metric: what `quality` is.
      right: which images are right, as `right_images.pack` writes it.
    """

    correct_per_class: tuple[int, ...]
    counted_per_class: tuple[int, ...]
    confusions: tuple[tuple[int, int, int], ...] = ()
    metric: str = "accuracy"
    right: str = ""

    @property
    def quality(self) -> Quality:
        """The quality that the counts of all classes give, by the metric."""
        return quality_of(self.metric, self.correct_per_class, self.counted_per_class)


def count(
    predicted: Int[np.ndarray, " n"], labels: Int[np.ndarray, " n"], *, num_classes: int, metric: str
) -> Measurement:
    """What predictions get right and take for what. A prediction of -1 (no finite output) is wrong, for no class."""
    correct = np.bincount(labels[predicted == labels], minlength=num_classes)
    counted = np.bincount(labels, minlength=num_classes)
    is_wrong = (predicted != labels) & (predicted >= 0)
    pairs, images = np.unique(labels[is_wrong].astype(np.int64) * num_classes + predicted[is_wrong], return_counts=True)
    first = np.argsort(-images, kind="stable")[:MAX_CONFUSIONS]
    confusions = tuple(
        (int(pair) // num_classes, int(pair) % num_classes, int(many))
        for pair, many in zip(pairs[first], images[first], strict=True)
    )
    right = right_images.pack(predicted == labels, labels)
    return Measurement(tuple(map(int, correct)), tuple(map(int, counted)), confusions, metric, right)


def phase_entry(
    position: Position, task: TaskName, model: ModelId, test: Measurement, validation: Measurement
) -> PhaseEntry:
    """What the end of a phase writes of the model that it retains.

    Args:
      position, task, model: of the entry.
      test: over the whole test split.
      validation: over the validation images that qualities are counted on.
    """
    return PhaseEntry(
        position,
        task,
        model,
        test.quality,
        test.correct_per_class,
        test.counted_per_class,
        test.confusions,
        validation.correct_per_class,
        validation.counted_per_class,
        validation.confusions,
        test.right,
    )


def measure_validation(
    work: TaskWork, task: Task, components: Mapping[ComponentName, FlatArrays], hyperparameters: Hyperparameters
) -> Measurement:
    """Counts what a model gets right of the validation images that qualities are counted on; arguments of `measure`."""
    return measure(work, components, hyperparameters, task.split("validation"), max_images=work.num_validated)


def measure(
    work: TaskWork,
    components: Mapping[ComponentName, FlatArrays],
    hyperparameters: Hyperparameters,
    split: Split,
    *,
    max_images: int | None = None,
) -> Measurement:
    """Counts what a model gets right over a split.

    Args:
      work: of the model's task.
      components: the model's unpadded arrays by component name.
      hyperparameters: the model's (image size and adapter width matter).
      split: images and labels.
      max_images: only the first ones; None: all.
    """
    program = signature.of_model(components, hyperparameters, work)
    model = OneModel(program, components, hyperparameters, num_classes=work.num_classes)
    pieces = evaluation_batches(split, Resize(program.image_size, work.antialias), max_images)
    predicted = [
        piece.without_padding(np.asarray(result.predicted[0]))
        for piece, result in model.over(programs.evaluate_program(program, model.mesh), pieces)
    ]
    every = np.concatenate(predicted)
    return count(every, split.labels[: len(every)], num_classes=work.num_classes, metric=work.metric)
