"""Contender: munet's engine, a generation or bare train steps, and the peak of the device it runs on."""

from __future__ import annotations

import json
import resource
import statistics
import sys
import time
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.contenders import cases
from benchmarks.contenders.process import serve
from benchmarks.profiling import compilations
from munet.training.measure import timing
from munet.training.placement import grouping
from munet.training.placement.devices import DeviceLayout
from munet.training.placement.grouping import Group
from munet.training.placement.placing import place
from munet.training.population import Population
from munet.training.program import programs
from munet.training.program.optimizer import UpdateRule
from munet.training.program.signature import INPUT_LEVEL, Signature
from munet.training.trainer import TrainedChild
from munet.training.work import TaskWork
from munet.types import ModelId


class Engine:
    """A generation of a case, trained as often as asked; the first time includes compilation."""

    def __init__(self, case: cases.Case):
        self._config, self._task, self._plan = cases.config(case), cases.task(case), cases.generation(case)
        layout = DeviceLayout.detect(self._config.runtime)
        tasks = {self._plan.task: self._task}
        self._work = TaskWork.of(self._config.experiment, self._task.info)
        self._population = Population(self._config, layout, tasks, cases.loader(case, self._plan))

    def generation(self) -> dict[str, Any]:
        """Seconds, what was compiled meanwhile, and the memory at most so far."""
        with compilations.watched() as made:
            started = time.perf_counter()
            self._train()
            seconds = time.perf_counter() - started
        return {
            "seconds": seconds,
            "compilations": made.programs.total(),
            "train_programs": made.programs["jit(train_child)"],
            "peak_bytes": peak_bytes(),
        }

    def _train(self) -> dict[ModelId, TrainedChild]:
        return self._population.train(self._population.plan(self._plan, self._work), lambda *_: None)

    def trained(self) -> dict[str, list[float]]:
        """The sum of each child's trained head, to compare with another contender's."""
        trained = self._train()
        return {str(id): [float(array.sum()) for array in child.best["head"].values()] for id, child in trained.items()}


class Steps:
    """Bare train steps of children that train every layer, or the head alone, in one program."""

    def __init__(self, case: cases.Case):
        layout = DeviceLayout.detect(cases.config(case).runtime)
        lowest = INPUT_LEVEL if case.kind == "full" else case.num_blocks
        self._signature = Signature(
            case.variant, case.num_blocks, lowest, 0, case.image_size, case.batch_size, head_size=64
        )
        self._case = case
        self._chunks = place([Group(self._signature, tuple(range(case.children)))], layout)
        self._arguments = [timing.blank_child(self._signature, chunk) for chunk in self._chunks]
        random = np.random.default_rng(case.seed)
        shape = (case.steps, case.batch_size, case.image_size, case.image_size, 3)
        self._images = jnp.asarray(random.normal(0, 0.5, shape).astype(np.float32))
        self._labels = jnp.asarray(random.integers(0, 2, shape[:2]).astype(np.int32))

    def steps(self) -> float:
        """Seconds of one step of all children, from a dispatch of `case.steps`."""
        started = time.perf_counter()
        for index, (chunk, (state, fixed, control)) in enumerate(zip(self._chunks, self._arguments, strict=True)):
            program = programs.train_program(self._signature, chunk.mesh, UpdateRule(), chunk.parts)
            state = program(state, fixed, control, self._images, self._labels, jnp.int32(self._case.steps))
            self._arguments[index] = state, fixed, control
        jax.block_until_ready(self._arguments)
        return (time.perf_counter() - started) / self._case.steps

    def flops(self) -> int:
        """Operations of one step of all children."""
        return sum(grouping.step_flops(self._signature)) * self._case.batch_size * self._case.children

    def peak(self) -> float:
        """Operations a second of a large matrix product: 8192^3 bfloat16, on a CPU 2048^3 float32."""
        on_cpu = jax.devices()[0].platform == "cpu"
        size, dtype = (2048, jnp.float32) if on_cpu else (8192, jnp.bfloat16)
        matrix = jax.random.normal(jax.random.key(0), (size, size), dtype)
        product = jax.jit(lambda a, b: a @ b)
        times = []
        for _ in range(6):
            started = time.perf_counter()
            jax.block_until_ready(product(matrix, matrix))
            times.append(time.perf_counter() - started)
        return 2 * size**3 / statistics.median(times[1:])


def peak_bytes() -> int:
    """Memory at most so far: the device's, or on a CPU the process's."""
    stats = jax.devices()[0].memory_stats() or {}
    return int(stats.get("peak_bytes_in_use", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024))


def device() -> dict[str, Any]:
    """What the numbers are of."""
    one = jax.devices()[0]
    return {"platform": one.platform, "kind": one.device_kind, "count": jax.device_count(), "jax": jax.__version__}


def main() -> None:
    """Answers what is asked of munet's engine about the case on the command line."""
    given = json.loads(sys.argv[1])
    case = cases.read(given["case"])
    if given["what"] == "generation":
        engine = Engine(case)
        serve({"generation": engine.generation, "trained": engine.trained, "device": device})
    else:
        steps = Steps(replace(case, cycles=1))
        serve({"steps": steps.steps, "flops": steps.flops, "peak": steps.peak, "device": device})


if __name__ == "__main__":
    main()
