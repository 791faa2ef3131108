"""What a dry run says a run will take, against what the compiler and the controller say (munet/run/estimates.py)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from benchmarks.profiling.compiled_memory import of_children
from munet.config import Config, Experiment, Runtime
from munet.data.array_task import ArrayTask
from munet.data.open_settings import OpenSettings
from munet.data.tasks import open_task
from munet.errors import UserError
from munet.run import estimates
from munet.training.batches.resident import max_resident
from munet.training.placement import device_memory
from munet.training.placement.device_memory import child_memory
from munet.training.placement.devices import DeviceLayout
from munet.training.placement.fitting import Spread, choices, need
from munet.training.program.signature import Signature
from munet.types import TaskInfo
from tests.data.folder.test_folder import fill
from tests.run.fake_devices import FakeDevice

TASK = TaskInfo("a", "fake:a", "", tuple("abc"), 640, 100, 100)
EXPERIMENT = Experiment(tasks=("fake:a",), batch_size=64, min_batches_per_cycle=0, mutation_probability=0.3)
PROGRAM = estimates.full_training(EXPERIMENT, TASK)


def layout(children_per_device: int = 1) -> DeviceLayout:
    return DeviceLayout(tuple(jax.devices()[:1]), children_per_device)


@pytest.mark.parametrize(
    "program",
    [
        "Ti/16:b2:t-1:a0:i32:n256:h64",  # activations and parameters
        "Ti/16:b3:t2:a0:i32:n256:h64",  # the last block, for the class token alone
        "Ti/16:b2:t-1:a128:i96:n32:h64",  # adapters, many tokens
        "S/16:b2:t-1:a0:i32:n8:h64",  # nearly all of it parameters
        "Ti/16:b2:t2:a0:i64:n64:h64",  # the head only
    ],
)
def test_memory_of_a_child_is_about_what_the_compiler_sets_aside(program: str) -> None:
    signature = Signature.parse(program)
    assert child_memory(signature).total == pytest.approx(of_children(signature, Spread()), rel=0.25)


@pytest.mark.parametrize(("program", "parts"), [("Ti/16:b2:t-1:a0:i32:n256:h64", 8), ("S/16:b2:t-1:a0:i32:n8:h64", 2)])
def test_memory_of_a_child_whose_batches_pass_in_parts(program: str, parts: int) -> None:
    signature = Signature.parse(program)
    in_parts = child_memory(signature, parts=parts).total
    assert in_parts == pytest.approx(of_children(signature, Spread(parts=parts)), rel=0.25)


def test_children_stacked_on_a_device_take_as_much_each() -> None:
    program = Signature.parse("demo/16:b2:t-1:a0:i32:n64:h64")
    assert 3 * child_memory(program).total == pytest.approx(of_children(program, Spread(), 3), rel=0.25)


def test_a_device_holds_as_many_children_as_the_layout_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("munet.training.placement.devices.num_cores", lambda: 2)
    config = Config(replace(EXPERIMENT, children_per_generation=8), Runtime())
    four: Any = tuple(FakeDevice(id) for id in range(4))
    one, all_of_them, spread = (
        estimates.device_use(config, PROGRAM, given)
        for given in (layout(1), layout(1 << 16), DeviceLayout(four, 1 << 16))
    )
    assert [(use.at_once, use.held) for use in (one, all_of_them, spread)] == [(2, 8), (8, 8), (2, 2)]
    assert spread.mesh == (4, 1, 1)
    memory = child_memory(PROGRAM)
    assert all_of_them.children == 8 * memory.total
    assert one.children == 6 * memory.kept + 2 * memory.total  # two are at work, one a core


def test_a_device_is_planned_as_a_run_would_use_it() -> None:
    """Children in turns where they do not fit together, over several devices where one does not fit alone."""
    config = Config(replace(EXPERIMENT, children_per_generation=8), Runtime())
    four: Any = tuple(FakeDevice(id) for id in range(4))
    memory, reserved = child_memory(PROGRAM), device_memory.batch_bytes(config, 64, 32, 100)

    def use(devices: Any, num_bytes: int) -> estimates.DeviceUse:
        given = DeviceLayout(devices, 1 << 16, memory=reserved + num_bytes)
        return estimates.device_use(config, PROGRAM, given, num_validated=100)

    in_turns = use(four[:1], 3 * memory.total)
    assert (in_turns.at_once, in_turns.held, in_turns.num_waves) == (3, 3, 3)
    assert in_turns.total == 3 * memory.total + reserved
    spread = use(four, memory.total - 1)
    assert spread.refused is None
    assert spread.mesh[0] < 4
    assert spread.total <= memory.total - 1 + reserved
    in_parts = use(four[:1], memory.total - 1)
    assert in_parts.refused is None
    assert (spread.microbatch, in_parts.microbatch) == (64, 32)
    nowhere = use(four, memory.total // 50)
    assert nowhere.refused is not None
    assert nowhere.total > memory.total // 50 + reserved


def test_the_batches_of_all_streams_that_train_on_a_device_are_counted() -> None:
    """Eight children in one stream, with data settings of their own, or as replicas: on one device and on four."""
    experiment = replace(EXPERIMENT, children_per_generation=8)
    child = replace(experiment, fidelity=replace(experiment.fidelity, data_settings="child"))
    replicas = replace(experiment, baseline=replace(experiment.baseline, kind="full"))
    devices: Any = tuple(FakeDevice(id) for id in range(4))
    for one, on_one, on_four in ((experiment, 1, 1), (child, 8, 2), (replicas, 8, 2)):
        config = Config(one, Runtime())
        segments = device_memory.batch_bytes(config, PROGRAM.batch_size, PROGRAM.image_size, 0)
        validation = device_memory.image_bytes(100, PROGRAM.image_size)
        for place_of, count in ((layout(), on_one), (DeviceLayout(devices, 1), on_four)):
            use = estimates.device_use(config, PROGRAM, place_of, num_validated=100)
            assert use.batches == count * segments + validation
            assert use.held == 8 // len(place_of.devices)


def test_a_run_that_fits_nowhere_is_refused_and_what_mutations_may_lead_to_is_told() -> None:
    config = Config(replace(EXPERIMENT, children_per_generation=8), Runtime())
    most = estimates.most_demanding(config.experiment, TASK)
    assert (most.image_size, most.adapter_dim) == (64, 128)
    needed, largest = (
        min(need(program, spread).total for spread in choices([program], 1)) for program in (PROGRAM, most)
    )

    def check(num_bytes: int, image_size: int = 64, experiment: Experiment = config.experiment) -> str | None:
        reserved = device_memory.batch_bytes(config, 64, image_size, 100)
        given = DeviceLayout(tuple(jax.devices()[:1]), 1, memory=num_bytes + reserved)
        return estimates.check_fits(replace(config, experiment=experiment), [TASK], given)

    assert check(largest) is None
    assert "would stop the run" in (check(largest - 1) or "")
    with pytest.raises(UserError, match=r"a device has .* MiB for munet"):
        check(needed - 1, 32)
    baseline = replace(EXPERIMENT, baseline=replace(EXPERIMENT.baseline, kind="multi_head"))
    assert check(needed - 1, 32, baseline) is None  # its children train their heads only


def test_bfloat16_takes_less_memory_but_not_half() -> None:
    """Parameters, norms and softmax stay float32; XLA's CPU backend computes in float32, so it cannot judge."""
    program = Signature.parse("B/16:b12:t-1:a0:i224:n256:h64")
    exact, rough = child_memory(program), child_memory(replace(program, dtype="bfloat16"))
    assert (rough.params, rough.training) == (exact.params, exact.training)
    assert 0.5 * exact.activations < rough.activations < 0.7 * exact.activations


def test_images_of_a_streamed_task_take_a_few_segments_whatever_their_number(tmp_path: Path) -> None:
    """A folder is in neither memory as a whole, arrays are in the host's; resident images are what they are."""
    fill(tmp_path, {"a": 20, "b": 20})
    arrays = ArrayTask(
        "noise", np.random.default_rng(0).integers(0, 256, (4000, 6, 5, 3), np.uint8), np.arange(4000) % 2
    )
    small, one = replace(EXPERIMENT, batch_size=4, max_batches_per_cycle=2), 6 * 5 * 3
    for uri, num_train, num_images, on_host in (
        (f"folder:{tmp_path}", 32, 40, 0),
        (arrays.uri, 3200, 4000, 4000 * one),
    ):
        for share, is_resident in ((0.25, True), (0.0, False)):
            config = Config(small, Runtime(resident_share=share, decoding_threads=1, cache_dir="off"))
            limit = max_resident(config.runtime, layout())
            task = open_task(uri, OpenSettings.of(config, arrays={"noise": arrays}, max_resident=limit))
            found = estimates.training_images(config, task, layout())
            assert found.is_resident == is_resident
            if is_resident:
                assert (found.device, found.host) == ((num_train + 2 * 4) * one, num_images * one)
            else:
                assert found.device == 2 * 2 * 4 * one  # two segments of two batches of four
                assert found.host == on_host + (3 * 2 * 4 + 2 * 4) * one  # three segments, and what one thread works on
