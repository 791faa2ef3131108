"""The comparison of several systems on the same tasks: test accuracy and parameters per task (paper Tables 1, 2, 6)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.console import Group
from rich.table import Table
from rich.text import Text

from munet.config.evolve import BASELINES
from munet.data import notation
from munet.quality import metric_words
from munet.system.view import RunView
from munet.text import markdown_table
from munet.types import TaskName

MUNET = "muNet"
_MISSING = "-"


@dataclass(frozen=True)
class Cell:
    """One system on one task, or on average."""

    test: float | None  # accuracy in [0, 1]; None: not measured yet
    params: float | None  # accounted parameters (Eq. 3); on average: unique parameters in use / tasks


@dataclass(frozen=True)
class TableRow:
    """One task, or the mean: a cell for each system."""

    name: str
    cells: tuple[Cell, ...]

    @property
    def best(self) -> tuple[int, ...]:
        """Which systems have the highest test accuracy; several when equal."""
        measured = [cell.test for cell in self.cells if cell.test is not None]
        return tuple(i for i, cell in enumerate(self.cells) if measured and cell.test == max(measured))


@dataclass(frozen=True)
class ComparisonTable:
    """Systems side by side, a row for each task and their mean."""

    names: tuple[str, ...]
    rows: tuple[TableRow, ...]
    mean: TableRow
    metric: str = "accuracy"

    @property
    def verdict(self) -> str:
        """Who has the best mean, by how much, and who is best on how many tasks; plainly, for better or worse."""
        if not self.rows:
            return "There are no tasks to compare."
        missing = [name for name, cell in zip(self.names, self.mean.cells, strict=True) if cell.test is None]
        if missing:
            return f"Not every task is measured for {_and(missing)}, so the means cannot be compared."
        best = [self.names[index] for index in self.mean.best]
        metric = metric_words(self.metric)
        top = max(cell.test or 0.0 for cell in self.mean.cells)
        if len(best) > 1:
            first = f"{_and(best)} have the same mean test {metric}, {top:.2%}"
        else:
            first = f"{best[0]} has the best mean test {metric}, {top:.2%}"
        others = [
            f"{name} is {(top - (cell.test or 0.0)) * 100:.2f} points below"
            for name, cell in zip(self.names, self.mean.cells, strict=True)
            if name not in best
        ]
        wins = [f"{name} {sum(index in row.best for row in self.rows)}" for index, name in enumerate(self.names)]
        text = "; ".join([first, *others]) + "."
        return f"{text} Best, or equal to the best, on how many of the {len(self.rows)} tasks: {', '.join(wins)}."

    def rich(self) -> Group:
        """For the terminal; the best of a row is bold. Ends with the verdict."""
        table = Table(title=f"Test {metric_words(self.metric)} and parameters per task", title_style="bold")
        table.add_column("task", no_wrap=True)
        for name in self.names:
            table.add_column(name, justify="right")
        for name in self.names:
            table.add_column(f"params\n{name}", justify="right", style="dim")
        for row in (*self.rows, self.mean):
            if row is self.mean:
                table.add_section()
            accuracies = [
                Text(_percent(cell.test), style="bold green" if index in row.best else "")
                for index, cell in enumerate(row.cells)
            ]
            table.add_row(Text(row.name), *accuracies, *(_count(cell.params) for cell in row.cells))
        return Group(table, Text(self.verdict))

    def markdown(self) -> str:
        """For a page; the best of a row is bold. Ends with the verdict."""
        head = ["task", *self.names, *(f"parameters, {name}" for name in self.names)]
        body = []
        for row in (*self.rows, self.mean):
            accuracies = [
                f"**{_percent(cell.test)}**" if index in row.best else _percent(cell.test)
                for index, cell in enumerate(row.cells)
            ]
            body.append([row.name, *accuracies, *(_count(cell.params) for cell in row.cells)])
        return f"{markdown_table(head, body)}\n\n{self.verdict}\n"


def comparison(systems: Mapping[str, RunView]) -> ComparisonTable:
    """Compares systems over the tasks that any of them has, in the order of the first.

    Args:
      systems: by the name to show; `display_name` makes one of a baseline's kind. The order is that of the columns.
    """
    tasks = {info.name: notation.label(info.uri) for system in systems.values() for info in system.tasks}
    metrics = {system.experiment.quality_metric for system in systems.values()}
    metric = metrics.pop() if len(metrics) == 1 else "accuracy"  # what all of them have
    rows = tuple(
        TableRow(label, tuple(_cell(system, task, metric) for system in systems.values()))
        for task, label in tasks.items()
    )
    means = tuple(
        _mean_cell(system, [row.cells[index] for row in rows]) for index, system in enumerate(systems.values())
    )
    return ComparisonTable(tuple(systems), rows, TableRow("mean", means), metric)


def display_name(kind: str) -> str:
    """The name for people of `experiment.baseline.kind`; "" is muNet itself."""
    return {"": MUNET, **BASELINES}.get(kind, kind).removeprefix("fine-tune ")  # columns are narrow


def _cell(system: RunView, task: TaskName, metric: str) -> Cell:
    model = system.models.get(task)
    if model is None:
        return Cell(None, None)
    test = model.test_quality
    value = None if test is None else test.value if test.metric == metric else test.accuracy
    return Cell(value, system.accounted_params(task))


def _mean_cell(system: RunView, cells: Sequence[Cell]) -> Cell:
    tests = [cell.test for cell in cells if cell.test is not None]
    is_whole = bool(cells) and len(tests) == len(cells)
    return Cell(math.fsum(tests) / len(tests) if is_whole else None, system.params_per_task if is_whole else None)


def _percent(value: float | None) -> str:
    return _MISSING if value is None else f"{value:.2%}"


def _count(value: float | None) -> str:
    return _MISSING if value is None else f"{value:,.0f}"


def _and(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
