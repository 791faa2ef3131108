"""Streams of batches beside each other in one wave: each child ends as if its stream had trained alone."""

from __future__ import annotations

import os
import threading
from dataclasses import replace
from typing import Any

import jax
import pytest

from munet.config import Config
from munet.data.splits import Split
from munet.training import chunk_training, pace, wave
from munet.training.batches.stream import Segment, TrainStream
from munet.training.measure.validation import Validation
from munet.training.placement import fitting
from munet.training.placement.devices import DeviceLayout
from munet.training.placement.fitting import Spread
from munet.training.placement.streams import streams_of
from munet.training.wave import WaveTrainer
from munet.training.work import TaskWork
from munet.types import ChildPlan, ComponentPlan
from tests.training.children import config, engine, generation, placed, random_child, train, with_settings, work_of
from tests.training.test_in_flight import assert_same


def mixed_children() -> list[ChildPlan]:
    """Three streams, the first of two children that are not neighbours; one has larger images."""
    first, large = (random_child(1, id=id, max_blocks=1, image_size=size) for id, size in ((1, 32), (2, 64)))
    return [
        first,
        large,
        with_settings(first, 3, crop_area_min=0.9),
        with_settings(random_child(4, id=4, max_blocks=1), 4, learning_rate=0.01),
    ]


def settings_of_several_segments() -> Config:
    """Two cycles of five steps: of small images in one segment, of large ones in five."""
    settings = config(cycles_per_child=2)
    settings.runtime.block_megabytes = 1
    return settings


def on_cores(settings: Config, cores: int) -> DeviceLayout:
    found = DeviceLayout.detect(settings.runtime)
    return replace(found, devices=found.devices[:1], cores=cores)


@pytest.mark.parametrize("cores", [1, 2])
def test_children_of_several_streams_end_as_if_each_stream_had_trained_alone(cores: int) -> None:
    """Bit for bit, with several image sizes and numbers of segments, one chunk after the other and two at a time."""
    children, settings = mixed_children(), settings_of_several_segments()
    layout = on_cores(settings, cores)
    (placed_wave,) = placed(settings, children, layout=layout).waves
    assert [[child.id for child in stream.children] for stream in placed_wave.streams] == [[1, 4], [2], [3]]
    assert [child.id for child in placed_wave.trained] == [1, 4, 2, 3]
    cycles: list[set[int]] = []
    together = train(settings, children, layout=layout, on_cycle=lambda _, found, *__: cycles.append(set(found)))
    assert cycles == [{1, 2, 3, 4}] * 2
    for stream in placed_wave.streams:
        alone = train(settings, list(stream.children), layout=layout)
        assert_same(alone, {id: together[id] for id in alone})


def test_replicas_train_side_by_side_unless_their_images_are_streamed() -> None:
    """One wave, or one for each, and the same bits."""
    settings = config(cycles_per_child=2)
    settings.experiment.baseline.kind = "full"
    settings.experiment.num_generations = settings.experiment.num_task_iterations = 1
    first = random_child(1, id=1, max_blocks=1, image_size=16)
    children = [first, with_settings(first, 2), with_settings(first, 3)]
    assert len(placed(settings, children).waves) == 1
    together = train(settings, children)
    settings.runtime.resident_share = 0.0
    waves = placed(settings, children).waves
    assert [[child.id for child in one.trained] for one in waves] == [[1], [2], [3]]
    assert [one.is_last for one in waves] == [False, False, True]
    assert_same(train(settings, children), together)


def test_chunks_of_several_streams_are_at_work_at_the_same_time(monkeypatch: pytest.MonkeyPatch) -> None:
    plain, together = chunk_training.ChunkTraining.train, threading.Barrier(2)
    first = random_child(1, id=1, max_blocks=1, image_size=16)

    def in_company(run: Any, segment: Segment) -> Any:
        together.wait(timeout=60)  # broken, and an error, unless the other child is here at the same time
        return plain(run, segment)

    monkeypatch.setattr(chunk_training.ChunkTraining, "train", in_company)
    settings = config()
    train(settings, [first, with_settings(first, 2, crop_area_min=0.9)], layout=on_cores(settings, 2))


def test_a_segment_is_made_once_a_stream_and_a_validation_once_an_image_size(monkeypatch: pytest.MonkeyPatch) -> None:
    children, settings = mixed_children(), settings_of_several_segments()
    made: list[tuple[int, int]] = []
    sizes: list[int] = []
    segment = TrainStream.segment

    def spy_segment(stream: TrainStream, first: int, length: int) -> Segment:
        result = segment(stream, first, length)
        made.append((result.images.shape[2], first))
        return result

    def spy_validation(split: Split, work: TaskWork, image_size: int) -> Validation:
        sizes.append(image_size)
        return Validation(split, work, image_size)

    monkeypatch.setattr(pace, "_FIRST", 100)  # steps: turns are as long as they can be
    monkeypatch.setattr(TrainStream, "segment", spy_segment)
    monkeypatch.setattr(wave, "Validation", spy_validation)
    train(settings, children)
    steps = work_of(settings).steps_per_cycle
    small = [(32, cycle * steps) for cycle in range(2) for _ in range(2)]
    assert sorted(made) == small + [(64, step) for step in range(2 * steps)]
    assert sizes == [32, 64]


def test_streams_that_do_not_fit_together_train_one_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """With room for the children of two streams but the images of one, and then for both."""
    first = random_child(1, id=1, max_blocks=1, image_size=16)
    children = [with_settings(first, id, crop_area_min=0.1 * id) for id in (1, 2, 3)]
    settings = config(cycles_per_child=2)
    layout = on_cores(settings, 1)
    program = placed(settings, children, layout=layout).waves[0].chunks[0].group.signature
    need = fitting.need(program, Spread())
    plan = engine(settings, children, layout=replace(layout, memory=1))
    reserved = plan._reserved("fake", work_of(settings), 16)
    children_of_two = 2 * need.kept + need.working
    expected = train(settings, children, layout=layout)
    for batches, ids in ((1, [[1], [2], [3]]), (2, [[1, 2], [3]])):
        memory = reserved.training + reserved.validation + batches * reserved.batches + children_of_two
        tight = replace(layout, memory=memory)
        waves = placed(settings, children, layout=tight).waves
        assert [[child.id for child in one.trained] for one in waves] == ids
        assert [one.is_last for one in waves] == [False] * (len(waves) - 1) + [True]
        assert_same(train(settings, children, layout=tight), expected)


def test_the_time_of_a_wave_is_shared_by_what_children_cost() -> None:
    """Whatever their stream: those of larger images have more of it."""
    children, settings = mixed_children(), config()
    made = engine(settings, children, layout=on_cores(settings, 2))
    (found,) = made.plan(generation(children), work_of(settings)).waves
    seconds = WaveTrainer(on_cores(settings, 2), lambda _: {})._attributed(found.chunks, 10.0)
    shares = {id: seconds[chunk.group.signature] for chunk in found.chunks for id in [c.id for c in found.of(chunk)]}
    assert sum(shares.values()) == pytest.approx(10.0)
    assert shares[2] > shares[1] == shares[3]


def test_images_are_on_the_first_device_alone_where_one_stream_trains() -> None:
    """As they ever were: neither committed to it, nor copied."""
    assert len(jax.devices()) == 1, os.environ.get("XLA_FLAGS")
    settings, children = config(), [random_child(1, id=1, max_blocks=1, image_size=16)]
    made = engine(settings, children)
    made.train(made.plan(generation(children), work_of(settings)), lambda *_: None)
    (held,) = made._resident._held.values()
    assert isinstance(held, jax.Array)
    assert not held.committed


def copies(kinds: tuple[str, ...]) -> tuple[Config, list[ChildPlan]]:
    """Three children that are equal in all, and one that is not."""
    settings = config(stages=kinds, images_per_task=100_000)
    first = random_child(1, id=1, max_blocks=1, image_size=16)
    other = replace(first, id=3, hyperparameters={**first.hyperparameters, "learning_rate": 0.0123})
    return settings, [first, replace(first, id=2), other, replace(first, id=4)]


@pytest.mark.parametrize("kind", ["explore", "narrow", "train", "evolve", ""])
def test_children_that_are_equal_in_all_see_other_batches_but_in_the_papers_generations(kind: str) -> None:
    settings, children = copies((f"{kind}:4x1",) if kind else ())
    settings.experiment.images_per_task *= bool(kind)
    found = streams_of(generation(children), work_of(settings))
    if kind in ("evolve", ""):
        assert [[child.id for child in stream.children] for stream in found] == [[1, 2, 3, 4]]
    else:
        assert [[child.id for child in stream.children] for stream in found] == [[1, 3], [2], [4]]
    assert [stream.path[:5] for stream in found] == [found[0].path] * len(found)
    assert [stream.path[5:] for stream in found] == [(), ("copy", 1), ("copy", 2)][: len(found)]


def test_children_that_draw_layers_of_their_own_differ_already() -> None:
    settings, (first, *_) = copies(("explore:4x1",))
    drawn = replace(first, components=(*first.components, ComponentPlan("residual_adapter_0", "init", None, True)))
    found = streams_of(generation([drawn, replace(drawn, id=2)]), work_of(settings))
    assert [len(stream.children) for stream in found] == [2]


def test_copies_end_with_other_bits_and_the_first_as_if_there_were_none() -> None:
    found = {}
    for kind in ("evolve", "explore"):
        settings, (first, copy, *_) = copies((f"{kind}:2x1",))
        found[kind] = train(settings, [first, copy])
    alike = found["evolve"]
    assert_same({1: alike[1]}, {1: alike[2]})
    assert_same({1: alike[1]}, {1: found["explore"][1]})
    with pytest.raises(AssertionError):
        assert_same({1: alike[1]}, {1: found["explore"][2]})
