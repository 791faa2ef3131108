"""A report's figures and tables as files: SVG and PNG of every figure, CSV of every table and figure."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from munet.errors import UserError
from munet.report.charts.chart import Chart
from munet.report.graph import png
from munet.report.page.parts import Graph, Report, Table, csv_text


def write(report: Report, directory: str) -> list[str]:
    """Writes them into a directory, which is made; returns the names of the files.

    Raises:
      UserError: it cannot be written.
    """
    place = Path(directory)
    try:
        place.mkdir(parents=True, exist_ok=True)
        return [_write(place / name, data) for name, data in files(report)]
    except OSError as error:
        raise UserError(
            f"--figures={directory} cannot be written: {error.strerror or error}. Give a directory that can be made."
        ) from error


def files(report: Report) -> Iterator[tuple[str, bytes]]:
    """Names and contents."""
    for part in (part for section in report.sections for part in section.parts):
        if isinstance(part, Table):
            yield f"{part.name}.csv", part.csv().encode("utf-8", "replace")
        elif isinstance(part, Chart):
            yield f"{part.name}.svg", part.svg()
            yield f"{part.name}.png", part.png()
            if part.rows:
                yield f"{part.name}.csv", csv_text(part.rows).encode("utf-8", "replace")
        elif isinstance(part, Graph) and part.svg:
            yield "graph.svg", part.svg.encode()
            yield "graph.png", png.from_svg(part.svg)


def _write(path: Path, data: bytes) -> str:
    path.write_bytes(data)
    return path.name
