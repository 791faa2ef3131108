"""How a task's model does class by class: from the counts that the end of a phase recorded (`munet status --task`)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from munet import intervals
from munet.errors import UserError
from munet.quality import metric_words
from munet.report.columns import Column, FittedTable
from munet.system.view import RunView
from munet.text import with_interval
from munet.types import TaskName

MAX_ROWS, MAX_PAIRS = 30, 10  # shown on a terminal; `--json` has all


@dataclass(frozen=True)
class SplitCounts:
    """Counts of one split.

    Attributes:
      correct, counted: images by class.
      confusions: (class, predicted class, images), most images first; None: not recorded.
    """

    correct: tuple[int, ...]
    counted: tuple[int, ...]
    confusions: tuple[tuple[int, ...], ...] | None

    def share(self, label: int) -> float | None:
        """The share of a class's images that is right; None where none is counted."""
        return self.correct[label] / self.counted[label] if self.counted[label] else None

    def worst_first(self) -> list[int]:
        """Classes by rising share, of equals the one with more images first; those without images last."""
        shares = [(2.0 if share is None else share) for share in map(self.share, range(len(self.counted)))]
        return sorted(range(len(shares)), key=lambda label: (shares[label], -self.counted[label], label))

    def to_json(self) -> dict[str, Any]:
        """As docs/status.md describes it."""
        pairs = None if self.confusions is None else [list(pair) for pair in self.confusions]
        return {"correct": list(self.correct), "counted": list(self.counted), "confusions": pairs}


@dataclass(frozen=True)
class ClassCounts:
    """Both splits of a task's retained model; None: not recorded (journals of older versions)."""

    validation: SplitCounts | None
    test: SplitCounts | None


def class_counts(system: RunView, task: TaskName) -> ClassCounts:
    """What the last closed phase of a task recorded.

    Raises:
      UserError: no such task, or no model yet.
    """
    entry = system.last_phase(task)
    is_new = bool(entry.validation_counted_per_class)
    validation = SplitCounts(
        entry.validation_correct_per_class, entry.validation_counted_per_class, entry.validation_confusions
    )
    test = SplitCounts(
        entry.test_correct_per_class, entry.test_counted_per_class, entry.test_confusions if is_new else None
    )
    return ClassCounts(validation if is_new else None, test if entry.test_counted_per_class else None)


def counts_json(system: RunView, task: TaskName) -> dict[str, Any]:
    """The counts of a task as JSON values: `validation` and `test`, null where not recorded."""
    counts = class_counts(system, task)
    return {
        "validation": counts.validation.to_json() if counts.validation else None,
        "test": counts.test.to_json() if counts.test else None,
    }


def recorded_test(system: RunView, task: TaskName) -> SplitCounts:
    """Test counts with confusions.

    Raises:
      UserError: they were not recorded.
    """
    test = class_counts(system, task).test
    if test is None or test.confusions is None:
        raise UserError(
            f"Which classes of {task!r} are confused was not recorded: its last phase ended under an older munet."
        )
    return test


def describe(system: RunView, task: TaskName) -> Iterator[RenderableType]:
    """A table of classes, worst test accuracy first, and the pairs that are confused most.

    Raises:
      UserError: no such task, or no model yet.
    """
    counts, names, model = class_counts(system, task), system.task(task).class_names, system.model(task)
    if counts.test is None:
        yield Text(f"{task}: counts by class were not recorded: its last phase ended under an older munet.")
        return
    test, order = counts.test, counts.test.worst_first()
    columns = _columns(test, counts.validation, names, order[:MAX_ROWS])
    yield FittedTable(f"{task}, model {model.id}: classes, worst first", columns)
    if len(order) > MAX_ROWS:
        yield Text(f"... and {len(order) - MAX_ROWS:,} classes that do better, or have no images (--json: all).")
    quality = model.test_quality
    if quality is not None:
        shown = with_interval(quality.value, intervals.of_quality(quality))
        yield Text(
            f"Test {metric_words(quality.metric)} {shown}; {quality.correct:,} of {quality.counted:,} images right."
        )
    if test.confusions is None:
        yield Text("Which classes are confused was not recorded: the phase ended under an older munet.")
    elif test.confusions:
        yield Text("Confused most, on the test split:")
    for label, predicted, images in (test.confusions or ())[:MAX_PAIRS]:
        yield Text(f"  {names[label]} taken for {names[predicted]}: {images:,} of {test.counted[label]:,}")


def _columns(
    test: SplitCounts, validation: SplitCounts | None, names: Sequence[str], labels: Sequence[int]
) -> list[Column]:
    """The columns of some classes."""
    taken_for: dict[int, tuple[int, ...]] = {}
    for pair in test.confusions or ():
        taken_for.setdefault(pair[0], pair)
    most = [taken_for.get(label) for label in labels]
    return [
        Column("class", [names[label] for label in labels], is_text=True),
        Column("test accuracy\n(95% interval)", [_accuracy(test, label) for label in labels]),
        Column("test", [f"{test.correct[label]:,} of {test.counted[label]:,}" for label in labels], rank=1),
        Column(
            "validation",
            [
                f"{validation.correct[label]:,} of {validation.counted[label]:,}" if validation else "not recorded"
                for label in labels
            ],
            rank=3,
        ),
        Column("most often taken for", [f"{names[pair[1]]} ({pair[2]:,})" if pair else "-" for pair in most], 2, True),
    ]


def _accuracy(test: SplitCounts, label: int) -> str:
    share = test.share(label)
    return "no images" if share is None else with_interval(share, intervals.wilson(share, test.counted[label]), 1)
