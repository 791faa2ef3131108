"""What is to be true on eight (simulated) devices: `python -m tests.training.eight_devices NAME` for each.

A process has the devices that it was started with, so `test_sharding.py` starts one for each.
"""

from __future__ import annotations

import math
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict

from benchmarks.profiling import compiled_memory
from munet.config import Config
from munet.training.batches.stream import Segment
from munet.training.chunk_training import ChunkTraining
from munet.training.in_flight import InFlight
from munet.training.measure.validation import Validation
from munet.training.placement.device_memory import child_memory
from munet.training.placement.fitting import Spread
from munet.training.program import sharding
from munet.training.program.signature import Signature
from munet.training.trainer import TrainedChild
from munet.types import ChildPlan, ModelId
from munet.vit import forward
from tests.training.children import (
    VARIANT,
    FakeTask,
    config,
    highest_precision,
    loader_of,
    placed,
    random_child,
    train,
    with_settings,
    work_of,
)
from tests.training.test_population import expected

TASK = FakeTask(num_train=80)  # five steps of 16
LAYOUTS = {"8x1x1": (8, 1, 1), "2x4x1": (2, 4, 1), "2x2x2": (2, 2, 2)}


def on(mesh: tuple[int, ...], **changes: object) -> Config:
    settings = config(**changes)
    settings.runtime.mesh = mesh
    settings.runtime.num_devices = math.prod(mesh) if mesh else 1
    settings.runtime.children_per_dispatch = 2
    return settings


def mixed_children() -> list[ChildPlan]:
    """Masks, adapters of several widths, low-rank updates, one and two blocks."""
    return [random_child(0, id=1), random_child(2, id=2, max_blocks=1), random_child(13, id=3, lora=True)]


def five_steps(mesh: tuple[int, ...], microbatch: int = 0) -> None:
    """Equal the plain loop to 1e-5, and count what its model counts."""
    children = mixed_children()
    settings = on(mesh)
    settings.runtime.microbatch = microbatch
    spread_out(settings, children)
    with highest_precision():
        trained = train(settings, children, TASK)
        for child in children:
            reached = expected(child, TASK, num_steps=5, steps_per_cycle=5)
            for name, arrays in trained[child.id].best.items():
                for path, array in flatten_dict(reached[name], sep="/").items():
                    np.testing.assert_allclose(arrays[path], array, rtol=0, atol=1e-5, err_msg=f"{name} {path}")
            assert trained[child.id].training.qualities[0].correct == num_correct(settings, child, reached), child.id


def spread_out(settings: Config, children: list[ChildPlan]) -> None:
    """Every array lies on all devices of its chunk, and no device has more of it than its part."""
    seen = set()
    chunks = [chunk for wave in placed(settings, children, TASK).waves for chunk in wave.chunks]
    assert max(chunk.mesh.shape["child"] for chunk in chunks) == min(settings.runtime.mesh[0], len(children))
    for chunk in chunks:
        members = [children[index] for index in chunk.members]
        run = ChunkTraining.start(chunk, members, work_of(settings, TASK), loader_of(children))
        seen |= set(chunk.mesh.devices.flat)
        model = chunk.mesh.shape["model"]
        for tree in (run.state.tuned, run.state.momentum, run.state.best, run.fixed):
            for path, leaf in flatten_dict(tree, sep="/").items():
                assert leaf.sharding.device_set == set(chunk.mesh.devices.flat), path
                split = sharding.split_axis(path, leaf.shape[1:], model) is not None
                part = leaf.addressable_shards[0].data.size
                assert part * chunk.mesh.shape["child"] * (model if split else 1) == leaf.size, path
        if model > 1:
            kernel = run.state.momentum["head"]["kernel"]
            assert kernel.addressable_shards[0].data.shape[-1] * model == kernel.shape[-1]
        images = chunk.put_batches(jnp.zeros((3, 16, 4, 4, 3)))
        assert images.addressable_shards[0].data.shape[1] * chunk.mesh.shape["data"] == 16
    assert len(seen) == min(8, len(children) * chunk.spread.size)


def num_correct(settings: Config, child: ChildPlan, params: dict[str, Any]) -> int:
    """Right answers of a plain model on the validation images."""
    size = int(child.hyperparameters["image_size"])
    images = Validation(TASK.split("validation"), work_of(settings, TASK), size).pieces[0].images
    blocks = sum(name.startswith("encoderblock") for name in params)
    labels = TASK.split("validation").labels
    logits = forward.logits(VARIANT, params, images[0], num_blocks=blocks)
    return int((np.argmax(logits, axis=-1)[: len(labels)] == labels).sum())


def goes_on(mesh: tuple[int, ...]) -> None:
    """The best cycle is kept, a killed generation goes on bit for bit, and no cycle compiles anything anew."""
    children = [
        random_child(seed, id=seed + 1, max_blocks=1, image_size=16, learning_rate=0.5, schedule="constant")
        for seed in (8, 9)
    ]
    settings = on(mesh, cycles_per_child=4)
    compiled: list[str] = []

    def count(event: str, duration_secs: float, **about: str | int) -> None:
        if event == "/jax/core/compile/backend_compile_duration":
            compiled.append(str(about.get("fun_name")))

    jax.monitoring.register_event_duration_secs_listener(count)
    whole = train(settings, children, TASK)
    kept = [
        max(range(4), key=lambda cycle: (child.training.qualities[cycle].correct, -cycle)) for child in whole.values()
    ]
    assert min(kept) < 3, "every child is best at the end: the test shows nothing"
    chunks = [chunk for wave in placed(settings, children, TASK).waves for chunk in wave.chunks]
    for program in ("train_child", "evaluate_child", "keep_best"):
        assert compiled.count(f"jit({program})") == len(chunks), (program, compiled)
    for best in set(kept):
        shorter = train(on(mesh, cycles_per_child=best + 1), children, TASK)
        for child, at in zip(children, kept, strict=True):
            if at == best:
                assert_same_arrays(shorter[child.id].best, whole[child.id].best)
    resumed, cycles = killed_and_resumed(settings, children)
    assert cycles == [2, 3]
    for child in children:
        assert resumed[child.id].training == whole[child.id].training
        assert_same_arrays(resumed[child.id].best, whole[child.id].best)


def streams() -> None:
    """Eight children with data settings of their own: each on a device that also makes its batches; as alone."""
    settings = config(cycles_per_child=2)
    first = random_child(1, id=1, max_blocks=1, image_size=16)
    children = [with_settings(first, id, crop_area_min=0.1 * id) for id in range(1, 9)]
    (wave,) = placed(settings, children, TASK).waves
    assert [chunk.mesh.devices.size for chunk in wave.chunks] == [1] * 8
    assert {chunk.mesh.devices.flat[0] for chunk in wave.chunks} == set(jax.devices())
    made: list[tuple[jax.Device, jax.Device]] = []
    plain = ChunkTraining.train

    def spy(run: ChunkTraining, segment: Segment) -> Any:
        made.extend((*segment.images.devices(), *leaf.devices()) for leaf in (segment.labels, run.state.step))
        return plain(run, segment)

    with mock.patch.object(ChunkTraining, "train", spy):
        together = train(settings, children, TASK)
    assert all(batches == other for batches, other in made)
    counts = Counter(device for device, _ in made)
    assert set(counts) == set(jax.devices())
    assert min(counts.values()) >= 2 * 2  # cycles, arrays looked at; more where a slow machine cuts a cycle into pieces
    for child in children[:3]:
        alone = train(settings, [child], TASK)[child.id]
        assert alone.training == together[child.id].training
        assert_same_arrays(alone.best, together[child.id].best)
    resumed, cycles = killed_and_resumed(settings, children)
    assert cycles == [1]
    for child in children:
        assert_same_arrays(resumed[child.id].best, together[child.id].best)


def killed_and_resumed(settings: Config, children: list[ChildPlan]) -> tuple[dict[ModelId, TrainedChild], list[int]]:
    """What is trained where a kill comes after half of the cycles, and the cycles that are left then."""
    half = settings.experiment.cycles_per_child // 2

    def stop(cycle: int, *_: object) -> None:
        if cycle == half - 1:
            raise KeyboardInterrupt

    with tempfile.TemporaryDirectory() as folder:
        in_flight = InFlight(f"{folder}/in_flight", minutes=0)
        with pytest.raises(KeyboardInterrupt):
            train(settings, children, TASK, in_flight, stop)
        in_flight.wait()
        cycles: list[int] = []
        in_flight = InFlight(f"{folder}/in_flight", minutes=0)
        resumed = train(settings, children, TASK, in_flight, lambda cycle, *_: cycles.append(cycle))
        in_flight.clear()
    return resumed, cycles


def assert_same_arrays(left: Any, right: Any) -> None:
    for name, arrays in left.items():
        for path, array in arrays.items():
            assert array.tobytes() == right[name][path].tobytes(), (name, path)


def memory(program: str, *spreads: tuple[int, ...]) -> None:
    """What a child is estimated to take on each device is what XLA sets aside there, within a quarter."""
    signature = Signature.parse(program)
    for spread in map(Spread, *zip(*spreads, strict=True)):
        estimated = child_memory(signature, spread.data, spread.model, spread.parts).total
        assert estimated == pytest.approx(compiled_memory.of_children(signature, spread), rel=0.25), spread


SCENARIOS: dict[str, Callable[[], None]] = {
    **{f"five_steps {name}": partial(five_steps, mesh) for name, mesh in LAYOUTS.items()},
    "five_steps 2x2x2 in parts": partial(five_steps, (2, 2, 2), 4),
    "goes_on 1x2x2": partial(goes_on, (1, 2, 2)),
    "goes_on 2x2x2": partial(goes_on, (2, 2, 2)),
    "streams": streams,
    "memory of activations": partial(
        memory, "Ti/16:b2:t-1:a0:i32:n256:h64", (1, 1, 1), (4, 1, 1), (1, 3, 1), (2, 3, 1), (2, 1, 4)
    ),
    "memory of parameters": partial(memory, "S/16:b2:t-1:a0:i32:n8:h64", (1, 1), (2, 1), (1, 2), (2, 2)),
    "memory of adapters": partial(memory, "S/16:b3:t-1:a128:i64:n64:h64", (2, 2)),
    "memory of a head": partial(memory, "Ti/16:b2:t2:a0:i64:n64:h64", (2, 3)),
}

if __name__ == "__main__":
    SCENARIOS[sys.argv[1]]()
    print("done")
