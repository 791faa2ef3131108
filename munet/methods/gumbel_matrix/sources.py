"""What models are given: images of tasks that are opened by URI, or samples that are drawn on the devices."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from munet import rng
from munet.config.routing import RoutingExperiment
from munet.data.augment import AugmentSettings, augment, prepare
from munet.data.shifts import shifted
from munet.data.splits import Source as DataSource
from munet.data.splits import SplitName
from munet.data.tasks import Task
from munet.errors import DataError
from munet.joint.held_out import Measured
from munet.joint.learner import Batch
from munet.joint.program import Programs
from munet.joint.rounds import Stream
from munet.methods.gumbel_matrix.learner import PURPOSES, Routing
from munet.methods.gumbel_matrix.synthetic import Sines
from munet.training.program import keys
from munet.types import TaskInfo, TaskName

_HELD_OUT = 8_192  # samples of a split that is drawn


class Images:
    """Grey or coloured images in [0, 1].

    Args:
      image_size: pixels on a side.
      is_grey: whether they have one channel.
      inverts: whether black is 1.
      padding: zeros around training images, of which a random crop is taken.
    """

    def __init__(self, image_size: int, is_grey: bool, inverts: bool = False, padding: int = 0):
        self._size, self._is_grey, self._inverts, self._padding = image_size, is_grey, inverts, padding

    def batch(self, task: int, batch: Batch) -> tuple[Array, Array]:  # noqa: ARG002
        """Images as they are measured, but for the crop, and their classes."""
        values, labels = self._whole(batch)
        if not self._padding:
            return values, labels
        key = keys.wrapped(batch.words[PURPOSES.index("data")])
        return shifted(values, self._padding, key, "constant"), labels

    def _whole(self, batch: Batch) -> tuple[Array, Array]:
        images = batch.images
        if images.shape[1:3] != (self._size, self._size):
            return self.prepared(prepare(images, self._size, antialias=False)), batch.labels
        values = images.astype(jnp.float32) / 255  # nothing is to be resized
        channels = 1 if self._is_grey else 3
        values = values if values.shape[-1] == channels else values.repeat(channels, axis=-1)
        return self.from_shares(values), batch.labels

    def prepared(self, images: Float[Array, "n size size 3"]) -> Array:
        """From [-1, 1] and three channels; grey ones have the same value in each."""
        values = (images + 1) / 2
        return self.from_shares(values.mean(axis=-1, keepdims=True) if self._is_grey else values)

    def from_shares(self, images: Array) -> Array:
        """From [0, 1] and as many channels as the network has."""
        return 1 - images if self._inverts else images


class RootImages:
    """Coloured images in [-1, 1], augmented for training as evolution's are.

    Args:
      image_size: pixels on a side.
      crop_area_min, crop_aspect_min, flip: of random crops and flips.
    """

    def __init__(self, image_size: int, crop_area_min: float, crop_aspect_min: float, flip: bool):
        still = dict.fromkeys(("brightness_delta", "contrast_delta", "saturation_delta", "hue_delta"), 0.0)
        drawn = {"crop_area_min": crop_area_min, "crop_aspect_min": crop_aspect_min, "flip": flip}
        self._size, self._settings = image_size, AugmentSettings.from_hyperparameters({**drawn, **still})

    def batch(self, task: int, batch: Batch) -> tuple[Array, Array]:  # noqa: ARG002
        """Augmented images, and their classes."""
        key = keys.wrapped(batch.words[PURPOSES.index("data")])[None]
        return augment(batch.images[None], key, self._settings, image_size=self._size, antialias=False)[0], batch.labels

    def prepared(self, images: Float[Array, "n size size 3"]) -> Array:
        """As they are."""
        return images

    def from_shares(self, images: Float[Array, "n size size 3"]) -> Array:
        """From [0, 1]."""
        return images * 2 - 1


def images_of(experiment: RoutingExperiment) -> Images | RootImages:
    """What networks for images are given, by the settings."""
    if experiment.network == "vit":
        crop = experiment.crop_area_min, experiment.crop_aspect_min
        return RootImages(experiment.image_size, *crop, experiment.flip)
    return Images(experiment.image_size, experiment.is_grey, experiment.inverts, experiment.padding)


class Drawn:
    """Samples of sines, new ones every round."""

    def __init__(self, sines: Sines):
        self._sines = sines

    def batch(self, task: int, batch: Batch) -> tuple[Array, Array]:
        """As many samples as the stream has in a batch, whose images are not looked at."""
        return self._sines.draw(task, keys.wrapped(batch.words[PURPOSES.index("data")]), len(batch.labels))

    def prepared(self, images: Float[Array, "n inputs"]) -> Array:
        """As they are."""
        return images


class HeldOut:
    """Measures the models of all tasks of sines on samples that are the same at every measurement.

    Args:
      learner: the method.
      sines: the tasks.
      seed: of the samples.
    """

    def __init__(self, learner: Routing, sines: Sines, seed: int):
        self._learner, self._sines, self._seed = learner, sines, seed
        self._program: tuple[Programs, Callable[..., Any]] | None = None

    def __call__(self, programs: Programs, state: Any, split: SplitName) -> Mapping[TaskName, Sequence[Measured]]:
        """Mean squared errors, by task and replica."""
        if self._program is None or self._program[0] is not programs:
            self._program = programs, programs.compiled(self._errors, shared=1)
        errors = np.asarray(self._program[1](state, rng.key_data(("sines", self._seed, split))))
        return {
            name: [Measured(None, float(error), _HELD_OUT) for error in errors[:, place]]
            for place, name in enumerate(self._sines.names)
        }

    def _errors(self, state: Any, words: Array) -> Float[Array, " tasks"]:
        found = []
        for place in range(len(self._sines.names)):
            inputs, values = self._sines.draw(place, jax.random.fold_in(keys.wrapped(words), place), _HELD_OUT)
            found.append(((self._learner.answers(state, place, inputs)[:, 0] - values) ** 2).mean())
        return jnp.stack(found)


def stream_of_samples(name: TaskName, batch_size: int) -> Stream:
    """A stream that brings nothing but random words."""
    nothing = np.zeros((batch_size, 1, 1, 1), np.uint8)
    labels = np.zeros(batch_size, np.int32)
    return Stream(name, nothing, labels, batch_size, path_of(name), PURPOSES, is_ordered=True)


def path_of(name: TaskName) -> Callable[[int], rng.Path]:
    """Of everything that a replica draws for a task."""
    return lambda seed: ("routing", seed, name)


def task_of(name: TaskName, made: str, sines: Sines) -> Task:
    """A task of sines, which has no files."""

    def load() -> Any:
        raise DataError(f"{name}: samples of made={made!r} are drawn, and lie nowhere.")

    identity = rng.digest(("sines", made, name, sines.waves, *map(float.hex, map(float, sines.directions.ravel()))))
    sizes: Mapping[SplitName, int] = {"train": 0, "validation": _HELD_OUT, "test": _HELD_OUT}
    info = TaskInfo(name, f"made:{made}/{name}", identity.hex(), (), 0, _HELD_OUT, _HELD_OUT)
    return Task(info, DataSource((), sizes, info.fingerprint, load))
