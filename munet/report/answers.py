"""Answers to image files as text, a line an image as they come: a table, JSON or CSV."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from typing import Protocol, TextIO

from rich.cells import cell_len, set_cell_size

from munet.serving.answers import Answer
from munet.serving.prediction import Prediction
from munet.text import printable
from munet.types import TaskName

_MEASURED = 100  # rows that the widths of a table are measured on; all of a short one
_MOST = 48  # letters of a cell
_UNSURE = "?"  # where no class is probable enough


class Form(Protocol):
    """How answers are written; `end` once behind the last."""

    def write(self, answer: Answer) -> None:
        """Writes an answer, now or with one of the next."""

    def end(self) -> None:
        """Writes what is left."""


def classes(prediction: Prediction, top: int, min_confidence: float) -> list[tuple[str, float]]:
    """The most probable classes of one image that are probable enough."""
    return [(name, share) for name, share in prediction.top(top)[0] if share >= min_confidence]


class JsonLines:
    """One JSON object a line: `{"image", "predictions": {task: [{"class", "probability"}, ...]}}`, or `"error"`."""

    def __init__(self, stream: TextIO, top: int, min_confidence: float):
        self._stream, self._top, self._min_confidence = stream, top, min_confidence

    def write(self, answer: Answer) -> None:
        """Writes an answer."""
        line: dict[str, object] = {"image": answer.path}
        if answer.problem:
            line["error"] = answer.problem
        else:
            line["predictions"] = {
                task: [
                    {"class": name, "probability": round(share, 6)}
                    for name, share in classes(prediction, self._top, self._min_confidence)
                ]
                for task, prediction in answer.predictions.items()
            }
        self._stream.write(json.dumps(line) + "\n")

    def end(self) -> None:
        """Nothing is left."""


class CsvLines:
    """A head, then `image, task, class, probability, class_2, probability_2, ..., error`, a line a task and image."""

    def __init__(self, stream: TextIO, top: int, min_confidence: float):
        self._writer = csv.writer(stream, lineterminator="\n")
        self._top, self._min_confidence = top, min_confidence
        ranks = ["", *(f"_{rank}" for rank in range(2, top + 1))]
        columns = [column for rank in ranks for column in (f"class{rank}", f"probability{rank}")]
        self._writer.writerow(["image", "task", *columns, "error"])

    def write(self, answer: Answer) -> None:
        """Writes an answer; one without predictions has an error."""
        if answer.problem:
            self._writer.writerow([answer.path, "", *[""] * (2 * self._top), answer.problem])
        for task, prediction in answer.predictions.items():
            found = classes(prediction, self._top, self._min_confidence)
            cells = [cell for name, share in found for cell in (name, f"{share:.6f}")]
            self._writer.writerow([answer.path, task, *cells, *[""] * (2 * self._top - len(cells) + 1)])

    def end(self) -> None:
        """Nothing is left."""


class Table:
    """Columns for people; their widths are those of the first rows, so that a table may be as long as it likes."""

    def __init__(self, stream: TextIO, top: int, min_confidence: float, tasks: Sequence[TaskName]):
        self._stream, self._top, self._min_confidence = stream, top, min_confidence
        self._has_tasks = len(tasks) > 1
        self._rows: list[list[str]] = [["image", *(["task"] if self._has_tasks else []), *self._heads()]]
        self._widths: list[int] = []

    def write(self, answer: Answer) -> None:
        """Adds the rows of an answer, and writes them once the widths are known."""
        self._rows += [[printable(cell) for cell in row] for row in self._of(answer)]
        if self._widths or len(self._rows) > _MEASURED:
            self.end()

    def end(self) -> None:
        """Writes the rows that wait."""
        if not self._widths:
            columns = zip(*(row for row in self._rows if len(row) == len(self._rows[0])), strict=True)
            self._widths = [min(max(map(cell_len, column)), _MOST) for column in columns]
        for row in self._rows:
            cells = [self._cell(cell, width) for cell, width in zip(row, self._widths, strict=False)]
            self._stream.write("  ".join(cells).rstrip() + "\n")
        self._rows = []

    def _heads(self) -> Iterator[str]:
        for rank in range(1, self._top + 1):
            yield "class" if rank == 1 else f"{rank}."
            yield "%"

    def _of(self, answer: Answer) -> Iterator[list[str]]:
        if answer.problem:
            yield [answer.path, f"cannot be read: {answer.problem}".replace("cannot be read: cannot", "cannot")]
        for task, prediction in answer.predictions.items():
            found = classes(prediction, self._top, self._min_confidence)
            cells = [cell for name, share in found for cell in (name, f"{100 * share:.1f}")] or [_UNSURE, ""]
            cells += [""] * (2 * self._top - len(cells))
            yield [answer.path, *([task] if self._has_tasks else []), *cells]

    def _cell(self, text: str, width: int) -> str:
        if cell_len(text) > _MOST and "/" not in text and not text.startswith("cannot"):
            text = set_cell_size(text, _MOST - 1) + "…"
        return text + " " * (width - cell_len(text))
