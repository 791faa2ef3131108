"""Chunks at work side by side on the cores of a CPU, and what is compiled before they begin."""

from __future__ import annotations

import dataclasses
import threading
from typing import Any

import jax
import pytest

from benchmarks.profiling.compilations import watched
from munet.config import Config
from munet.errors import DeviceMemoryError
from munet.training import chunk_training, wave
from munet.training.placement.devices import DeviceLayout
from munet.training.program import programs
from munet.training.trainer import TrainedChild
from munet.types import ChildPlan, ModelId
from tests.training.children import config, engine, generation, random_child, train, work_of
from tests.training.test_population import leaves_of


def train_on_cores(cores: int, settings: Config, children: list[ChildPlan]) -> dict[ModelId, TrainedChild]:
    """What the engine makes of them on one CPU device of so many cores."""
    found = DeviceLayout.detect(settings.runtime)
    return train(settings, children, layout=dataclasses.replace(found, devices=found.devices[:1], cores=cores))


def test_children_that_are_at_work_together_end_as_one_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two at a time, byte for byte."""
    children = [random_child(seed, id=seed + 1) for seed in range(4)]
    plain, together = chunk_training.ChunkTraining.train, threading.Barrier(2)

    def in_company(run: Any, segment: Any) -> Any:
        together.wait(timeout=60)  # broken, and an error, unless another child is here at the same time
        return plain(run, segment)

    ends = []
    for cores in (1, 2):
        if cores > 1:
            monkeypatch.setattr(chunk_training.ChunkTraining, "train", in_company)
        trained = train_on_cores(cores, config(cycles_per_child=2), children)
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

        monkeypatch.setattr(wave, "compile_ahead", compile_ahead)
        train_on_cores(2, config(), children)
    assert before == [sum(made.programs[name] for name in large)]
    assert before[0] > 0


def test_compilation_is_told_from_none_to_all_and_only_of_what_is_new() -> None:
    children = [random_child(seed, id=seed + 1, image_size=48) for seed in range(2)]
    settings = config()
    made = engine(settings, children)
    placed = made.plan(generation(children), work_of(settings))
    told: list[tuple[int, int]] = []
    for _ in range(2):  # the second time everything is there
        made.train(placed, lambda *_: None, lambda done, total: told.append((done, total)))
    assert told == [(done, told[0][1]) for done in range(told[0][1] + 1)]
    assert told[0][1] >= 2  # training and evaluation


@pytest.mark.parametrize("error", [ValueError("broken"), KeyboardInterrupt()])
def test_an_error_of_a_child_at_work_beside_others_ends_the_generation(
    monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    children = [random_child(seed, id=seed + 1) for seed in range(3)]
    plain, seen = chunk_training.ChunkTraining.train, set[int]()

    def fails(run: Any, segment: Any) -> Any:
        seen.add(threading.get_ident())
        if run.children[0].id == 2:
            raise error
        return plain(run, segment)

    monkeypatch.setattr(chunk_training.ChunkTraining, "train", fails)
    with pytest.raises(type(error)):
        train_on_cores(2, config(), children)
    assert threading.get_ident() not in seen


def test_a_cpu_that_runs_out_of_memory_is_told_from_a_thread_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """With an error made up by us, when results are waited for."""
    children = [random_child(seed, id=seed + 1) for seed in range(3)]

    def exhausted(_: object) -> None:
        raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory")

    monkeypatch.setattr(jax, "block_until_ready", exhausted)
    with pytest.raises(DeviceMemoryError, match="ran out of memory while training"):
        train_on_cores(2, config(), children)
