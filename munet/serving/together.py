"""All tasks of some images at once, or of every image a task of its own; what the tasks' models share is computed once.

Tasks whose images are stored differently (their size, their channels) see different pixels of the same image, and so
share nothing: there is a trie for each kind of `Inputs`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Array, Bool, Float

from munet.errors import CorruptionError, UserError
from munet.serving import trie
from munet.serving.device_components import DeviceComponents
from munet.serving.inputs import Inputs, listed
from munet.serving.one_pass import OnePass, Pixels
from munet.serving.prediction import Prediction
from munet.serving.predictor import BATCH_SIZES, softmax
from munet.system.view import RunView
from munet.types import TaskName


class Together:
    """Predicts with the retained models of several tasks, as they were when the system was opened.

    Made by `system.together(tasks)`.

    Args:
      system: of `munet.open`.
      tasks: solved tasks, each once.
      components: of the system, shared with its predictors.

    Attributes:
      tasks: as given.
      classes: names of all classes of each task.
      kinds: the tries of the tasks, by how their images are read.

    Raises:
      UserError: no such task, or no model yet.
      CorruptionError: a component's file is damaged or missing.
    """

    def __init__(self, system: RunView, tasks: Sequence[TaskName], components: DeviceComponents):
        self.tasks = tuple(tasks)
        self.classes = {task: system.task(task).class_names for task in tasks}
        by_kind: dict[Inputs, list[TaskName]] = {}
        for task in tasks:
            by_kind.setdefault(Inputs.of(system, task), []).append(task)
        try:
            self.kinds = {kind: OnePass(system, trie.build(system, own), components) for kind, own in by_kind.items()}
        except CorruptionError:
            system.check_gone_on(tasks)
            raise

    @property
    def flops(self) -> int:
        """Operations of one image on its way through all tasks' models, what they share once."""
        return sum(one_pass.trie.flops for one_pass in self.kinds.values())

    @cached_property
    def places(self) -> dict[TaskName, int]:
        """Where each task stands among `tasks`."""
        return {task: place for place, task in enumerate(self.tasks)}

    @cached_property
    def kind_of(self) -> dict[TaskName, Inputs]:
        """How the images of each task are read."""
        return {task: kind for kind, one_pass in self.kinds.items() for task in one_pass.trie.tasks}

    def predict_all(self, images: Any) -> dict[TaskName, Prediction]:
        """What every task's model says of the images, in the order of the tasks.

        Args:
          images: as for `Predictor.predict`.

        Raises:
          UserError: what was given are no images.
        """
        images = listed(images)
        pixels = {kind: kind.read_all(images) for kind in self.kinds}
        count = len(next(iter(pixels.values()), ()))
        logits = self.logits(pixels, np.ones((count, len(self.tasks)), np.bool_))
        return {task: Prediction(task, self.classes[task], softmax(logits[task])) for task in self.tasks}

    def predict_mixed(self, images: Any, tasks: Sequence[TaskName]) -> list[Prediction]:
        """What the model of each image's own task says of it: predictions of one image, in the order of the images.

        Args:
          images: a list or an array of what `Predictor.predict` takes.
          tasks: one for each image.

        Raises:
          UserError: what was given are no images, or not as many as tasks.
        """
        images = listed(images)
        if len(images) != len(tasks):
            raise UserError(
                f"predict_mixed() was given {len(images):,} images and {len(tasks):,} tasks; expected a task for each."
            )
        wanted = np.zeros((len(tasks), len(self.tasks)), np.bool_)
        wanted[np.arange(len(tasks)), [self.places[task] for task in tasks]] = True
        by_kind: dict[Inputs, list[Any]] = {kind: [] for kind in self.kinds}
        for image, task in zip(images, tasks, strict=True):
            by_kind[self.kind_of[task]].append(image)
        pixels = {kind: kind.read_all(own) for kind, own in by_kind.items()}
        own = {task: iter(rows) for task, rows in self.logits(pixels, wanted).items()}
        return [Prediction(task, self.classes[task], softmax(next(own[task])[None])) for task in tasks]

    def logits(
        self, pixels: Mapping[Inputs, Pixels], wanted: Bool[np.ndarray, "n tasks"]
    ) -> dict[TaskName, Float[np.ndarray, "rows classes"]]:
        """The heads' outputs, float32, of every task for the images that it is wanted for, in their order.

        Args:
          pixels: by kind, what `kind.read` gives of the images that any of its tasks is wanted for.
          wanted: which images each task is wanted for.
        """
        found: dict[TaskName, Float[np.ndarray, "rows classes"]] = {}
        for kind, one_pass in self.kinds.items():
            own = wanted[:, [self.places[task] for task in one_pass.trie.tasks]]
            parts = one_pass.logits(pixels.get(kind, ()), own[own.any(axis=1)])
            for task in one_pass.trie.tasks:
                none = np.empty((0, len(self.classes[task])), np.float32)
                found[task] = np.concatenate(parts.get(task, [none]))
        return found

    def dispatch(self, pixels: Mapping[Inputs, Pixels]) -> dict[TaskName, Float[Array, "padded classes"]]:
        """Every task's logits of at most `BATCH_SIZES[-1]` images, without waiting: arrays the device still works on.

        Args:
          pixels: the same images, as each of `kinds` reads them.

        Returns:
          At least as many rows as images; those behind the last are of no use.
        """
        found: dict[TaskName, Float[Array, "padded classes"]] = {}
        for kind, one_pass in self.kinds.items():
            everyone = np.ones((len(pixels[kind]), len(one_pass.trie.tasks)), np.bool_)
            found |= {task: logits for task, (_, logits) in one_pass.dispatch(pixels[kind], everyone).items()}
        return found

    def warm_up(self, sizes: Sequence[int] = BATCH_SIZES) -> None:
        """Compiles all programs for some batch sizes, and runs each once; for images that `kind.read` gives."""
        for kind, one_pass in self.kinds.items():
            one_pass.warm_up(kind.shape, sizes)
