"""The events of a simulated run, as a real one would send them: `python -m tests.simulated_events [SECONDS]` shows it.

SECONDS is the time between two events, so that the live display can be looked at.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import replace

from munet.config import Experiment
from munet.evolution.stages import stages
from munet.progress import (
    Compiling,
    CycleEnded,
    Event,
    GenerationEnded,
    GenerationStarted,
    Note,
    PhaseEnded,
    PhaseStarted,
    RunEnded,
    RunStarted,
)
from munet.types import ChildCost, GenerationEntry, GenerationPlan, PhaseEntry, TaskInfo
from tests.evolution.simulation import make_experiment, make_tasks, simulate

BATCH, STEPS = 128, 10


def small_run() -> tuple[Experiment, tuple[TaskInfo, ...]]:
    """Two tasks, two task iterations of two generations of four children of three cycles."""
    tasks = make_tasks(10, 24)
    tasks = (replace(tasks[0], name="digits"), replace(tasks[1], name="glyphs/greek"))
    budget = {"num_generations": 2, "children_per_generation": 4, "cycles_per_child": 3, "max_seed_parents": 1}
    return make_experiment(tasks, **budget), tasks


def simulated_events(workdir: str = "runs/demo", mutation_probability: float = 0.1) -> Iterator[Event]:
    """Every event of the small run, from `RunStarted` to `RunEnded`."""
    experiment, tasks = small_run()
    experiment = replace(experiment, mutation_probability=mutation_probability)
    run = simulate(experiment, tasks)
    children = experiment.children_per_generation
    per_child = experiment.cycles_per_child * STEPS * BATCH
    total = sum(isinstance(entry, GenerationEntry) for entry in run.entries) * children * per_child
    yield RunStarted(
        workdir, tuple(task.name for task in tasks), experiment.num_task_iterations, experiment.num_generations,
        tuple(map(str, stages(experiment))), image_steps_total=total,
    )  # fmt: skip
    previous = None
    for entry, state in zip(run.entries[1:], run.states[1:], strict=True):
        assert isinstance(entry, GenerationEntry | PhaseEntry)
        phase = (entry.position.task_iteration, entry.position.task_index)
        if phase != previous:
            yield PhaseStarted(tasks[entry.position.task_index], entry.position)
        previous = phase
        if isinstance(entry, PhaseEntry):
            yield PhaseEnded(entry, state.models[entry.retained], 153_000, 51_000.0)
            continue
        plans = tuple(child.plan for child in entry.children)
        plan = GenerationPlan(entry.position, entry.task, plans, entry.data_mutations)
        yield GenerationStarted(plan, BATCH, STEPS, 2, experiment.cycles_per_child)
        for ready in range(3 if entry.position.generation == 0 else 0):  # later ones run in the same programs
            yield Compiling(ready, 2)
        for cycle in range(experiment.cycles_per_child):
            qualities = {child.plan.id: child.training.qualities[cycle] for child in entry.children}
            yield CycleEnded(cycle, qualities, children * STEPS * BATCH, 0.5)
        cost = ChildCost(per_child, 0.4)
        yield GenerationEnded(replace(entry, children=tuple(replace(c, cost=cost) for c in entry.children)), 1.6)
    yield Note("Comparing with full fine-tuning on the same budget.")
    yield RunEnded(True, 21.0)


if __name__ == "__main__":
    from munet.progress.listeners import listeners_for

    with listeners_for(sys.stdout, with_log=False) as listen:
        for event in simulated_events():
            listen(event)
            time.sleep(float(sys.argv[1]) if len(sys.argv) > 1 else 0)
