"""Everything that is made of a suite's complete runs, kept in its directory: parquet, tables, page, figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from munet import kinds
from munet.report.charts.chart import Chart
from munet.store.folders import open_folder
from munet.suites import csv_files, pages, pictures, reference, results
from munet.suites.plan import run_folder
from munet.suites.record import Record
from munet.suites.rows import Row, rows_of
from munet.suites.suite import Suite

PAGE, METHODS_CSV, TASKS_CSV = "results.md", "results.csv", "results_tasks.csv"


class Report:
    """Writes what is complete into the suite's directory; rows of a run are read once."""

    def __init__(
        self,
        workdir: str,
        suite: Suite,
        kept: Record,
        reference: str = "",
        unlike: Mapping[str, str] = MappingProxyType({}),
    ):
        self._workdir, self._suite, self._kept, self._reference = workdir, suite, kept, reference
        self._unlike = unlike  # what is otherwise, by work directory
        self._rows: dict[tuple[str, int], list[Row]] = {}

    def rows(self) -> list[Row]:
        """All rows of complete runs: method by method, seed by seed, task by task."""
        for method in self._kept.methods:
            for seed in range(self._kept.repeats):
                if (method.name, seed) in self._rows:
                    continue
                place = run_folder(self._workdir, method.name, seed, method.together)
                if kinds.found(place) is not None:
                    for row in rows_of(place, method.name, self._kept.titles[method.name]) or ():
                        self._rows.setdefault((method.name, row.seed), []).append(row)
        order = {method.name: index for index, method in enumerate(self._kept.methods)}
        keys = sorted(self._rows, key=lambda key: (order[key[0]], key[1]))
        return [row for key in keys for row in self._rows[key]]

    def brief(self) -> list[str]:
        """For the terminal."""
        return pages.brief(self.rows())

    def write(self, with_figures: bool = False) -> None:
        """Parquet, tables and page, each whole; figures, which take seconds, when they are asked for."""
        rows = self.rows()
        results.write(self._workdir, rows)
        place = open_folder(self._workdir)
        if with_figures:
            pictures.draw(self._workdir, self._charts(rows))
        place.replace(METHODS_CSV, csv_files.methods(rows).encode())
        place.replace(TASKS_CSV, csv_files.tasks(rows).encode())
        page = pages.markdown(
            rows,
            suite=self._kept.suite,
            against=self._suite.compared_with,
            notes=self._notes(rows),
            differing=self._differing(),
            figures=list(pictures.drawn(self._workdir).values()),
            reference=reference.section(rows, self._suite.benchmark) if self._reference and rows else [],
        )
        place.replace(PAGE, page.encode())

    def _charts(self, rows: Sequence[Row]) -> list[Chart]:
        """Every figure that there is something for."""
        from munet.suites.figures import figures

        curves = {method.name: method.curve for method in self._kept.methods}
        evolved = [key for key, found in self._rows.items() if found[0].kind == "evolve"]  # others have no journal
        places = {key: run_folder(self._workdir, *key) for key in evolved}
        return figures(rows, self._suite, curves, places)

    def _differing(self) -> list[str]:
        """What is otherwise in runs that the rows are of."""
        together = {method.name: method.together for method in self._kept.methods}
        places = [run_folder(self._workdir, name, seed, together[name]) for name, seed in self._rows]
        return list(dict.fromkeys(self._unlike[place] for place in places if place in self._unlike))

    def _notes(self, rows: Sequence[Row]) -> list[str]:
        complete = {(row.method, row.seed) for row in rows}
        missing = [
            f"{method.name} ({sum((method.name, seed) not in complete for seed in range(self._kept.repeats))})"
            for method in self._kept.methods
            if any((method.name, seed) not in complete for seed in range(self._kept.repeats))
        ]
        notes = [self._kept.made_by]
        return [*notes, f"Runs that are not complete: {', '.join(missing)}."] if missing else notes
