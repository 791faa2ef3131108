"""The engine against a plain one-child loop, and its laws."""

from __future__ import annotations

import dataclasses
import weakref
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict, unflatten_dict

from munet.data.augment import AugmentLaws, AugmentSettings
from munet.training.batches import stream
from munet.training.batches.resident import ResidentImages
from munet.training.batches.stream import Resize, StreamSettings, TrainStream
from munet.training.chunk_training import ChunkTraining
from munet.training.placement import devices, grouping, placing
from munet.training.program import signature
from munet.types import ChildPlan, ComponentPlan, Quality
from munet.vit.architecture import HEAD, NORM, path_names
from tests.training import reference
from tests.training.children import (
    VARIANT,
    FakeTask,
    config,
    engine,
    generation,
    highest_precision,
    hyperparameters,
    loader_of,
    placed,
    random_child,
    work_of,
)
from tests.training.children import train as trained_by_engine

NO_AUGMENTATION: dict[str, Any] = {"crop_area_min": 1.0, "flip": False}


def train(children: list[ChildPlan], settings: Any = None, task: Any = None, in_flight: Any = None) -> Any:
    return trained_by_engine(settings or config(), children, task, in_flight)


def batches(task: FakeTask, child: ChildPlan, num_steps: int) -> list[reference.Batch]:
    """The batches that the engine trains on, from its own stream (whose parts have tests of their own)."""
    batches_of = TrainStream(
        task.split("train").images,
        task.split("train").labels,
        AugmentSettings.from_hyperparameters(child.hyperparameters),
        (0, 0, "fake", 0, "batches"),
        StreamSettings(
            16,
            num_steps,
            Resize(int(child.hyperparameters["image_size"]), antialias=False),
            laws=AugmentLaws(crop="uniform_area"),
        ),
    )
    segment = batches_of.segment(0, num_steps)
    return [(np.asarray(segment.images[index]), np.asarray(segment.labels[index])) for index in range(num_steps)]


def expected(child: ChildPlan, task: FakeTask, num_steps: int, steps_per_cycle: int) -> dict[str, Any]:
    load = loader_of([child])
    params = {plan.name: unflatten_dict(load(plan.source or ""), sep="/") for plan in child.components}
    trainable = {plan.name for plan in child.components if plan.trainable}
    return reference.train(
        VARIANT,
        params,
        trainable,
        child.hyperparameters,
        batches(task, child, num_steps),
        steps_per_cycle=steps_per_cycle,
        clip_norm=1.0,
    )


def assert_equals_reference(children: list[ChildPlan], settings: Any) -> None:
    """Five steps, float32, highest matmul precision, 1e-5 (issue: "Results stay right")."""
    task = FakeTask(num_train=80)
    with highest_precision():
        trained = train(children, settings, task)
        for child in children:
            reached = expected(child, task, num_steps=5, steps_per_cycle=5)
            for name, arrays in trained[child.id].best.items():
                for path, array in flatten_dict(reached[name], sep="/").items():
                    np.testing.assert_allclose(
                        arrays[path], array, rtol=0, atol=1e-5, err_msg=f"{child.id} {name} {path}"
                    )


def test_bfloat16_trains_float32_parameters_about_as_float32_does() -> None:
    children = [random_child(seed, id=seed + 1) for seed in range(2)]
    exact, rough = (train(children, config(compute_dtype=dtype)) for dtype in ("float32", "bfloat16"))
    for child in children:
        assert rough[child.id].cost.program == f"{exact[child.id].cost.program}:dbfloat16"
        for name, arrays in rough[child.id].best.items():
            for path, array in arrays.items():
                assert array.dtype == np.float32
                np.testing.assert_allclose(array, exact[child.id].best[name][path], rtol=0, atol=5e-3)
    differs = [
        not np.array_equal(a, b) for a, b in zip(*(leaves_of(trained) for trained in (exact, rough)), strict=True)
    ]
    assert any(differs)


def leaves_of(trained: dict[int, Any]) -> list[np.ndarray]:
    return jax.tree.leaves({id: dict(child.best) for id, child in trained.items()})


def test_mixed_children_equal_the_plain_loop() -> None:
    children = [random_child(seed, id=seed + 1) for seed in range(3)]
    assert_equals_reference(children, config())


def test_stacked_children_equal_the_plain_loop() -> None:
    settings = config()
    settings.runtime.children_per_dispatch = 8
    assert_equals_reference([random_child(seed, id=seed + 1, image_size=48) for seed in range(4, 6)], settings)


@pytest.mark.parametrize("microbatch", [*(pytest.param(size, marks=pytest.mark.slow) for size in (8, 6)), 1])
def test_children_whose_batches_pass_in_parts_equal_the_plain_loop(microbatch: int) -> None:
    """Stacked and not; of 16 images in parts of 8, of 6 (three, the last filled up) and of 1."""
    settings = config()
    settings.runtime.microbatch = microbatch
    settings.runtime.children_per_dispatch = 2
    children = [random_child(seed, id=seed + 1) for seed in range(3)]
    waves = placed(settings, children).waves
    assert {chunk.parts for wave in waves for chunk in wave.chunks} == {-(-16 // microbatch)}
    assert_equals_reference(children, settings)


def test_low_rank_children_stacked_with_others_equal_the_plain_loop() -> None:
    """One program for a child with LoRA only, one that trains blocks beside it, and one without."""
    settings = config()
    settings.runtime.children_per_dispatch = 8
    plain = random_child(1, id=3)
    children = [lora_only(id=1, rank=4), random_child(13, id=2, lora=True), plain]
    assert any(plan.name.startswith("lora") and plan.trainable for plan in children[1].components)
    assert_equals_reference(children, settings)


def test_training_only_lora_makes_no_gradients_of_the_blocks() -> None:
    child = lora_only(id=1, rank=4)
    program = signature.of_child(child, work_of(config()))
    assert (program.first_trainable, program.lora_rank) == (0, 8)
    assert not any(program.tunes(f"encoderblock_{index}") for index in range(2))
    assert program.tunes("lora_0")
    assert_equals_reference([child], config())


def test_training_only_adapters_makes_no_gradients_of_the_blocks() -> None:
    """The residual-adapter baseline in small, and the same with a cloned position embedding below frozen blocks."""
    for id, cloned in ((1, set()), (2, {"posembed_input"})):
        names = path_names(2, adapters=(0, 1))
        trains = {HEAD, NORM, *(name for name in names if name.startswith("residual")), *cloned}
        plans = [
            ComponentPlan(name, "clone" if name in trains else "share", f"{id}:{name}", name in trains)
            for name in names
        ]
        child = ChildPlan(id, "fake", 0, False, hyperparameters(adapter_dim=32), tuple(plans))
        program = signature.of_child(child, work_of(config()))
        assert (program.first_trainable, program.frozen) == (-1 if cloned else 0, (0, 1))
        assert not any(program.tunes(f"encoderblock_{index}") for index in range(2))
        assert_equals_reference([child], config())


def lora_only(id: int, rank: int) -> ChildPlan:
    """The LoRA baseline in small: low-rank updates at both blocks, the norm and the head."""
    plans = [
        ComponentPlan(name, "clone" if trains else "share", f"{id}:{name}", trains)
        for name in path_names(2, loras=(0, 1))
        for trains in [name.startswith("lora") or name in (NORM, HEAD)]
    ]
    return ChildPlan(id, "fake", 0, False, hyperparameters(lora_rank=rank), tuple(plans))


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, 48, 4))
def test_many_random_children_equal_the_plain_loop(first: int) -> None:
    sizes = (16, 32, 48, 64)
    settings = config()
    settings.runtime.children_per_dispatch = 1 + first % 3
    settings.runtime.microbatch = (0, 4, 8)[first // 4 % 3]
    size = sizes[first // 4 % 4]
    children = [
        random_child(seed, seed + 1, image_size=size, max_blocks=3, lora=first >= 32 and seed % 2 == 0)
        for seed in range(first, first + 4)
    ]
    assert_equals_reference(children, settings)


def test_only_trainable_components_come_back() -> None:
    children = [random_child(seed, id=seed + 1) for seed in range(3)]
    trained = train(children)
    for child in children:
        assert set(trained[child.id].best) == {plan.name for plan in child.components if plan.trainable}


def test_a_masked_component_of_a_tuned_stage_does_not_move() -> None:
    """The program computes its gradient; the mask must keep it still, also from the momentum and the clip."""
    child = random_child(3, id=1, **NO_AUGMENTATION)
    settings = config()
    layout = devices.DeviceLayout.detect(settings.runtime)
    program = signature.of_child(child, work_of(config()))
    everything = dataclasses.replace(program, first_trainable=-1)
    chunk = placing.place([grouping.Group(everything, (0,))], layout)[0]
    run = ChunkTraining.start(chunk, [child], work_of(settings), loader_of([child]))
    before = jax.device_get(run.state.tuned)
    images, labels = zip(*batches(FakeTask(), child, 4), strict=True)
    after = jax.device_get(run.train(stream.Segment(jnp.stack(images), jnp.stack(labels), 4)).tuned)
    frozen = [plan.name for plan in child.components if not plan.trainable]
    assert frozen
    for name in before:
        same = jax.tree.map(lambda a, b: a.tobytes() == b.tobytes(), before[name], after[name])
        is_trained = name in {plan.name for plan in child.components if plan.trainable}
        assert all(jax.tree.leaves(same)) != is_trained, name


def test_training_twice_gives_the_same_bytes() -> None:
    child = random_child(5, id=1)
    first, second = (train([child])[1] for _ in range(2))
    assert first.training == second.training
    for name, arrays in first.best.items():
        for path, array in arrays.items():
            assert array.tobytes() == second.best[name][path].tobytes()


def test_a_diverged_child_fails_alone() -> None:
    bad = random_child(0, id=1, learning_rate=1e30)
    good = random_child(1, id=2)
    trained = train([bad, good], config(cycles_per_child=3, clip_norm=1e30))
    assert trained[1].training.diverged_at == 0
    assert trained[2].training.diverged_at is None


def test_a_child_that_diverges_in_a_stack_leaves_its_siblings_alone() -> None:
    """Side by side in one vmapped program: every byte of the other child is as with a healthy sibling."""
    settings = config(cycles_per_child=2)
    settings.experiment.clip_norm = 1e30
    settings.runtime.children_per_dispatch = 2
    good = random_child(1, id=2)
    siblings = [
        ChildPlan(**{**vars(good), "id": 1, "hyperparameters": drawn})
        for drawn in ({**good.hyperparameters, "learning_rate": 1e30}, {**good.hyperparameters, "learning_rate": 0.001})
    ]
    beside_bad, beside_healthy = (train([sibling, good], settings) for sibling in siblings)
    assert len({child.cost.program for child in beside_bad.values()}) == 1
    assert [beside_bad[id].training.diverged_at for id in (1, 2)] == [0, None]
    assert beside_healthy[1].training.diverged_at is None
    assert beside_bad[2].training == beside_healthy[2].training
    for name, arrays in beside_bad[2].best.items():
        for path, array in arrays.items():
            assert array.tobytes() == beside_healthy[2].best[name][path].tobytes(), (name, path)


def test_the_best_cycle_is_kept_and_the_first_of_equals() -> None:
    """A child trained for three cycles returns what it was after the first cycle with its highest count."""
    child = random_child(8, id=1, learning_rate=0.5, schedule="constant")
    task = FakeTask(num_train=48)
    qualities = train([child], config(cycles_per_child=4), task)[1].training.qualities
    assert qualities[0].counted == 40
    best = max(range(4), key=lambda cycle: (qualities[cycle].correct, -cycle))
    shorter = train([child], config(cycles_per_child=best + 1), task)[1]
    longer = train([child], config(cycles_per_child=4), task)[1]
    assert [q.correct for q in shorter.training.qualities] == [q.correct for q in qualities[: best + 1]]
    for name, arrays in longer.best.items():
        for path, array in arrays.items():
            assert array.tobytes() == shorter.best[name][path].tobytes()


def test_children_with_other_data_settings_get_other_batches() -> None:
    left = random_child(1, id=1, **NO_AUGMENTATION)
    right = ChildPlan(**{**vars(left), "id": 2, "hyperparameters": hyperparameters(flip=True, crop_area_min=0.01)})
    for children, streams in (([left, right], [(left,), (right,)]), ([left, left], [(left, left)])):
        (wave,) = placed(config(), children).waves
        assert [stream.children for stream in wave.streams] == streams
        assert wave.trained == children


def test_replicas_of_a_baseline_see_different_batches() -> None:
    settings = config()
    settings.experiment.baseline.kind = "full"
    child = random_child(1, id=1)
    (wave,) = placed(settings, [child, child]).waves
    assert len({stream.path for stream in wave.streams}) == 2


def test_validation_counts_the_first_images_up_to_the_cap() -> None:
    child = random_child(2, id=1)
    settings = config(max_validation_batches=2)  # 2 * 16 of 40 images
    assert train([child], settings)[1].training.qualities[0].counted == 32
    assert isinstance(train([child])[1].training.qualities[0], Quality)


def test_programs_are_counted_once_over_all_streams() -> None:
    """Replicas of a baseline have a stream each, and one program together."""
    settings = config()
    children = [random_child(1, id=id) for id in (1, 2, 3)]
    assert placed(settings, children).num_programs == 1
    settings.experiment.baseline.kind = "full"
    assert len(placed(settings, children).waves[0].streams) == 3
    assert placed(settings, children).num_programs == 1


def test_training_images_are_uploaded_once_a_task() -> None:
    resident = ResidentImages()
    left, right = (FakeTask(num_train=4, seed=seed).split("train").images for seed in (0, 1))
    first = resident.of(left)
    assert resident.of(left) is first
    np.testing.assert_array_equal(resident.of(right), right)
    assert resident.of(left) is not first


def test_the_engine_holds_nothing_of_a_task_that_was_released() -> None:
    """On the host: the images of the next task need the room."""
    task, children = FakeTask(), [random_child(1, id=1, max_blocks=1, image_size=16)]
    made = engine(config(), children, task)
    made.train(made.plan(generation(children), work_of(config(), task)), lambda *_: None)
    held = [weakref.ref(one) for split in task._splits.values() for one in (split, split.images)]
    task._splits.clear()
    assert [one() for one in held] == [None] * 6


def test_pieces_of_a_set_are_made_as_they_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []
    piece = stream._piece

    def spy(padded: Any, labels: Any, *arguments: Any) -> Any:
        made.append(len(labels))
        return piece(padded, labels, *arguments)

    monkeypatch.setattr(stream, "_piece", spy)
    monkeypatch.setattr(stream, "_PIECE_BATCHES", 1)
    pieces = stream.evaluation_batches(
        FakeTask(num_other=600, size=16).split("test"), stream.Resize(16, antialias=False)
    )
    assert not made
    next(pieces)
    assert made == [stream.EVALUATION_BATCH]
    assert sum(rest.counted for rest in pieces) == 600 - stream.EVALUATION_BATCH
