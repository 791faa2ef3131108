"""A whole stored run compressed without data: the qualities are made up from how far arrays are from the original."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from munet.compression.compress import Compression, Measure, compress
from munet.store import new_workdir
from munet.system import view
from munet.system.view import RunView
from munet.types import CompressedModel, CompressionEntry, PhaseEntry, Quality, TaskName
from munet.vit.init import FlatArrays
from tests.report.stored_run import write_run


def write_smooth_run(workdir: Path) -> RunView:
    """A complete run of three tasks."""
    write_run(workdir, num_classes=(3, 5, 7), mutation_probability=0.8)
    return view.open(str(workdir))


def measure_of(system: RunView) -> Measure:
    """90 of 100 right as it is, and fewer the more of a task's arrays has changed."""

    @functools.cache
    def original(task: TaskName) -> dict[str, dict[str, np.ndarray]]:
        return system.load(task)

    def measure(task: TaskName, components: Mapping[str, FlatArrays]) -> Quality:
        lost = size = 0.0
        for name, arrays in original(task).items():
            for path, array in arrays.items():
                lost += float(np.sum(np.square(array - components[name][path])))
                size += float(np.sum(np.square(array)))
        return Quality(90 - round(300 * lost / size), 100)

    return measure


def compressed(system: RunView, tolerance: float = 8) -> Compression:
    """The system's models in low rank."""
    load = functools.cache(system.store.components.load)
    return compress(system.state, system.models, load, measure_of(system), tolerance=tolerance, ranks=(1, 4))


def entry_of(system: RunView, found: Compression) -> CompressionEntry:
    """The journal's entry, with test counts made up."""
    models: list[CompressedModel] = []
    for task in sorted(found.components, key=lambda task: system.model(task).id):
        id = system.state.next_model_id + len(models)
        counted = (20,) * system.task(task).num_classes
        correct = tuple(range(len(counted)))
        test = Quality(sum(correct), sum(counted))
        measured = PhaseEntry(system.position, task, id, test, correct, counted)
        models.append(
            CompressedModel(
                system.model(task).id, found.components[task], found.after[task], found.before[task], measured
            )
        )
    return CompressionEntry(system.position, tuple(models), found.published, 8.0)


def write(system: RunView, found: Compression, to: Path) -> None:
    """Writes the compressed system."""
    entry = entry_of(system, found)
    kept = set(system.controller.tell(system.state, entry).components) - found.published.keys()
    published = {id: (found.published[id], found.arrays[id]) for id in found.published}
    new_workdir.write(system.store, str(to), kept, published, entry)
