"""A whole run on disk without training: the simulated controller, with real component files and a real journal."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from unittest import mock

import numpy as np

from munet import config
from munet.config import Experiment
from munet.run import rehearsal
from munet.store import ComponentStore, Store
from munet.system import replay
from munet.types import ComponentId, ComponentRecord, PhaseEntry, Position, StartEntry, TaskInfo
from tests.evolution import simulation
from tests.evolution.simulation import Simulation, make_experiment, make_tasks

SMALL = {"num_blocks": 2, "num_generations": 2, "children_per_generation": 3, "num_task_iterations": 2}


def arrays_of(record: ComponentRecord) -> dict[str, np.ndarray]:
    """Small random values that follow from the record."""
    seed = int.from_bytes(hashlib.sha256(repr(record).encode()).digest()[:8], "big")
    generator = np.random.Generator(np.random.Philox(key=seed))
    return {path: generator.standard_normal(leaf.shape, dtype=np.float32) / 8 for path, leaf in record.leaves.items()}


def publish_to(components: ComponentStore) -> Callable[[ComponentRecord], ComponentId]:
    """What makes the simulation write its components."""
    return lambda record: components.put(record, arrays_of(record))


def write_run(
    workdir: Path,
    *,
    num_classes: tuple[int, ...] = (3, 5),
    tasks: tuple[TaskInfo, ...] = (),
    until: Position | None = None,
    **changes: object,
) -> Simulation:
    """Writes a simulated run as the run loop does: components, journal, a snapshot at each phase's end.

    Equal arguments give equal runs, so each is made once and then copied.

    Args:
      workdir: of the new run.
      num_classes: of the tasks `task0`, `task1`, ...
      tasks: instead of these.
      until: where the run is interrupted; None: it is complete.
      changes: fields of the experiment.
    """
    tasks = tasks or make_tasks(*num_classes)
    key = repr((tasks, until, sorted(changes.items())))
    if key not in _MADE:
        with tempfile.TemporaryDirectory() as place:
            run = _make(Path(place), tasks, until, changes)
            files = {
                str(file.relative_to(place)): file.read_bytes() for file in Path(place).rglob("*") if file.is_file()
            }
            _MADE[key] = (run, files)
    run, files = _MADE[key]
    for name, data in files.items():
        (workdir / name).parent.mkdir(parents=True, exist_ok=True)
        (workdir / name).write_bytes(data)
    return run


_MADE: dict[str, tuple[Simulation, dict[str, bytes]]] = {}


def _make(
    workdir: Path, tasks: tuple[TaskInfo, ...], until: Position | None, changes: Mapping[str, object]
) -> Simulation:
    settings: Mapping[str, object] = {**SMALL, "mutation_probability": 0.4, **changes}
    experiment: Experiment = make_experiment(tasks, **settings)
    store = Store.create_or_open(workdir)
    with store.lock(), mock.patch.object(rehearsal, "component_id", publish_to(store.components)):
        run = simulation.simulate(experiment, tasks, stop=lambda state: state.position == until)
        folded = None
        for entry in run.entries:
            if isinstance(entry, StartEntry):
                entry = replace(entry, experiment=config.to_json(experiment))
            store.journal.append(entry)
            folded = replay.tell(run.controller, folded, entry)
            if isinstance(entry, PhaseEntry):
                folded = replay.save_snapshot(folded, store)
        if not run.final.active:  # between two phases
            store.components.delete(store.components.ids() - set(run.final.components))
    return run
