"""What it saves that children of different streams train side by side, instead of one stream after the other.

    python -m benchmarks.streams [--task=builtin:digits] [--repeats=5] [--batch_size=80] [--cycles=4]
    XLA_FLAGS=--xla_force_host_platform_device_count=8 python -m benchmarks.streams --children=8

Prints one JSON line: for a generation of children with crop settings of their own (`settings`) and for two replicas of
a baseline (`replicas`), the median seconds of a generation that trains its streams together and of one that trains
them apart, in turn in one process after both were compiled; every layer of every child trains. `ratio` is the median of
the turns' ratios, `processor_ratio` the same of processor time, which other processes disturb less. `devices` is how
many chunks each device has when they train together.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import jax

from benchmarks.contenders import cases
from munet.config import Config
from munet.data.tasks import Task, load_task
from munet.training.placement.devices import DeviceLayout
from munet.training.population import Population
from munet.training.work import TaskWork
from munet.types import GenerationPlan

_REPLICAS = 2


class Seconds(NamedTuple):
    """What a generation takes, by the clock and of processor time."""

    wall: float
    processor: float


class Streams:
    """A generation of streams of one child each.

    Args:
      config: of the run that it would be of.
      task: that its children train on.
      plan: the children.
      case: whose arrays they start from.
    """

    def __init__(self, config: Config, task: Task, plan: GenerationPlan, case: cases.Case):
        self._plan = replace(plan, task=task.info.name)
        self._work = TaskWork.of(config.experiment, task.info)
        layout = DeviceLayout.detect(config.runtime)
        self._population = Population(config, layout, {task.info.name: task}, cases.loader(case, plan))

    def together(self) -> Seconds:
        """Of the generation."""
        return self._seconds([self._plan])

    def apart(self) -> Seconds:
        """Of a generation for each child, one after the other."""
        return self._seconds([replace(self._plan, children=(child,)) for child in self._plan.children])

    def devices(self) -> dict[int, int]:
        """How many chunks lie on each device, by the device's number."""
        placed = self._population.plan(self._plan, self._work)
        chunks = [chunk for wave in placed.waves for chunk in wave.chunks]
        return dict(sorted(Counter(device.id for chunk in chunks for device in chunk.mesh.devices.flat).items()))

    def _seconds(self, plans: Sequence[GenerationPlan]) -> Seconds:
        started, worked = time.perf_counter(), time.process_time()
        for plan in plans:
            self._population.train(self._population.plan(plan, self._work), lambda *_: None)
        return Seconds(time.perf_counter() - started, time.process_time() - worked)


def of_settings(case: cases.Case, task: Task) -> Streams:
    """Children that crop their images more or less."""
    plan = cases.generation(case)
    children = tuple(
        replace(child, hyperparameters={**child.hyperparameters, "crop_area_min": (index + 1) / case.children})
        for index, child in enumerate(plan.children)
    )
    return Streams(cases.config(case), task, replace(plan, children=children), case)


def of_replicas(case: cases.Case, task: Task) -> Streams:
    """Replicas of full fine-tuning."""
    case = replace(case, children=_REPLICAS)
    config = cases.config(case)
    config.experiment.baseline.kind = "full"
    config.experiment.num_generations = config.experiment.num_task_iterations = 1  # no more cycles than a child has
    return Streams(config, task, cases.generation(case), case)


def measure(streams: Streams, repeats: int) -> dict[str, Any]:
    """Medians of `repeats` turns, after one that compiles."""
    turns = [(streams.together(), streams.apart()) for _ in range(repeats + 1)][1:]
    together, apart = (Seconds(*map(statistics.median, zip(*own, strict=True))) for own in zip(*turns, strict=True))
    return {
        "together_s": round(together.wall, 3),
        "apart_s": round(apart.wall, 3),
        "ratio": round(statistics.median(one.wall / other.wall for one, other in turns), 3),
        "processor_ratio": round(statistics.median(one.processor / other.processor for one, other in turns), 3),
        "devices": streams.devices(),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures and prints one line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", default="builtin:digits")
    parser.add_argument("--variant", default="demo/16")
    for name, default in {"children": 4, "batch_size": 80, "cycles": 4, "steps": 10, "repeats": 5}.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    options = vars(parser.parse_args(arguments))
    task, repeats = load_task(options.pop("task")), options.pop("repeats")
    case = cases.Case(kind="full", **options)
    found = {
        "settings": measure(of_settings(case, task), repeats),
        "replicas": measure(of_replicas(case, task), repeats),
    }
    print(json.dumps({"device": jax.devices()[0].device_kind, "jax": jax.__version__, **options, **found}))


if __name__ == "__main__":
    main()
