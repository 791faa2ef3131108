"""What a run costs beside training, at 10 to 10,000 tasks: controller, journal, snapshots, component files, resuming.

    python benchmarks/controller_scale.py [--tasks=10,100,1000,10000] [--phases=6] [--directory=DIR]

Prints one JSON line. Nothing is trained: qualities are invented (`munet/evolution/rehearsal.py`), and a component's file
holds a few bytes under its real name. All else is a run's own code: decisions, journal, snapshots and component files
in a work directory, with their fsync.

A work directory with that many tasks is built first, in cheap phases (two generations of two children, fsync left out);
then `--phases` full phases (8 generations of 8 children, `max_seed_parents=8`) are measured: half on new tasks, half on
old ones in their second iteration. Milliseconds are per child, of this process's processor (`cpu`) and by the clock
(`wall`); medians over the phases, so that a snapshot, which most phases do not write, is given apart. Resuming is measured in
a new process: from its start to the state at hand (`ledger.load`), and the state alone, with as many phases after the
last snapshot as were measured; `munet status --json` likewise.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

from munet import config, ledger
from munet.config import Experiment
from munet.config_files import load_config
from munet.evolution import rehearsal, schedule
from munet.evolution.controller import Controller
from munet.ledger import Ledger
from munet.store import Store
from munet.store.collecting import Collector
from munet.store.files import folder
from munet.types import ComponentId, GenerationEntry, PhaseEntry, Position, Quality, TaskInfo

SUFFIX, STUB = ".safetensors", b"a component of the scale benchmark"
CLASSES = 10
RESUME = """
import json, resource, sys, time
from munet import ledger
from munet.evolution.controller import Controller
from munet.store import Store
from munet.system import read_experiment, read_start
cpu, wall = time.process_time(), time.perf_counter()
store = Store.open(sys.argv[1])
start = read_start(store)
opened = time.perf_counter() - wall
found = ledger.load(Controller(read_experiment(start), start.tasks), store)
print(json.dumps({"cpu_s": round(time.process_time() - cpu, 2), "wall_s": round(time.perf_counter() - wall, 2),
    "of_that_first_entry_s": round(opened, 2), "entries": found.length, "process_cpu_s": round(time.process_time(), 2),
    "memory_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)}))
"""


class Meter:
    """Seconds by part of a phase, of the processor and by the clock."""

    def __init__(self) -> None:
        self.cpu: dict[str, float] = defaultdict(float)
        self.wall: dict[str, float] = defaultdict(float)

    @contextlib.contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Adds what the block takes to a part."""
        cpu, wall = time.process_time(), time.perf_counter()
        yield
        self.cpu[name] += time.process_time() - cpu
        self.wall[name] += time.perf_counter() - wall


class Run:
    """A run without training.

    Args:
      store: of a new work directory.
      tasks: all of them.
    """

    def __init__(self, store: Store, tasks: tuple[TaskInfo, ...]):
        base = load_config("base").experiment
        self.full: Experiment = replace(base, tasks=tuple(task.uri for task in tasks), num_generations=8)
        self.full = replace(self.full, children_per_generation=8, max_seed_parents=8, num_task_iterations=2)
        self.cheap = replace(self.full, num_generations=2, children_per_generation=2, max_seed_parents=2)
        self.store, self.tasks = store, tasks
        self.components = folder(store.components.path)
        self.collector = Collector(store.components)
        entry = replace(rehearsal.start_entry(self.full, tasks), experiment=config.to_json(self.full))
        self._put(entry.published)
        store.journal.append(entry)
        self.current: Ledger = ledger.fold(Controller(self.full, tasks), None, entry)

    def phase(self, experiment: Experiment, meter: Meter) -> None:
        """One whole phase."""
        controller = Controller(experiment, self.tasks)
        while not controller.is_phase_over(self.current.state):
            state = self.current.state
            with meter.part("ask"):
                plan = controller.ask(state)
            cycles = schedule.cycles_per_child(experiment)
            trainings = {child.id: rehearsal.invent(child, cycles) for child in plan.children}
            with meter.part("judge"):
                entry = rehearsal.run_generation(controller, state, plan, trainings)
            with meter.part("files"):
                self._put(entry.published)
            self._commit(controller, entry, meter)
        with meter.part("judge"):
            best = controller.best(self.current.state)
        task = controller.task(self.current.state).name
        before = self.current.state
        self._commit(controller, PhaseEntry(before.position, task, best.id, Quality(best.id % 101, 100)), meter)
        with meter.part("collect"):
            self.collector.collect(self.current.state.components, before.components_of(before.active))
        with meter.part("snapshot"):
            self.current = ledger.save_snapshot(self.current, self.store)

    def save(self) -> None:
        """Takes a snapshot, due or not."""
        self.current = ledger.save_snapshot(self.current, self.store, is_last=True)

    def _put(self, published: Iterable[ComponentId]) -> None:
        for identity in published:
            self.components.create(identity + SUFFIX, STUB)

    def _commit(self, controller: Controller, entry: GenerationEntry | PhaseEntry, meter: Meter) -> None:
        with meter.part("fold"):
            self.current = ledger.fold(controller, self.current, entry)
        with meter.part("journal"):
            self.store.journal.append(entry)


def measure(num_tasks: int, num_phases: int, directory: str | None) -> dict[str, Any]:
    """Builds a run with `num_tasks` tasks and measures it."""
    new = num_phases // 2
    tasks = tuple(
        TaskInfo(f"task{i}", f"builtin:task{i}", f"{i:064x}", tuple(map(str, range(CLASSES))), 8000, 1000, 1000)
        for i in range(num_tasks + new)
    )
    with tempfile.TemporaryDirectory(dir=directory) as workdir:
        store = Store(workdir)
        with mock.patch.object(os, "fsync"):
            run = Run(store, tasks)
            begun = time.process_time()
            for _ in range(num_tasks):
                run.phase(run.cheap, Meter())
            built = time.process_time() - begun
        run.save()
        entries, written = len(store.journal), size(store.journal.path)
        meters = []
        for _ in range(num_phases):
            meters.append(Meter())
            run.phase(run.full, meters[-1])
        children = schedule.num_generations(run.full) * run.full.children_per_generation
        state = run.current.state
        result: dict[str, Any] = {
            "tasks": num_tasks,
            "cpu_ms_per_child": per_child(children, [meter.cpu for meter in meters]),
            "wall_ms_per_child": per_child(children, [meter.wall for meter in meters]),
            "worst_phase_cpu_ms_per_child": round(max(sum(m.cpu.values()) for m in meters) * 1000 / children, 2),
            "journal_bytes_per_child": round((size(store.journal.path) - written) / (num_phases * children)),
            "journal_entries": entries,
            "components": len(state.components),
            "deepest_lineage": max(sum(1 for _ in state.lineage(id)) for id in [*state.active, *state.seeds]),
            "snapshot_bytes": max(file.stat().st_size for file in Path(store.snapshots.path).iterdir()),
            "memory_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
            "built_in_cpu_s": round(built, 1),
        }
        with Meter().part("save"):
            cpu = time.process_time()
            run.save()
            result["snapshot_cpu_s"] = round(time.process_time() - cpu, 2)
        return result


def per_child(children: int, phases: list[dict[str, float]]) -> dict[str, float]:
    """Milliseconds a child by part, and of all parts: medians over phases."""
    parts = {name: [phase[name] for phase in phases] for name in phases[0]}
    parts["all"] = [sum(phase.values()) for phase in phases]
    return {name: round(statistics.median(values) * 1000 / children, 3) for name, values in parts.items()}


def size(path: str) -> int:
    """Bytes in a folder's files."""
    with os.scandir(path) as entries:
        return sum(entry.stat().st_size for entry in entries)


def main() -> None:
    """Measures every size, each in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", default="10,100,1000,10000")
    parser.add_argument("--phases", type=int, default=6)
    parser.add_argument("--directory", default=None)
    parser.add_argument("--one", action="store_true")
    options = parser.parse_args()
    print(json.dumps(measure(int(options.tasks), options.phases, options.directory)))


if __name__ == "__main__":
    main()
