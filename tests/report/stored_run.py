"""A whole run on disk without training: the simulated controller, with real component files and a real journal."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from munet import config, ledger
from munet.config import Experiment
from munet.evolution.state import State
from munet.store import ComponentStore, Store
from munet.types import ComponentId, ComponentRecord, PhaseEntry, StartEntry, TaskInfo
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
    monkeypatch: pytest.MonkeyPatch,
    *,
    num_classes: tuple[int, ...] = (3, 5),
    tasks: tuple[TaskInfo, ...] = (),
    stop: Callable[[State], bool] = lambda _: False,
    **changes: object,
) -> Simulation:
    """Simulates a run and writes it as the run loop does: components, journal, a snapshot at each phase's end."""
    tasks = tasks or make_tasks(*num_classes)
    settings: Mapping[str, object] = {**SMALL, "mutation_probability": 0.4, **changes}
    experiment: Experiment = make_experiment(tasks, **settings)
    store = Store.create_or_open(workdir)
    with monkeypatch.context() as patch, store.lock():
        patch.setattr(simulation, "component_id", publish_to(store.components))
        run = simulation.simulate(experiment, tasks, stop=stop)
        folded = None
        for entry in run.entries:
            if isinstance(entry, StartEntry):
                entry = replace(entry, experiment=config.to_json(experiment))
            store.journal.append(entry)
            folded = ledger.fold(run.controller, folded, entry)
            if isinstance(entry, PhaseEntry):
                ledger.save_snapshot(folded, store)
        if not run.final.active:  # between two phases
            store.components.delete(store.components.ids() - set(run.final.components))
    return run
