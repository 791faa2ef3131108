"""Models of a routed training ready to answer: each computes the components in its task's row, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import jax
import numpy as np
from jaxtyping import Array, Float

from munet.errors import UserError
from munet.methods.gumbel_matrix.sources import images_of
from munet.serving import predictor
from munet.serving.answers import Stored, only_task
from munet.serving.inputs import Inputs
from munet.system.routed import RoutedView, open_routed
from munet.types import TaskName


def asked(workdir: str, task: TaskName, all_tasks: bool) -> RoutedModels:
    """The models of a complete routed training that `munet predict` asks.

    Args:
      workdir: of the training.
      task: whose model; "": the only one's.
      all_tasks: whether every task's is asked.

    Raises:
      UserError: there is no complete training, no such task, or several.
      CorruptionError: a file is damaged or missing.
    """
    opened = open_routed(workdir)
    names = list(opened.tasks)
    return RoutedModels(opened, names if all_tasks else [task or only_task(names, names)])


class RoutedModels:
    """One task's model, or several, as `munet.serving.answers` asks them.

    Args:
      opened: the training, of whose first seed the models are.
      tasks: whose.

    Raises:
      UserError: there is no such task, or its inputs are no images.
      CorruptionError: a component is damaged or missing.
    """

    def __init__(self, opened: RoutedView, tasks: Sequence[TaskName]):
        experiment = opened.experiment
        if experiment.made:
            raise UserError(
                f"{opened.place.path}: tasks of made={experiment.made!r} have numbers as inputs, no images."
            )
        infos = [opened.info(task) for task in tasks]
        self.tasks = tuple(tasks)
        self.classes = {info.name: info.class_names for info in infos}
        self._inputs = {info.name: Inputs.of_task(info, experiment.image_size) for info in infos}
        self.kinds = tuple(dict.fromkeys(self._inputs.values()))
        self._size, prepared = experiment.image_size, images_of(experiment).prepared
        self._programs = {}
        for task in tasks:
            model = opened.model(task)
            self._programs[task] = jax.jit(lambda images, model=model: model(prepared(images)))

    def dispatch(self, pixels: Mapping[Inputs, Stored]) -> dict[TaskName, Float[Array, "padded classes"]]:
        """See `munet.serving.answers.Models`."""
        images = {kind: self._images(stored, kind) for kind, stored in pixels.items()}
        return {task: program(images[self._inputs[task]]) for task, program in self._programs.items()}

    def _images(self, stored: Stored, kind: Inputs) -> Float[Array, "padded size size 3"] | np.ndarray:
        return predictor.prepare(stored, self._size, False, kind.canvas)
