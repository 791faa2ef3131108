"""The comparison of several systems on the same tasks: test accuracy and parameters per task (paper Tables 1, 2, 6).

It is a value: what was found, its verdict in words, and how it is shown on a terminal of any width and in Markdown. Of
systems it is made in `comparison.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from rich.console import Console, ConsoleOptions, Group, RenderResult
from rich.table import Table
from rich.text import Text

from munet.intervals import Interval, tells_apart
from munet.quality import metric_words
from munet.report.columns import total_width
from munet.report.differences import Difference
from munet.text import interval_text, markdown_table, with_interval

_MISSING = "-"
_NARROW_TASK = 12  # letters of a task's name that stand in a line at least


@dataclass(frozen=True)
class Cell:
    """One system on one task, or on average."""

    test: float | None  # accuracy in [0, 1]; None: not measured yet
    params: float | None  # accounted parameters (Eq. 3); on average: unique parameters in use / tasks
    interval: Interval | None = None  # of `test`, 95 %


@dataclass(frozen=True)
class TableRow:
    """One task, or the mean: a cell for each system.

    Attributes:
      name: what is shown.
      cells: one for each system.
      behind: by how much the first of the best is ahead of each other system; None of itself, or where one is missing.
    """

    name: str
    cells: tuple[Cell, ...]
    behind: tuple[Difference | None, ...] = ()

    @property
    def best(self) -> tuple[int, ...]:
        """Which systems have the highest test accuracy; several when equal."""
        measured = [cell.test for cell in self.cells if cell.test is not None]
        return tuple(i for i, cell in enumerate(self.cells) if measured and cell.test == max(measured))

    @property
    def is_clear(self) -> bool:
        """Whether the best one is told apart from all others."""
        others = [item for index, item in enumerate(self.behind) if index not in self.best]
        return len(self.best) == 1 and bool(others) and all(item and tells_apart(item.interval) for item in others)


@dataclass(frozen=True)
class ComparisonTable:
    """Systems side by side, a row for each task and their mean."""

    names: tuple[str, ...]
    rows: tuple[TableRow, ...]
    mean: TableRow
    metric: str = "accuracy"
    notes: tuple[str, ...] = field(default=())

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
        top = self.mean.cells[self.mean.best[0]]
        shown = with_interval(top.test or 0.0, top.interval)
        if len(best) > 1:
            first = f"{_and(best)} have the same mean test {metric}, {shown}"
        else:
            first = f"{best[0]} has the best mean test {metric}, {shown}"
        behind = self.mean.behind or (None,) * len(self.names)
        others = [
            f"{name} is {((top.test or 0.0) - (cell.test or 0.0)) * 100:.2f} points below{_apart(item)}"
            for name, cell, item in zip(self.names, self.mean.cells, behind, strict=True)
            if name not in best
        ]
        wins = [f"{name} {sum(index in row.best for row in self.rows)}" for index, name in enumerate(self.names)]
        text = "; ".join([first, *others]) + "."
        text = f"{text} Best, or equal to the best, on how many of the {len(self.rows)} tasks: {', '.join(wins)}"
        if any(row.behind for row in self.rows):
            clear = [
                f"{name} {number}"
                for index, name in enumerate(self.names)
                if (number := sum(row.is_clear and index in row.best for row in self.rows))
            ]
            text += f"; told apart from all others: {', '.join(clear) or 'none'}"
        return " ".join([text + ".", *self.notes])

    def rich(self) -> Group:
        """For the terminal; the best of a row is bold. Ends with the verdict.

        Where there is no room for everything, parameters are left out; then intervals stand below accuracies, and
        systems that still have no room follow in a table below.
        """
        return Group(_Fitted(self), Text(self.verdict))

    def markdown(self) -> str:
        """For a page; the best of a row is bold. Ends with the verdict."""
        head = ["task", *self.names, *(f"parameters, {name}" for name in self.names)]
        body = []
        for row in (*self.rows, self.mean):
            accuracies = [
                f"**{_accuracy(cell)}**" if index in row.best else _accuracy(cell)
                for index, cell in enumerate(row.cells)
            ]
            body.append([row.name, *accuracies, *(_count(cell.params) for cell in row.cells)])
        return f"{markdown_table(head, body)}\n\n{self.verdict}\n"

    def part(self, systems: Sequence[int], task_width: int, *, narrow: bool, with_params: bool) -> Table:
        """A table of some of the systems; bold is who is best of all.

        Args:
          systems: which, by their place.
          task_width: letters for a task's name in a line; it goes on in the next.
          narrow: whether intervals stand below accuracies, not beside them.
          with_params: whether the parameters are shown.
        """
        what = "and parameters " if with_params else ""
        table = Table(title=f"Test {metric_words(self.metric)} {what}per task", title_style="bold")
        table.add_column("task", overflow="fold", width=task_width)
        for index in systems:
            table.add_column(self.names[index], justify="right")
        for index in systems if with_params else ():
            table.add_column(f"params\n{self.names[index]}", justify="right", style="dim")
        for row in (*self.rows, self.mean):
            if row is self.mean:
                table.add_section()
            accuracies = [
                Text(_accuracy(row.cells[index], narrow), style="bold green" if index in row.best else "")
                for index in systems
            ]
            params = [_count(row.cells[index].params) for index in systems] if with_params else []
            table.add_row(Text(row.name), *accuracies, *params)
        return table

    def fitted(self, room: int) -> list[Table]:
        """One table, or several below each other, that are at most `room` letters wide and cut no digit."""
        everyone = range(len(self.names))
        rows = (*self.rows, self.mean)
        task = max(len(row.name) for row in rows)
        words = [max(map(len, name.split())) for name in self.names]  # a name may go on in the next line
        params = [max(words[i], 6, *(len(_count(row.cells[i].params)) for row in rows)) for i in everyone]
        one_line, two_lines = (
            [max(words[i], *(_width(_accuracy(row.cells[i], narrow)) for row in rows)) for i in everyone]
            for narrow in (False, True)
        )
        if total_width([task, *one_line, *params]) <= room:
            return [self.part(everyone, task, narrow=False, with_params=True)]
        if total_width([task, *one_line]) <= room:
            return [self.part(everyone, task, narrow=False, with_params=False)]
        task = max(min(task, room - total_width([0, *two_lines])), min(task, _NARROW_TASK))
        tables, first = [], 0
        while first < len(two_lines):
            last = first + 1
            while last < len(two_lines) and total_width([task, *two_lines[first : last + 1]]) <= room:
                last += 1
            tables.append(self.part(range(first, last), task, narrow=True, with_params=False))
            first = last
        return tables


class _Fitted:
    """The table as it fits whatever it is printed on."""

    def __init__(self, table: ComparisonTable):
        self._table = table

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield from self._table.fitted(options.max_width)


def _width(text: str) -> int:
    return max(map(len, text.split("\n")))


def _apart(item: Difference | None) -> str:
    """` (1.20 to 3.40)`, ` (-0.50 to 1.20: not told apart)`: the interval of a difference, in points."""
    if item is None:
        return ""
    end = "" if tells_apart(item.interval) else ": not told apart"
    return f" ({interval_text(item.interval, 2, ' to ')}{end})"


def _accuracy(cell: Cell, narrow: bool = False) -> str:
    text = _MISSING if cell.test is None else with_interval(cell.test, cell.interval)
    return text.replace(" ", "\n") if narrow else text


def _count(value: float | None) -> str:
    return _MISSING if value is None else f"{value:,.0f}"


def _and(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
