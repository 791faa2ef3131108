"""Opens `memory:NAME`: a task from arrays that were handed over in Python (`munet.Task`)."""

from __future__ import annotations

from munet.data.arrays import open_arrays
from munet.data.open_settings import OpenSettings, TaskUri
from munet.data.splits import Source
from munet.errors import DataError


def open_memory(uri: TaskUri, settings: OpenSettings) -> Source:
    """Opens a task whose arrays were handed over in Python.

    Raises:
      DataError: they were not, or its labels make no classification task.
    """
    task = settings.arrays.get(uri.name)
    if task is None:
        raise DataError(
            f"{uri.text}: the arrays of this task live in Python only; hand them over there: "
            f"task = munet.Task({uri.name!r}, images, labels); munet.evolve([task], workdir=...) starts the run or "
            "goes on with it, munet.verify(workdir, tasks=[task]) measures its accuracies again."
        )
    return open_arrays(uri.text, task.parts, task.class_names, seed=settings.seed, canvas=settings.canvas)
