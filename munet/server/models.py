"""The models that a server answers with, as they were at one moment; newer ones replace them between two batches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from munet.data import photos
from munet.data.images import Pixels
from munet.errors import CorruptionError, UserError
from munet.serving.device_components import DeviceComponents
from munet.serving.inputs import Inputs
from munet.serving.predictor import BATCH_SIZES, padded_size
from munet.serving.together import Together
from munet.system import view
from munet.system.view import RunView
from munet.types import ModelId, TaskName


class Image(NamedTuple):
    """An image on its way to some tasks' models.

    Attributes:
      pixels: as the tasks' images are stored, by kind.
      tasks: that are to answer.
    """

    pixels: Mapping[Inputs, Pixels]
    tasks: Sequence[TaskName]


class Answer(NamedTuple):
    """What a task's model says of one image.

    Attributes:
      model: the model.
      classes: names of its classes.
      logits: of each.
    """

    model: ModelId
    classes: tuple[str, ...]
    logits: Float[np.ndarray, " classes"]


@dataclass(frozen=True)
class Models:
    """What is served.

    Attributes:
      system: the run as it was read.
      together: the tasks' models.
      broken: tasks that cannot be served, with the reason.
      components: what is on the device.
    """

    system: RunView
    together: Together
    broken: Mapping[TaskName, str]
    components: DeviceComponents

    @classmethod
    def load(cls, system: RunView, tasks: Sequence[TaskName], components: DeviceComponents) -> Models:
        """Reads and checks the components of some tasks; those of which one is damaged are left out.

        Args:
          system: the run.
          tasks: that have models.
          components: of its store; those that are there already are not read again.

        Raises:
          CorruptionError: none can be served.
          GoneOnError: the run has gone on since it was opened, and has removed files.
        """
        broken: dict[TaskName, str] = {}
        for task in tasks:
            try:
                for identity in system.model(task).components.values():
                    components.get(identity)
            except CorruptionError as error:
                system.check_gone_on([task])
                broken[task] = str(error)
        whole = [task for task in tasks if task not in broken]
        if broken and not whole:
            raise CorruptionError(" ".join(dict.fromkeys(broken.values())))
        return cls(system, Together(system, whole, components), broken, components)

    @property
    def tasks(self) -> tuple[TaskName, ...]:
        """Those that are served."""
        return self.together.tasks

    def read(self, data: bytes, tasks: Sequence[TaskName]) -> Image:
        """Decodes an image for some tasks' models; those that went since they were asked for are passed over.

        Raises:
          BadImageError: it is damaged, or none.
        """
        kinds = dict.fromkeys(self.together.kind_of[task] for task in tasks if task in self.tasks)
        return Image({kind: kind.read(data) for kind in kinds}, tasks)

    def answer(self, images: Sequence[Image]) -> list[dict[TaskName, Answer]]:
        """What the wanted models say of each image; nothing of tasks that are not served, or were not when it came."""
        places, together = self.together.places, self.together
        wanted = np.zeros((len(images), len(places)), np.bool_)
        pixels: dict[Inputs, list[Pixels]] = {kind: [] for kind in together.kinds}
        for index, image in enumerate(images):
            served = [task for task in image.tasks if task in places and together.kind_of[task] in image.pixels]
            wanted[index, [places[task] for task in served]] = True
            for kind in dict.fromkeys(together.kind_of[task] for task in served):
                pixels[kind].append(image.pixels[kind])
        # Of images that all have the task's shape an array: the program for it is compiled.
        whole = {kind: np.stack(own) if kind.shape and own else own for kind, own in pixels.items()}
        found = together.logits(whole, wanted)
        answers: list[dict[TaskName, Answer]] = [{} for _ in images]
        for task, place in places.items():
            model, classes = self.system.model(task).id, together.classes[task]
            for row, image_index in enumerate(np.flatnonzero(wanted[:, place])):
                answers[image_index][task] = Answer(model, classes, found[task][row])
        return answers

    def warm_up(self, max_images: int) -> None:
        """Compiles whatever batches of up to so many images need."""
        self.together.warm_up(sizes=[size for size in BATCH_SIZES if size <= padded_size(max_images)])


def check_size(data: bytes, max_pixels: int) -> int:
    """The number of pixels that a file claims, before any is decoded; 0 where its header cannot be read.

    Args:
      data: the file.
      max_pixels: more need not be counted.
    """
    try:
        return photos.num_pixels(data)
    except photos.BadImageError as error:
        return max_pixels + 1 if "more than" in str(error) else 0


def open_tasks(workdir: str, chosen: Sequence[TaskName]) -> tuple[RunView, tuple[TaskName, ...]]:
    """A run as it is now, and which of its tasks are to be served.

    Args:
      workdir: of the run.
      chosen: tasks; none: all that have a model.

    Raises:
      UserError: no run, or no such task.
    """
    system: Any = view.open(workdir)
    for task in chosen:
        if task not in system.forgotten:  # a server that follows the run answers for the others
            system.task(task)
    tasks = tuple(task for task in system.models if not chosen or task in chosen)
    return system, tasks


def check_served(tasks: Sequence[TaskName], workdir: str, chosen: Sequence[TaskName]) -> None:
    """Refuses to serve nothing.

    Raises:
      UserError: no task has a model yet.
    """
    if not tasks:
        which = f"None of the tasks {', '.join(chosen)}" if chosen else "No task"
        raise UserError(
            f"{which} of {workdir} has a model yet: the first phase has not ended. Start again then, or now with "
            "--follow, which takes up models as they come."
        )
