"""How long a run will take, as a dry run says it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jax
import pytest

from munet.config import Experiment
from munet.config.evolve import Insertion
from munet.run import estimates, run_time
from munet.run.run_time import TimedProgram
from munet.training.measure import timing
from munet.training.measure.timing import StepTime
from munet.training.placement.devices import DeviceLayout
from munet.training.program.optimizer import UpdateRule
from munet.training.program.signature import Signature
from munet.types import TaskInfo
from tests.run.fake_devices import FakeDevice

TASK = TaskInfo("a", "fake:a", "", tuple("abc"), 640, 100, 100)
EXPERIMENT = Experiment(tasks=("fake:a",), batch_size=64, min_batches_per_cycle=0, mutation_probability=0.3)
PROGRAM = estimates.full_training(EXPERIMENT, TASK)


def layout(children_per_device: int = 1) -> DeviceLayout:
    return DeviceLayout(tuple(jax.devices()[:1]), children_per_device)


def measured(step: float = 1.0, compilation: float = 10.0) -> TimedProgram:
    return TimedProgram(PROGRAM, StepTime(compilation, step), layout().cost_model)


def test_a_program_takes_the_measured_time_in_proportion_to_its_cost() -> None:
    assert measured(2.0).step(PROGRAM) == 2.0
    assert measured(2.0).step(replace(PROGRAM, batch_size=32)) == pytest.approx(1.0)
    head_only = replace(PROGRAM, first_trainable=3)
    assert 0.3 < measured().step(head_only) < 0.45
    assert measured().compilation(replace(PROGRAM, num_blocks=6)) == 20.0


def test_a_large_program_is_measured_on_a_smaller_one(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Signature] = []

    def measure(signature: Signature, *_: object, **__: object) -> StepTime:
        asked.append(signature)
        return StepTime(1.0, 1.0)

    monkeypatch.setattr(timing, "measure", measure)
    for text in ("B/16:b12:t-1:a0:i80:n256:h64", "demo/16:b2:t-1:a0:i32:n80:h64"):
        run_time.measure(Signature.parse(text), layout(), UpdateRule())
    assert (asked[0].num_blocks, asked[0].image_size) == (3, 80)
    assert 8 <= asked[0].batch_size < 256
    assert str(asked[1]) == "demo/16:b2:t-1:a0:i32:n80:h64"


def test_time_counts_every_step_of_every_child() -> None:
    experiment = replace(EXPERIMENT, children_per_generation=2, num_generations=3, cycles_per_child=4)
    time = run_time.run_time(experiment, [TASK], layout(), measured())
    child_steps = 2 * 3 * 2 * 4 * 10  # iterations, generations, children, cycles, steps
    validation = 2 * 3 * 2 * 4 * measured().step(replace(PROGRAM, first_trainable=3, batch_size=100))
    full = replace(experiment, baseline=replace(experiment.baseline, kind="full"))  # children with nothing inserted
    assert run_time.run_time(full, [TASK], layout(), measured()).full == pytest.approx(child_steps + validation)
    assert time.head_only < time.rehearsed
    assert 1 < time.num_programs < 12
    assert time.compilation > 10 * time.num_programs * 0.5


@pytest.mark.parametrize("insertions", [(), ("adapter",), ("adapter", "lora")])
@pytest.mark.parametrize("probability", [0.1, 0.3, 0.9])
def test_what_trains_more_takes_longer(insertions: tuple[Insertion, ...], probability: float) -> None:
    experiment = replace(EXPERIMENT, insertions=insertions, mutation_probability=probability, children_per_generation=8)
    devices: Any = tuple(FakeDevice(id) for id in range(3))
    for place_of in (layout(), layout(4), DeviceLayout(devices, 1)):
        time = run_time.run_time(experiment, [TASK], place_of, measured())
        assert time.head_only < time.rehearsed <= time.full


def test_children_on_several_devices_train_at_the_same_time() -> None:
    baseline = replace(EXPERIMENT.baseline, kind="full")  # all alike, so that they spread evenly
    experiment = replace(EXPERIMENT, baseline=baseline, children_per_generation=8, num_generations=1)
    one = run_time.run_time(experiment, [TASK], layout(), measured())
    devices: Any = tuple(FakeDevice(id) for id in range(4))
    four = run_time.run_time(experiment, [TASK], DeviceLayout(devices, 1), measured())
    assert four.full == pytest.approx(one.full / 4)


def test_a_baseline_takes_what_its_children_train() -> None:
    full = replace(EXPERIMENT, baseline=replace(EXPERIMENT.baseline, kind="full"))
    time = run_time.run_time(full, [TASK], layout(), measured())
    assert time.rehearsed == pytest.approx(time.full)
    assert time.num_programs == 1
