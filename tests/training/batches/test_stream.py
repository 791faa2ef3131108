"""Batches of a stream: every step of a run has augmentations of its own, however the steps are cut into segments."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32

from munet.data.augment import AugmentSettings
from munet.training.batches.stream import Resize, StreamSettings, TrainStream

_CROPPED = {
    "crop_area_min": 0.1, "crop_aspect_min": 0.75, "flip": True, "brightness_delta": 0.0, "contrast_delta": 0.0,
    "saturation_delta": 0.0, "hue_delta": 0.0,
}  # fmt: skip


def _stream(segment_size: int) -> TrainStream:
    """Of one image, so that batches differ by their augmentations alone."""
    image = np.random.default_rng(0).integers(0, 256, (1, 16, 16, 3), np.uint8)
    settings = StreamSettings(4, segment_size, Resize(8, antialias=False))
    augmentation = AugmentSettings.from_hyperparameters(_CROPPED)
    return TrainStream(image, np.zeros(1, np.int32), augmentation, (0, 0, "task", 0, "batches"), settings)


def _steps(stream: TrainStream, first: int, count: int) -> Float32[np.ndarray, "steps batch 8 8 3"]:
    segments = [stream.segment(*piece) for piece in stream.segments(first, count)]
    return np.concatenate([np.asarray(segment.images)[: segment.num_steps] for segment in segments])


def test_no_two_steps_of_a_run_are_augmented_alike() -> None:
    images = _steps(_stream(2), 0, 6).reshape(6 * 4, -1)
    assert len(np.unique(images, axis=0)) == len(images)


def test_steps_are_the_same_however_they_are_cut() -> None:
    whole = _steps(_stream(6), 0, 6)
    np.testing.assert_array_equal(whole, _steps(_stream(2), 0, 6))
    np.testing.assert_array_equal(whole[3:], _steps(_stream(2), 3, 3))  # as a later cycle, and a resumed run, asks
