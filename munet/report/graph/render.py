"""`munet graph`: the layer graph of a run in one of several formats, written to a file or standard output."""

from __future__ import annotations

import sys
from pathlib import Path

from munet import output_file
from munet.errors import UserError, nearest
from munet.report import history
from munet.report.graph import formats, model_explorer, page, png, svg
from munet.report.graph.graph import Graph, of_run
from munet.system import view
from munet.system.view import RunView

FORMATS = ("dot", "html", "json", "model_explorer", "png", "svg")
_LONG_ENDING = ".model_explorer.json"  # of a file; others have the format's own name


def render(graph: Graph, format: str) -> str:
    """The graph as text: `dot`, `json`, `model_explorer` or `svg`.

    Raises:
      UserError: no such format; the message names the nearest.
    """
    if format == "dot":
        return formats.to_dot(graph)
    if format == "json":
        return formats.to_json_text(graph)
    if format == "model_explorer":
        return model_explorer.to_model_explorer(graph)
    if format == "svg":
        return svg.to_svg(graph)
    raise UserError(f"There is no graph format {format!r}. {nearest(format, FORMATS)}")


def write(workdir: str, format: str = "", output: str = "") -> None:
    """Writes the graph of the system in `workdir` to the file `output`, or to standard output ("" or "-").

    Args:
      workdir: of a run, finished or not.
      format: one of `FORMATS`; "": the ending of `output`, else `svg`.
      output: the file to write.

    Raises:
      UserError: no such format, no system there, or the file cannot be written.
    """
    is_file = output not in ("", "-")
    if not format:
        format = _format_of(output) if is_file else "svg"
    if format not in FORMATS:
        raise UserError(f"There is no graph format {format!r}. {nearest(format, FORMATS)}")
    if format == "png" and not is_file:
        raise UserError("A PNG is not written to standard output: give --output=graph.png.")
    content = _content(view.open(workdir), format)
    if not is_file:
        sys.stdout.write(content.decode())
        return
    output_file.write("--output", output, content)


def _content(run: RunView, format: str) -> bytes:
    if format == "html":
        return page.to_page(run.every_task, history.of_run(run)).encode()
    if format == "png":
        return png.from_svg(render(of_run(run), "svg"))
    return render(of_run(run), format).encode()


def _format_of(output: str) -> str:
    return "model_explorer" if output.endswith(_LONG_ENDING) else Path(output).suffix.removeprefix(".")
