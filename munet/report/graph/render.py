"""`munet graph`: the layer graph of a run as text of a format, written to a file or standard output."""

from __future__ import annotations

import sys
from pathlib import Path

from munet.errors import UserError, nearest
from munet.report.graph import formats, svg
from munet.report.graph.graph import Graph, of_run
from munet.system import view

FORMATS = ("dot", "json", "svg")


def render(graph: Graph, format: str) -> str:
    """The graph as text: `dot`, `json` or `svg`.

    Raises:
      UserError: no such format; the message names the nearest.
    """
    if format == "dot":
        return formats.to_dot(graph)
    if format == "json":
        return formats.to_json_text(graph)
    if format == "svg":
        return svg.to_svg(graph)
    raise UserError(f"There is no graph format {format!r}. {nearest(format, FORMATS)}")


def write(workdir: str, format: str = "", output: str = "") -> None:
    """Writes the graph of the system in `workdir` to the file `output`, or to standard output ("" or "-").

    Args:
      workdir: of a run, finished or not.
      format: `dot`, `json` or `svg`; "": the ending of `output`, else `svg`.
      output: the file to write.

    Raises:
      UserError: no such format, no system there, or the file cannot be written.
    """
    is_file = output not in ("", "-")
    if not format:
        format = Path(output).suffix.removeprefix(".") if is_file else "svg"
    if format not in FORMATS:
        raise UserError(f"There is no graph format {format!r}. {nearest(format, FORMATS)}")
    text = render(of_run(view.open(workdir)), format)
    if not is_file:
        sys.stdout.write(text)
        return
    try:
        Path(output).write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserError(
            f"The graph cannot be written to {output}: {error.strerror}. Give a file in a folder that exists."
        ) from error
