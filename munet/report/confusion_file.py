"""`munet status --confusion`: a task's confusion matrix as a picture of its own, the figure that reports have, too."""

from __future__ import annotations

from pathlib import Path

from munet import output_file
from munet.errors import UserError
from munet.report import drawing
from munet.report.charts import confusion
from munet.report.charts.chart import Chart
from munet.report.classes import recorded_test
from munet.system.view import RunView
from munet.types import TaskName


def write(system: RunView, task: TaskName, path: str) -> None:
    """Writes the matrix of a task's test split.

    Raises:
      UserError: no such task, nothing recorded, another ending than .svg or .png, or the file cannot be written.
    """
    ending = Path(path).suffix.lower()
    if ending not in (".svg", ".png"):
        raise UserError(f"--confusion={path}: give a name that ends in .svg or .png; as such the matrix is drawn.")
    drawn = _alone(system, task)
    data = drawn.svg() if ending == ".svg" else drawn.png()
    output_file.write("--confusion", path, data)


def _alone(system: RunView, task: TaskName) -> Chart:
    """The figure with its title and caption inside."""
    names, counts = system.task(task).class_names, recorded_test(system, task)
    title, caption = f"{drawing.short(task, 40)}: what is taken for what", confusion.caption(len(names), counts)
    words = {
        "text": title,
        "subtitle": caption.split(". "),
        "fontSize": 15,
        "limit": 0,
        "offset": 16,
        "frame": "bounds",
    }
    return Chart("confusion", title, caption, {**confusion.spec(names, counts), "title": words})
