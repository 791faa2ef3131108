"""Streamed training sets give the batches that resident ones do, bit for bit, and so the same runs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from PIL import Image

import munet
from munet.config import Config
from munet.config.checks import validate
from munet.data import streamed
from munet.data.augment import AugmentSettings
from munet.data.splits import Split
from munet.data.streamed import StreamedImages
from munet.run.runs import evolve
from munet.training.batches import decode_ahead, stream
from munet.training.batches.resident import ResidentImages
from munet.training.batches.stream import Resize, StreamSettings, TrainStream, batches_within, evaluation_batches
from tests import tiny_run
from tests.data.test_streamed import prefetching, soon
from tests.training.children import FakeTask, hyperparameters


def steps_of(images: Any, labels: np.ndarray, order: list[tuple[int, int]], **options: Any) -> list[np.ndarray]:
    batches = TrainStream(
        images,
        labels,
        AugmentSettings.from_hyperparameters(hyperparameters(crop_area_min=0.3)),
        (0, 0, "fake", 0, "batches"),
        StreamSettings(16, 3, Resize(16, antialias=False), num_steps=40, **options),
    )
    found = []
    for first, length in order:
        segment = batches.segment(first, length)
        found += [np.asarray(segment.images[:length]), np.asarray(segment.labels[:length])]
    batches.close()
    return found


@pytest.mark.parametrize("class_balanced", [False, True])
@pytest.mark.parametrize("part", [1, 5, 1000])
def test_batches_are_the_same(part: int, class_balanced: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over epochs, from any step on, with steps done again: whatever an interrupted run may ask for."""
    split = FakeTask(num_train=50, size=20).split("train")
    monkeypatch.setattr(streamed, "SLICE_BYTES", part * 20 * 20 * 3)
    order = [(0, 3), (3, 3), (6, 1), (7, 3), (30, 2), (32, 3), (3, 3), (39, 1), (40, 2)]
    resident = steps_of(split.images, split.labels, order, class_balanced=class_balanced)
    lazy = steps_of(StreamedImages.of_array(split.decoded), split.labels, order, class_balanced=class_balanced)
    for one, other in zip(resident, lazy, strict=True):
        np.testing.assert_array_equal(one, other)
    assert soon(lambda: not prefetching())


def test_a_thread_that_lags_behind_gets_its_indices() -> None:
    """Of many threads one may still ask for what others have long moved on from."""
    steps = decode_ahead._Steps(lambda first, count: np.arange(first, first + count)[:, None], 5, 205, window=20)
    for group in (20, 40, 60, 80, 100, 0, 19, 60, 199):
        assert steps[group] == [5 + group]


@pytest.mark.parametrize("count", [1, 255, 256, 700])
def test_pieces_to_evaluate_on_are_the_same(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "_PIECE_BATCHES", 1)
    split = FakeTask(num_other=700, size=8).split("test")
    lazy = Split(StreamedImages.of_array(split.decoded), split.labels)
    pieces = [list(evaluation_batches(one, Resize(16, antialias=False), count)) for one in (split, lazy)]
    for resident, streamed_piece in zip(*pieces, strict=True):
        np.testing.assert_array_equal(resident.images, streamed_piece.images)
        np.testing.assert_array_equal(resident.labels, streamed_piece.labels)
        assert resident.num_batches == streamed_piece.num_batches
    assert soon(lambda: not prefetching())


def test_segments_are_bounded_by_what_they_are_made_of() -> None:
    assert batches_within(64_000_000, 256, 32, 32 * 32 * 3, at_most=100) == 64_000_000 // (256 * 32 * 32 * 12)
    assert batches_within(64_000_000, 256, 32, 32 * 32 * 3, at_most=5) == 5
    assert batches_within(64_000_000, 256, 16, 768 * 768 * 3, at_most=100) == 1
    assert batches_within(1, 256, 32, 1, at_most=100) == 1


def test_what_is_resident() -> None:
    images = FakeTask(num_train=4).split("train").decoded
    assert isinstance(ResidentImages(images.nbytes).of(images), jax.Array)
    held = ResidentImages(images.nbytes - 1)
    streamed_images = held.of(images)
    assert isinstance(streamed_images, StreamedImages)
    assert held.of(images) is streamed_images
    np.testing.assert_array_equal(streamed_images[:], images)
    assert ResidentImages().of(streamed_images) is streamed_images


def folder_of(place: Path) -> str:
    """The noise of the smallest run as a folder of images of two sizes."""
    for name in ("left", "right"):
        with np.load(place / f"{name}.npz") as arrays:
            for number, (one, label) in enumerate(zip(arrays["images"], arrays["labels"], strict=True)):
                folder = place / name / str(label)
                folder.mkdir(parents=True, exist_ok=True)
                image = Image.fromarray(one).resize((16 + number % 2, 16))
                image.save(folder / f"{number}.{'png' if number % 3 else 'jpg'}")
    return f"folder:{place}/left,folder:{place}/right"


def evolved(config: Config, workdir: Path, share: float) -> dict[str, object]:
    config = replace(config, runtime=replace(config.runtime, resident_share=share, decoding_threads=2))
    evolve(validate(config), str(workdir), lambda _: None)
    return tiny_run.results(workdir)


def assert_runs_alike(config: Config, place: Path) -> None:
    """The same component ids, files, models, test accuracies and decisions."""
    config.experiment.num_task_iterations = 1
    held, lazy = evolved(config, place / "held", 0.25), evolved(config, place / "lazy", 0)
    assert lazy == held
    assert lazy["components"]
    assert soon(lambda: not prefetching())


@pytest.mark.slow
def test_a_folder_streamed_gives_the_same_run(tmp_path: Path) -> None:
    tiny_run.write_data(tmp_path)
    config = tiny_run.config(tmp_path)
    config.experiment.tasks = tuple(folder_of(tmp_path).split(","))
    assert_runs_alike(config, tmp_path)
    assert munet.verify(str(tmp_path / "lazy")).is_sound


def test_arrays_streamed_from_memory_give_the_same_run(tmp_path: Path) -> None:
    tiny_run.write_data(tmp_path)
    assert_runs_alike(tiny_run.config(tmp_path), tmp_path)


def test_a_prepared_set_streamed_gives_the_same_run(tmp_path: Path, shared_tfds: Path) -> None:
    tiny_run.write_data(tmp_path)
    config = tiny_run.config(tmp_path)
    config.experiment.tasks = ("tfds:cmaterdb/bangla?train=train[:100]&validation=train[100:150]&test=test[:50]",)
    config.runtime.data_dir = str(shared_tfds)
    assert_runs_alike(config, tmp_path)


def test_a_run_that_ends_early_leaves_no_threads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny_run.write_data(tmp_path)
    config = tiny_run.config(tmp_path)
    segment = TrainStream.segment
    called: list[int] = []

    def interrupted(self: TrainStream, first: int, length: int) -> Any:
        called.append(first)
        made = segment(self, first, length)
        if len(called) == 3:
            assert prefetching()
            raise KeyboardInterrupt
        return made

    monkeypatch.setattr(TrainStream, "segment", interrupted)
    with pytest.raises(KeyboardInterrupt):
        evolved(config, tmp_path / "run", 0)
    assert soon(lambda: not prefetching())
