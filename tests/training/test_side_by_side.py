"""Chunks at work side by side on the cores of a CPU, and what is compiled before they begin."""

from __future__ import annotations

import dataclasses
import threading
from typing import Any, cast

import jax
import pytest

from benchmarks.profiling.compilations import watched
from munet.config import Config
from munet.data.tasks import Task
from munet.errors import DeviceMemoryError
from munet.training import chunk_training, population
from munet.training.placement import devices
from munet.training.program import programs
from munet.types import ChildPlan
from tests.training.children import (
    FakeTask,
    config,
    generation,
    loader_of,
    random_child,
)
from tests.training.test_population import leaves_of


def on_cores(cores: int, settings: Config, children: list[ChildPlan]) -> population.Population:
    """The engine on one CPU device of so many cores."""
    found = devices.DeviceLayout.detect(settings.runtime)
    layout = dataclasses.replace(found, devices=found.devices[:1], cores=cores)
    return population.Population(settings, layout, loader_of(children))


def test_children_that_are_at_work_together_end_as_one_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two at a time, byte for byte."""
    children = [random_child(seed, id=seed + 1) for seed in range(4)]
    plain, together = chunk_training.ChunkRun.train, threading.Barrier(2)

    def train(run: Any, block: Any) -> Any:
        together.wait(timeout=60)  # broken, and an error, unless another child is here at the same time
        return plain(run, block)

    ends = []
    for cores in (1, 2):
        if cores > 1:
            monkeypatch.setattr(chunk_training.ChunkRun, "train", train)
        engine = on_cores(cores, config(cycles_per_child=2), children)
        trained = engine.train(generation(children), cast(Task, FakeTask()), [], lambda *_: None)
        ends.append([(child.training, leaves_of({0: child})) for child in trained.values()])
    for (one_training, one), (other_training, other) in zip(*ends, strict=True):
        assert one_training == other_training
        assert [array.tobytes() for array in one] == [array.tobytes() for array in other]


def test_what_is_compiled_ahead_is_what_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing large is left to compile once training begins."""
    children = [random_child(seed, id=seed + 1, image_size=48) for seed in range(2)]
    programs.train_program.cache_clear()
    programs.evaluate_program.cache_clear()
    ahead = chunk_training.compile_ahead
    large = ("jit(train_child)", "jit(evaluate_child)")
    with watched() as made:
        before: list[int] = []

        def compile_ahead(*given: Any) -> None:
            ahead(*given)
            before.append(sum(made.programs[name] for name in large))

        monkeypatch.setattr(population, "compile_ahead", compile_ahead)
        on_cores(2, config(), children).train(generation(children), cast(Task, FakeTask()), [], lambda *_: None)
    assert before == [sum(made.programs[name] for name in large)]
    assert before[0] > 0


@pytest.mark.parametrize("error", [ValueError("broken"), KeyboardInterrupt()])
def test_an_error_of_a_child_at_work_beside_others_ends_the_generation(
    monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    children = [random_child(seed, id=seed + 1) for seed in range(3)]
    plain, seen = chunk_training.ChunkRun.train, set[int]()

    def fails(run: Any, block: Any) -> Any:
        seen.add(threading.get_ident())
        if run.children[0].id == 2:
            raise error
        return plain(run, block)

    monkeypatch.setattr(chunk_training.ChunkRun, "train", fails)
    engine = on_cores(2, config(), children)
    with pytest.raises(type(error)):
        engine.train(generation(children), cast(Task, FakeTask()), [], lambda *_: None)
    assert threading.get_ident() not in seen


def test_a_cpu_that_runs_out_of_memory_is_told_from_a_lane_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """With an error made up by us, when results are waited for."""
    children = [random_child(seed, id=seed + 1) for seed in range(3)]

    def exhausted(_: object) -> None:
        raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory")

    engine = on_cores(2, config(), children)
    monkeypatch.setattr(jax, "block_until_ready", exhausted)
    with pytest.raises(DeviceMemoryError, match="ran out of memory while training"):
        engine.train(generation(children), cast(Task, FakeTask()), [], lambda *_: None)
