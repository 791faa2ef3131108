"""What a run costs beside training, at 10 to 10,000 tasks: controller, journal, snapshots, component files, resuming.

    python -m benchmarks.controller_scale [--tasks=10,100,1000,10000] [--phases=6] [--directory=DIR]

Prints one JSON line. Nothing is trained: qualities are invented (`munet/run/rehearsal.py`), and a component's
file holds a few bytes under its real name. All else is a run's own code: decisions, journal, snapshots and component
files in a work directory, with their fsync.

A work directory with that many tasks is built first, in cheap phases (two generations of two children, fsync left
out). Then `--phases` full phases (8 generations of 8 children, `max_seed_parents=8`, chosen by invented fits) are
measured: half on new tasks, half on old ones in their second iteration. `cpu_ms_per_child` is this process's processor
time, `wall_ms_per_child` the clock's: means over all these phases. A snapshot is not due in each of them, so what it
costs is measured apart and divided among the children that come before the next (`snapshot` of `cpu_ms_per_child`).
`resume` is a new process that opens the work directory when the next snapshot is about to become due, so that as much
is to be replayed as ever is: from the import of munet to the state at hand. `status` is `munet status --json`,
likewise, of the tasks built.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import resource
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

from munet import config
from munet.config import Experiment
from munet.config.files import load_config
from munet.evolution.controller import Controller
from munet.run import rehearsal
from munet.store import Store
from munet.store.collector import Collector
from munet.store.folders import open_folder
from munet.system import replay
from munet.system.replay import RunState
from munet.types import ComponentId, GenerationEntry, PhaseEntry, Quality, SeedsEntry, TaskInfo

SUFFIX, STUB = ".safetensors", b"a component of the scale benchmark"
CLASSES = 10
CHILDREN = 64  # of a full phase
RESUME = """
import json, resource, sys, time
from dataclasses import replace
from munet.system import replay
from munet.evolution.controller import Controller
from munet.store import Store
from munet.system.start_entry import read_experiment, read_start
imported = time.process_time()
store = Store.open(sys.argv[1])
start = read_start(store)
first = time.process_time()
full = replace(read_experiment(start), num_generations=8, children_per_generation=8, max_seed_parents=8)
found = replay.load(Controller(full, start.tasks), store)
loaded = time.process_time()
print(json.dumps({
    "replayed_children": found.state.next_model_id - found.saved_at, "cpu_s": round(loaded - imported, 2),
    "first_entry_cpu_s": round(first - imported, 2), "imports_cpu_s": round(imported, 2),
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
        self.components = open_folder(store.components.path)
        self.collector = Collector(store.components)
        entry = replace(rehearsal.start_entry(self.full, tasks), experiment=config.to_json(self.cheap))
        self._put(entry.published)
        store.journal.append(entry)
        self.current: RunState = replay.tell(Controller(self.full, tasks), None, entry)

    def phase(self, experiment: Experiment, meter: Meter) -> None:
        """Plays one whole phase, from the choice of seed parents to the test of the retained model."""
        controller = Controller(experiment, self.tasks)
        while not controller.is_phase_over(self.current.state):
            state = self.current.state
            with meter.part("choose"):
                candidates = controller.seed_candidates(state)
            if candidates:
                self._commit(controller, rehearsal.invent_fits(controller, state), meter)
                continue
            with meter.part("ask"):
                plan = controller.ask(state)
            cycles = controller.cycles(state)
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
            self.current = replay.save_snapshot(self.current, self.store)

    def save(self) -> None:
        """Takes a snapshot, due or not."""
        self.current = replay.save_snapshot(self.current, self.store, is_last=True)

    def _put(self, published: Iterable[ComponentId]) -> None:
        for identity in published:
            self.components.create(identity + SUFFIX, STUB)

    def _commit(self, controller: Controller, entry: SeedsEntry | GenerationEntry | PhaseEntry, meter: Meter) -> None:
        with meter.part("fold"):
            self.current = replay.tell(controller, self.current, entry)
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
        status = timed([sys.executable, "-m", "munet", "status", "--json", f"--workdir={workdir}"])
        written, before = size(store.journal.path), run.current.state.next_model_id
        meters = []
        for _ in range(num_phases):
            meters.append(Meter())
            run.phase(run.full, meters[-1])
        state = run.current.state
        children = state.next_model_id - before
        written = size(store.journal.path) - written
        saving = Meter()
        with saving.part("snapshot"):
            run.save()
        until_due = max(CHILDREN, replay.CHILDREN_PER_MODEL * len(state.models))
        cpu = per_child(children, [meter.cpu for meter in meters])
        cpu["snapshot"] = round(saving.cpu["snapshot"] * 1000 / until_due, 3)
        cpu["all"] = round(sum(cpu.values()), 3)
        with mock.patch.object(os, "fsync"):
            for _ in range(int(until_due / CHILDREN) - 1):
                run.phase(run.full, Meter())
        resume = timed([sys.executable, "-c", RESUME, workdir])
        return {
            "tasks": num_tasks,
            "cpu_ms_per_child": cpu,
            "wall_ms_per_child": per_child(children, [meter.wall for meter in meters]),
            "journal_bytes_per_child": round(written / children),
            "snapshot": {
                "bytes": max(file.stat().st_size for file in Path(store.snapshots.path).iterdir()),
                "cpu_s": round(saving.cpu["snapshot"], 2),
                "children_between_two": round(until_due),
            },
            "resume": {**json.loads(resume["output"]), "wall_s": resume["wall_s"]},
            "status": {"cpu_s": status["cpu_s"], "wall_s": status["wall_s"], "bytes": len(status["output"])},
            "memory_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
            "journal_entries": len(store.journal),
            "components": len(state.components),
            "longest_lineage": max(sum(1 for _ in state.lineage(id)) for id in [*state.active, *state.seeds]),
            "built_in_cpu_s": round(built, 1),
        }


def per_child(children: int, phases: list[dict[str, float]]) -> dict[str, float]:
    """Milliseconds a child by part: means over phases."""
    return {part: round(sum(phase[part] for phase in phases) * 1000 / children, 3) for part in phases[0]}


def timed(command: list[str]) -> dict[str, Any]:
    """What a command prints, and its seconds, those of its start included."""
    before, wall = os.times(), time.perf_counter()
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return {"output": output, "cpu_s": round(cpu, 2), "wall_s": round(time.perf_counter() - wall, 2)}


def size(path: str) -> int:
    """Bytes in a folder's files."""
    with os.scandir(path) as entries:
        return sum(entry.stat().st_size for entry in entries)


def main() -> None:
    """Measures every size in a process of its own, whose memory is its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", default="10,100,1000,10000")
    parser.add_argument("--phases", type=int, default=6)
    parser.add_argument("--directory", default=None, help="where the work directories are made, and removed")
    options = parser.parse_args()
    sizes = [int(size) for size in options.tasks.split(",")]
    if len(sizes) == 1:
        print(json.dumps(measure(sizes[0], options.phases, options.directory)))
        return
    rest = [f"--phases={options.phases}", *([f"--directory={options.directory}"] if options.directory else [])]
    print(json.dumps([json.loads(timed([sys.executable, __file__, f"--tasks={n}", *rest])["output"]) for n in sizes]))


if __name__ == "__main__":
    main()
