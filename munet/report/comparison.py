"""Compares systems on the same tasks: test accuracies, parameters, and by how much the best is ahead of each.

Every accuracy has its 95 % interval, and systems are compared by that of the difference, image by image where both say
which test images they have right (`differences.py`): a difference whose interval holds zero is no difference. How the
table that is made here is shown is in `tables.py`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from munet import intervals
from munet.config.evolve import BASELINES
from munet.data import notation
from munet.errors import UserError
from munet.report.differences import Difference, difference, of_mean
from munet.report.tables import Cell, ComparisonTable, TableRow
from munet.system import view
from munet.system.baselines import baseline_workdir, baselines
from munet.system.view import RunView
from munet.types import TaskName

MUNET = "muNet"


def comparison(systems: Mapping[str, RunView]) -> ComparisonTable:
    """Compares systems over the tasks that any of them has, in the order of the first.

    Args:
      systems: by the name to show; `display_name` makes one of a baseline's kind. The order is that of the columns.
    """
    views = tuple(systems.values())
    tasks = {info.name: notation.label(info.uri) for system in views for info in system.tasks}
    metrics = {system.experiment.quality_metric for system in views}
    metric = metrics.pop() if len(metrics) == 1 else "accuracy"  # what all of them have
    rows = []
    for task, label in tasks.items():
        row = TableRow(label, tuple(_cell(system, task, metric) for system in views))
        differences = (
            [_difference(views, row, row.best[0], i, task, metric) for i in range(len(views))] if row.best else []
        )
        rows.append(TableRow(label, row.cells, tuple(differences)))
    mean = TableRow("mean", tuple(_mean_cell(system, [row.cells[i] for row in rows]) for i, system in enumerate(views)))
    found: list[Difference | None] = []
    if mean.best and all(cell.test is not None for cell in mean.cells):
        for index in range(len(views)):
            each = [
                _difference(views, row, mean.best[0], index, task, metric)
                for task, row in zip(tasks, rows, strict=True)
            ]
            whole = [item for item in each if item is not None]
            found.append(of_mean(whole) if len(whole) == len(rows) else None)
    mean = TableRow("mean", mean.cells, tuple(found))
    return ComparisonTable(tuple(systems), tuple(rows), mean, metric, _notes(found))


def compared(workdir: str, kinds: Sequence[str] | None = None) -> dict[str, RunView]:
    """A run and its baselines, by the names to show: the baselines in order, then the run itself.

    Args:
      workdir: of the run.
      kinds: of baselines; None: those that have begun.

    Raises:
      UserError: there is no run, or nothing to compare it with.
    """
    own = view.open(workdir)
    if kinds is None:
        kinds = list(baselines(workdir))
    if not kinds:
        raise UserError(
            f"{own.workdir} has no baselines to compare with: the same `munet evolve` command with "
            "--config.compare=multi_head,full trains them."
        )
    systems = {display_name(kind): view.open(baseline_workdir(workdir, kind)) for kind in kinds}
    return systems | {display_name(own.experiment.baseline.kind): own}


def _notes(found: Sequence[Difference | None]) -> tuple[str, ...]:
    """What a reader must know of the intervals of the means' differences."""
    made = [item for item in found if item is not None]
    if not made:
        return ()
    notes = ["Intervals: 95 %, what other test images would give; other seeds may differ by more."]
    if not all(item.is_paired for item in made):
        notes.append(
            "Where it is not recorded which test images are right (runs of an older munet), or the images differ, "
            "differences are not paired by image, and their intervals are wider than need be."
        )
    return tuple(notes)


def display_name(kind: str) -> str:
    """The name for people of `experiment.baseline.kind`; "" is muNet itself."""
    return {"": MUNET, **BASELINES}.get(kind, kind).removeprefix("fine-tune ")  # columns are narrow


def _cell(system: RunView, task: TaskName, metric: str) -> Cell:
    model = system.models.get(task)
    if model is None:
        return Cell(None, None)
    test = model.test_quality
    if test is None:
        return Cell(None, system.accounted_params(task))
    if test.metric == metric:
        return Cell(test.value, system.accounted_params(task), intervals.of_quality(test))
    return Cell(test.accuracy, system.accounted_params(task), intervals.of_accuracy(test))


def _mean_cell(system: RunView, cells: Sequence[Cell]) -> Cell:
    tests = [(cell.test, cell.interval) for cell in cells if cell.test is not None and cell.interval is not None]
    if not cells or len(tests) < len(cells):
        return Cell(None, None)
    values = [value for value, _ in tests]
    return Cell(
        math.fsum(values) / len(values), system.params_per_task, intervals.of_mean(values, [one for _, one in tests])
    )


def _difference(
    views: Sequence[RunView], row: TableRow, best: int, index: int, task: TaskName, metric: str
) -> Difference | None:
    """By how much system `best` is ahead of another one on a task; None of itself, or where one is not measured."""
    own, other = row.cells[best], row.cells[index]
    if index == best or own.test is None or other.test is None or own.interval is None or other.interval is None:
        return None
    return difference(views[best], views[index], task, metric, (own.test, own.interval), (other.test, other.interval))
