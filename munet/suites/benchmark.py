"""`munet benchmark`: runs what is missing of a suite, and makes results.parquet and tables of what is there."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from munet.errors import SuiteError, nearest
from munet.flags import Override
from munet.progress.wording import count
from munet.store import Store
from munet.store.files import folder
from munet.suites import csv_files, devices, pages, record, reference, results
from munet.suites.execute import Outcome, Workers
from munet.suites.inputs import check_inputs
from munet.suites.plan import Run, plan, run_folder
from munet.suites.record import Record
from munet.suites.reference import REFERENCES
from munet.suites.rows import Row, rows_of
from munet.suites.suite import BENCHMARKS, SUITE_FILES, Suite

if TYPE_CHECKING:
    from munet.system import System

PAGE, METHODS_CSV, TASKS_CSV, FIGURES = "results.md", "results.csv", "results_tasks.csv", "figures"
Say = Callable[[str], None]


@dataclass(frozen=True)
class Options:
    """What the command line says; see `munet benchmark --help`."""

    suite: str
    workdir: str
    repeats: int = 5
    workers: int = 0
    methods: tuple[str, ...] = ()
    reference: str = ""
    overrides: tuple[Override, ...] = ()


def benchmark(options: Options, say: Say) -> list[Outcome]:
    """Runs what is missing and writes the results.

    Returns:
      The runs that failed.

    Raises:
      UserError: the suite, its data or its directory cannot be used; nothing has started then.
      KeyboardInterrupt: the user ended it; what is complete is in the results.
    """
    suite, runs = read(options)
    before = record.read(options.workdir)
    results.read(options.workdir)  # of another version: refused before anything is written
    check_inputs(runs)
    done = [run for run in runs if is_complete(run)]
    todo = [run for run in runs if run not in done]
    places = devices.places(options.workers) if todo else []
    kept = record.of_suite(suite, options.suite, options.repeats, tuple(map(str, options.overrides)), before)
    report = Report(options.workdir, suite, kept, options.reference)
    report.rows()  # of methods that only an earlier suite had, too: what cannot be read is said now
    with record.locked(options.workdir) as inherit:
        record.write(options.workdir, kept)
        say(f"{count(len(runs), 'run')} in {options.workdir}: {len(done)} complete, {len(todo)} to do.")
        failed: list[Outcome] = []

        def on_end(outcome: Outcome) -> None:
            if outcome.error:
                failed.append(outcome)
            else:
                report.write()

        if todo:
            Workers(places, say, on_end, inherit).run(todo)
        is_drawn = not todo and kept == before and folder(f"{options.workdir}/{FIGURES}").names()
        report.write(with_figures=not is_drawn)
        say(f"results: {folder(options.workdir).location(PAGE)}")
    return failed


def read(options: Options) -> tuple[Suite, list[Run]]:
    """The suite and its runs, checked.

    Raises:
      SuiteError: all problems in one message.
      UserError: the suite's file cannot be used.
    """
    suite: Suite = SUITE_FILES.load(options.suite)
    problems = []
    if options.reference and options.reference not in REFERENCES:
        problems.append(f"--reference={options.reference}: {nearest(options.reference, REFERENCES)}")
    elif options.reference and not suite.benchmark:
        problems.append(
            f"--reference={options.reference}: the suite is none of the paper's; give it benchmark={BENCHMARKS[0]!r} "
            f"or {BENCHMARKS[1]!r}, or leave --reference out."
        )
    try:
        runs = plan(suite, options.workdir, options.repeats, options.overrides, options.methods)
    except SuiteError as error:
        raise SuiteError([*error.problems, *problems]) from None
    if problems:
        raise SuiteError(problems)
    return suite, runs


def is_complete(run: Run) -> bool:
    """Whether the run needs nothing more."""
    opened = _open(run)
    return opened is not None and opened.is_complete


def images_behind(run: Run) -> int:
    """Training images of the generations that the run has behind it; 0 if it has not begun."""
    opened = _open(run)
    return 0 if opened is None else opened.ledger.image_steps


def _open(run: Run) -> System | None:
    from munet import system

    return system.open(run.workdir) if len(Store(run.workdir).journal) else None


class Report:
    """Writes what is complete into the suite's directory; rows of a run are read once."""

    def __init__(self, workdir: str, suite: Suite, kept: Record, reference: str = ""):
        self._workdir, self._suite, self._kept, self._reference = workdir, suite, kept, reference
        self._rows: dict[tuple[str, int], list[Row]] = {}

    def rows(self) -> list[Row]:
        """All rows of complete runs: method by method, seed by seed, task by task."""
        for method in self._kept.methods:
            for seed in range(self._kept.repeats):
                if (method.name, seed) in self._rows:
                    continue
                place = run_folder(self._workdir, method.name, seed)
                if len(Store(place).journal) and (found := rows_of(place, method.name, method.label or method.name)):
                    self._rows[method.name, seed] = found
        order = {method.name: index for index, method in enumerate(self._kept.methods)}
        keys = sorted(self._rows, key=lambda key: (order[key[0]], key[1]))
        return [row for key in keys for row in self._rows[key]]

    def write(self, with_figures: bool = False) -> None:
        """Parquet, tables and page, each whole; figures, which take seconds, when they are asked for."""
        rows = self.rows()
        results.write(self._workdir, rows)
        place = folder(self._workdir)
        shown = self._draw(rows) if with_figures else folder(f"{self._workdir}/{FIGURES}").names()
        place.replace(METHODS_CSV, csv_files.methods(rows).encode())
        place.replace(TASKS_CSV, csv_files.tasks(rows).encode())
        page = pages.markdown(
            rows,
            suite=self._kept.suite,
            against=self._suite.compared_with,
            notes=self._notes(rows),
            figures=[f"{FIGURES}/{name}" for name in sorted(shown)],
            reference=reference.section(rows, self._suite.benchmark) if self._reference and rows else [],
        )
        place.replace(PAGE, page.encode())

    def _draw(self, rows: Sequence[Row]) -> set[str]:
        """Draws every figure that there is something for; gives their names."""
        from munet.suites.figures import figures

        curves = {method.name: method.curve for method in self._kept.methods}
        places = {key: run_folder(self._workdir, *key) for key in self._rows}
        drawn = figures(rows, self._suite, curves, places)
        for name, data in drawn.items():
            folder(f"{self._workdir}/{FIGURES}").replace(name, data)
        return set(drawn)

    def _notes(self, rows: Sequence[Row]) -> list[str]:
        complete = {(row.method, row.seed) for row in rows}
        missing = [
            f"{method.name} ({sum((method.name, seed) not in complete for seed in range(self._kept.repeats))})"
            for method in self._kept.methods
            if any((method.name, seed) not in complete for seed in range(self._kept.repeats))
        ]
        command = ["munet", "benchmark", f"--suite={self._kept.suite}", f"--repeats={self._kept.repeats}"]
        notes = [f"Made by `{shlex.join([*command, *self._kept.overrides])}`"]
        return [*notes, f"Runs that are not complete: {', '.join(missing)}."] if missing else notes


def dry_run(options: Options, say: Say) -> None:
    """Says which runs there would be, how many images they train on, and about how long; writes nothing.

    Raises:
      UserError: as `benchmark`.
    """
    from munet import dry_run as one_run
    from munet.suites import times

    _, runs = read(options)
    record.read(options.workdir)
    check_inputs(runs)
    measure = times.Measurements()
    done = [run for run in runs if is_complete(run)]
    begun = {run.workdir: images_behind(run) for run in runs if run not in done}
    for line in times.lines(runs, done, begun, times.of_methods(runs, measure)):
        say(line)
    say(f"one run of {runs[-1].method.name}:")
    for text in one_run.describe(runs[-1].config, measure=measure):
        for line in text.splitlines():
            say(f"  {line}".rstrip())
