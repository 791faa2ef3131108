"""Everything that is made of a suite's complete trainings on tasks of values: page, table, pictures of the search."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from munet.store.folders import open_folder
from munet.suites import pictures, value_figures, value_pages
from munet.suites.alignments import Search, searches
from munet.suites.record import Record
from munet.suites.report import METHODS_CSV, PAGE, TASKS_CSV
from munet.suites.suite import Suite
from munet.suites.value_rows import ValueRow, rows_of


class ValueReport:
    """Writes what is complete into the suite's directory; a training is read once."""

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
        self._read: dict[str, tuple[list[ValueRow], Sequence[Search]]] = {}  # by place, of complete trainings
        self._places: dict[str, str] = {}  # by method, of the training that counts

    def rows(self) -> list[ValueRow]:
        """All rows of complete trainings: method by method, seed by seed, task by task."""
        for method in self._kept.methods:
            for place in self._kept.side_by_side(self._workdir, method):
                if place not in self._read and (found := rows_of(place, method.name, self._kept.titles[method.name])):
                    self._read[place] = found, searches(place)
                if place in self._read:
                    self._places[method.name] = place
                    break
        return [row for place in self._counting.values() for row in self._read[place][0]]

    def write(self, with_figures: bool = False) -> None:
        """Page and table, each whole; pictures, which take seconds, when they are asked for."""
        rows, place = self.rows(), open_folder(self._workdir)
        if with_figures:
            pictures.draw(self._workdir, value_figures.figures(self._kept.titles, self._searches))
        place.replace(METHODS_CSV, value_pages.seeds_table(rows).encode())
        place.replace(TASKS_CSV, value_pages.tasks_table(rows).encode())
        found = pictures.drawn(self._workdir)
        shown = [(file, value_figures.caption(name, self._kept.titles)) for name, file in found.items()]
        page = value_pages.markdown(
            rows,
            self._searches,
            suite=self._kept.suite,
            notes=self._notes(),
            figures=shown,
            paper=self._suite.benchmark if self._reference else "",
            against=self._suite.compared_with,
        )
        place.replace(PAGE, page.encode())

    def brief(self) -> list[str]:
        """For the terminal."""
        return value_pages.brief(self.rows())

    @property
    def _counting(self) -> dict[str, str]:
        """Places of complete trainings by method, in the order of the record."""
        return {one.name: self._places[one.name] for one in self._kept.methods if one.name in self._places}

    @property
    def _searches(self) -> dict[str, Sequence[Search]]:
        """Of complete trainings, by method."""
        return {name: self._read[place][1] for name, place in self._counting.items()}

    def _notes(self) -> list[str]:
        missing = [method.name for method in self._kept.methods if method.name not in self._places]
        notes = [self._kept.made_by]
        notes += [self._unlike[place] + "." for place in self._counting.values() if place in self._unlike]
        return [*notes, f"Trainings that are not complete: {', '.join(missing)}."] if missing else notes
