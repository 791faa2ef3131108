"""`munet table`: the children of a run as a table, JSON or CSV, or how the values of a column spread."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict

from rich.cells import cell_len

from munet.errors import UserError
from munet.report.children import DEFAULT, Cell, Children, Row, histogram, ordered, shown
from munet.report.columns import Column, FittedTable
from munet.system import view
from munet.text import count, plain_console, printable, say
from munet.types import TaskName

_MOST = 40  # rows of a table for people; --json and --csv have all
_BAR = 40  # letters


def run(
    workdir: str,
    columns: Sequence[str],
    sort: str,
    task: TaskName,
    histogram_of: str,
    form: str,
    is_wide: bool,
) -> None:
    """Prints what is asked for.

    Args:
      workdir: of the run.
      columns: names, in the order in which they are shown; none: `children.DEFAULT`, as JSON or CSV all.
      sort: the name of a column, with a `-` before it for the largest first; "": by id.
      task: only its children; "": all.
      histogram_of: a column whose values are counted instead; "": a table.
      form: "", "json" or "csv".
      is_wide: whether all rows and columns of a table are shown, however wide that is.

    Raises:
      UserError: no such column or task, or a work directory without children.
    """
    system = view.open(workdir)
    children = Children(system)
    children.check([*columns, *filter(None, (sort.removeprefix("-"), histogram_of))])
    if task and task not in system.forgotten:
        system.task(task)  # names the nearest if there is none
    rows = [row for row in children.rows if task in ("", row["task"])]
    if not rows:
        raise UserError(f"{workdir}: no child has been trained yet{f' for {task!r}' if task else ''}.")
    if sort:
        rows = ordered(rows, sort)
    if histogram_of:
        _print_histogram(histogram_of, children.columns[histogram_of], rows, form)
    elif form:
        _write(rows, list(columns or children.columns), form)
    else:
        _print_table(rows, list(columns or DEFAULT), is_wide)


def _print_table(rows: Sequence[Row], columns: Sequence[str], is_wide: bool) -> None:
    some = rows if is_wide else rows[:_MOST]
    made = [
        Column(name, [shown(name, row[name]) for row in some], rank, any(isinstance(row[name], str) for row in some))
        for rank, name in enumerate(columns)
    ]
    hidden = f"{len(rows) - len(some):,} more rows" if len(some) < len(rows) else ""
    width = 10_000 if is_wide else 140
    plain_console(width).print(FittedTable(f"{len(rows):,} children", made, hidden), highlight=False)


def _write(rows: Sequence[Mapping[str, Cell]], columns: Sequence[str], form: str) -> None:
    chosen = [{name: row[name] for name in columns} for row in rows]
    if form == "json":
        say(json.dumps(chosen, indent=1))
        return
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([["" if cell is None else cell for cell in row.values()] for row in chosen])


def _print_histogram(name: str, meaning: str, rows: Sequence[Row], form: str) -> None:
    bars = histogram(rows, name)
    if form:
        _write([asdict(bar) for bar in bars], ("value", "children", "kept"), form)
        return
    say(f"{name}: {meaning}. {count(len(rows), 'child', 'children')}; those that were kept in full.")
    width = max(cell_len(printable(bar.value)) for bar in bars)
    unit = max(*(bar.children for bar in bars), _BAR) / _BAR
    for bar in bars:
        drawn = ("\u2588" * round(bar.kept / unit)).ljust(round(bar.children / unit), "\u2591")
        value = printable(bar.value)
        say(f"  {' ' * (width - cell_len(value))}{value}  {drawn} {bar.children:,}, {bar.kept:,} kept")
