"""Several tasks at once: every shared prefix once, and every answer that of the task's predictor."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
from jaxtyping import UInt8

import munet
from munet.errors import UserError
from munet.serving import one_pass, predictor, trie
from munet.serving.together import Together
from munet.vit import architecture
from tests.evolution.simulation import make_tasks
from tests.report.stored_run import write_run


def system(path: Path, seed: int, **changes: Any) -> munet.System:
    path.mkdir(exist_ok=True)
    write_run(path, **{"num_classes": (3, 5, 4), "mutation_probability": 0.6, "seed": seed, "num_blocks": 2, **changes})
    return munet.open(str(path))


def pixels(*shape: int) -> UInt8[np.ndarray, "..."]:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def with_model(opened: munet.System, task: str, of: str, *, without: tuple[str, ...] = ()) -> munet.System:
    """The system with the layers of one task's model below another task's head."""
    layers = {name: id for name, id in opened.models[of].components.items() if name not in without}
    layers[architecture.HEAD] = opened.models[task].components[architecture.HEAD]
    changed = replace(opened.models[of], task=task, components=layers)
    opened.__dict__["models"] = {**opened.models, task: changed}  # a cached property
    return opened


def segments(opened: munet.System, *tasks: str) -> list[trie.Segment]:
    (one,) = opened.together(tasks).kinds.values()
    return list(one.trie.segments())


@pytest.mark.parametrize("seed", [0, 3])  # two image sizes; paths that part in the middle
def test_answers_are_those_of_predict(tmp_path: Path, seed: int) -> None:
    opened, images = system(tmp_path, seed), pixels(4, 20, 24, 3)
    found = opened.predict_all(images)
    assert list(found) == list(opened.models)
    for task, prediction in found.items():
        expected = opened.predict(task, images)
        assert (prediction.task, prediction.class_names) == (task, expected.class_names)
        np.testing.assert_allclose(prediction.probabilities, expected.probabilities, atol=1e-5)


def test_images_stored_larger_than_twice_the_model_are_not_squashed_first(tmp_path: Path) -> None:
    """`?canvas=` of a task stores such; they were shrunk twice where several tasks were asked, and once for one."""
    infos = tuple(replace(info, image_shape=(150, 130, 3)) for info in make_tasks(3, 5, 4))
    opened = system(tmp_path, 0, tasks=infos)
    images = pixels(4, 150, 130, 3)
    assert max(images.shape) > 2 * max(opened.experiment.search_space.image_size)
    for task, prediction in opened.predict_all(images).items():
        expected = opened.predict(task, images).probabilities
        np.testing.assert_allclose(prediction.probabilities, expected, atol=1e-5)


def test_low_rank_updates_are_part_of_their_block(tmp_path: Path) -> None:
    opened = system(tmp_path, 1, insertions=("adapter", "lora"))
    assert any(step.update for segment in segments(opened, *opened.models) for step in segment.steps)
    for task, prediction in opened.predict_all(images := pixels(3, 20, 24, 1)).items():
        expected = opened.predict(task, images).probabilities
        np.testing.assert_allclose(prediction.probabilities, expected, atol=1e-5)


@pytest.mark.parametrize("count", [5, 11])
def test_each_image_goes_through_its_own_path(tmp_path: Path, count: int) -> None:
    opened, images = system(tmp_path, 3), pixels(count, 20, 24, 3)
    tasks = [str(task) for task in np.random.default_rng(1).choice(list(opened.models), count)]
    found = opened.predict_mixed(images, tasks)
    assert [prediction.task for prediction in found] == tasks
    for index, (task, prediction) in enumerate(zip(tasks, found, strict=True)):
        expected = opened.predict(task, images).probabilities[index : index + 1]
        np.testing.assert_allclose(prediction.probabilities, expected, atol=1e-5)


def test_more_images_than_a_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened, images = system(tmp_path, 3), pixels(11, 20, 24, 3)
    whole = opened.predict_all(images)
    monkeypatch.setattr("munet.serving.predictor.BATCH_SIZES", (1, 4))
    for task, prediction in opened.predict_all(images).items():
        np.testing.assert_allclose(prediction.probabilities, whole[task].probabilities, atol=1e-5)


def test_what_is_shared_is_computed_once(tmp_path: Path) -> None:
    opened = with_model(system(tmp_path, 3), "task1", of="task0")
    opened = with_model(opened, "task2", of="task0")
    (segment,) = segments(opened, *opened.models)
    assert [end.task for end in segment.ends] == ["task0", "task1", "task2"]
    with mock.patch.object(one_pass, "_steps", wraps=one_pass._steps) as run:
        opened.predict_all(pixels(4, 20, 24, 3))
    assert run.call_count == 1


def test_the_last_block_of_one_task_may_be_an_inner_one_of_another(tmp_path: Path) -> None:
    """The last attends for the class token alone: what comes out differs, though the components are the same."""
    opened = with_model(system(tmp_path, 2), "task1", of="task0", without=("encoderblock_1",))
    first, *others = segments(opened, "task0", "task1")
    assert [step.name for step in first.steps] == ["embedding", "cls", "posembed_input"]
    assert sorted([step.name for step in segment.steps] for segment in others) == [
        ["encoderblock_0"],
        ["encoderblock_0", "encoderblock_1"],
    ]
    for task, prediction in opened.predict_all(images := pixels(3, 20, 24, 3), ["task0", "task1"]).items():
        expected = opened.predict(task, images).probabilities
        np.testing.assert_allclose(prediction.probabilities, expected, atol=1e-5)


def test_operations_are_counted_exactly(tmp_path: Path) -> None:
    opened = system(tmp_path, 3)
    for task in opened.models:
        assert trie.build(opened, [task]).flops == opened.flops(task)
    together_, alone = opened.together(["task0", "task1"]).flops, opened.flops("task0") + opened.flops("task1")
    embedding = 2 * 4 * 3 * 16**2 * 64  # all that these two share; 2 x 2 patches
    assert together_ == alone - embedding


def num_programs() -> list[int]:
    jitted: list[Any] = [one_pass._steps, one_pass._ends, one_pass._take, predictor._resize_boxes]
    return [program._cache_size() for program in jitted]


def test_a_warm_system_compiles_nothing(tmp_path: Path) -> None:
    opened = system(tmp_path, 3)
    ready = Together(opened, list(opened.models), opened.device_components)
    ready.warm_up(sizes=(1, 4))
    programs = num_programs()
    for tasks in (["task0"] * 4, ["task0", "task1", "task2"], ["task2"], ["task0", "task2", "task2", "task2"]):
        ready.predict_mixed([pixels(20 + place, 24, 3) for place in range(len(tasks))], tasks)
    assert num_programs() == programs


def test_no_images_give_no_predictions(tmp_path: Path) -> None:
    opened = system(tmp_path, 3)
    assert {task: len(found) for task, found in opened.predict_all([]).items()} == dict.fromkeys(opened.models, 0)
    assert opened.predict_mixed([], []) == []


def test_what_cannot_be_answered_is_refused(tmp_path: Path) -> None:
    opened = system(tmp_path, 3)
    with pytest.raises(UserError, match=r"Did you mean 'task"):
        opened.predict_all(pixels(1, 8, 8, 1), ["task0", "taks1"])
    with pytest.raises(UserError, match=r"Did you mean 'task"):
        opened.predict_mixed(pixels(1, 8, 8, 1), ["taks1"])
    with pytest.raises(UserError, match="2 images and 1 tasks"):
        opened.predict_mixed(pixels(2, 8, 8, 1), ["task0"])
    with pytest.raises(UserError, match=r"a task for each image, as \['task0', ...\]; predict\('task0', images\)"):
        opened.predict_mixed(pixels(1, 8, 8, 1), "task0")


def test_one_task_may_be_named_alone(tmp_path: Path) -> None:
    opened = system(tmp_path, 3)
    assert list(opened.predict_all(pixels(1, 8, 8, 1), "task1")) == ["task1"]
    with pytest.raises(UserError, match=r"Did you mean 'task"):
        opened.predict_all(pixels(1, 8, 8, 1), "taks1")
