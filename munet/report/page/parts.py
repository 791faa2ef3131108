"""What a report is made of: sections of tables, figures, texts and pictures; pages and files are written from these."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from munet.report.charts.chart import Chart

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Column:
    """A column as people see it.

    Attributes:
      head: its name.
      show: the text of a row's cell.
      is_text: whether it stands at the left, not at the right as numbers do.
    """

    head: str
    show: Callable[[Row], str]
    is_text: bool = False


@dataclass(frozen=True)
class Table:
    """Rows of values, for programs, and columns of texts made of them, for people.

    Attributes:
      name: of its file, without an ending.
      title: above it.
      rows: of values; all with the same keys, which are the head of the file.
      columns: what people see.
      note: below it.
      most: rows that the page shows.
      is_closed: whether it is opened by a click only.
    """

    name: str
    title: str
    rows: Sequence[Row]
    columns: Sequence[Column]
    note: str = ""
    most: int = 200
    is_closed: bool = False

    def csv(self) -> str:
        """All rows, comma-separated, with a head."""
        return csv_text(self.rows)


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    text: str


@dataclass(frozen=True)
class Graph:
    """The layer graph: a page of its own inside of the page, or, where there is no journal, a picture.

    Attributes:
      page: HTML; "": none.
      svg: the picture of the retained models.
    """

    page: str
    svg: str


@dataclass(frozen=True)
class Pictures:
    """Small pictures with a line below each.

    Attributes:
      title: above them.
      pictures: PNG files and texts.
    """

    title: str
    pictures: Sequence[tuple[bytes, str]]


Part = Table | Text | Graph | Pictures | Chart


@dataclass(frozen=True)
class Section:
    """A part of a report with a heading; one without parts is left out.

    Attributes:
      name: of its address in the page.
      title: the heading.
      parts: what is in it.
    """

    name: str
    title: str
    parts: Sequence[Part] = field(default=())


@dataclass(frozen=True)
class Report:
    """All of it.

    Attributes:
      title: of the page.
      facts: the most important numbers, each with what it is.
      lines: in words.
      sections: those that are there.
      length: of the journal when it was read.
    """

    title: str
    facts: Sequence[tuple[str, str]]
    lines: Sequence[str]
    sections: Sequence[Section]
    length: int


def csv_text(rows: Sequence[Row]) -> str:
    """Rows of equal keys as comma-separated text with a head."""
    text = io.StringIO()
    if rows:
        writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return text.getvalue()


def plain(key: str, head: str) -> Column:
    """A column of whole numbers, or of what is not there."""
    return Column(head, lambda row: "-" if row[key] is None else f"{row[key]:,}")


def text(key: str, head: str) -> Column:
    """A column of texts."""
    return Column(head, lambda row: str(row[key]) or "-", is_text=True)


def percent(key: str, head: str, digits: int = 2) -> Column:
    """A column of shares."""
    return Column(head, lambda row: "-" if row[key] is None else f"{row[key]:.{digits}%}")
