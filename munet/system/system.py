"""The `System` that Python users have of a run: a view of it that predicts, exports and draws itself.

JAX is loaded when something is predicted or exported, not before.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from munet.errors import UserError
from munet.system import view
from munet.system.view import RunView
from munet.types import TaskName

if TYPE_CHECKING:
    from munet.report.graph.graph import Graph
    from munet.serving.device_components import DeviceComponents
    from munet.serving.prediction import Prediction
    from munet.serving.predictor import Predictor
    from munet.serving.together import Together


@dataclass(frozen=True, repr=False)
class System(RunView):
    """The retained models of a run and the components they share: all of `RunView`, and what is done with it.

    Attributes:
      store: where the components are.
      start: the journal's first entry: tasks, configuration, versions.
      run_state: the journal folded.
      joint: of a joint training, which has no journal.
    """

    def __repr__(self) -> str:
        from munet.report import notebook

        return notebook.text(self)

    def _repr_html_(self) -> str:
        """What a notebook shows: the table of `munet status`."""
        from munet.report import notebook

        return notebook.html(self)

    def predict(self, task: TaskName, images: Any) -> Prediction:
        """Classifies images with the task's model; see `munet.serving.predictor.Predictor.predict`.

        The model stays on the device: the first call reads it and checks every byte, later ones do not.
        """
        return self.predictor(task).predict(images)

    def predictor(self, task: TaskName) -> Predictor:
        """The task's model on the device, checked and ready; the same object however often it is asked for.

        Raises:
          UserError: no such task, or no model yet.
          CorruptionError: a component's file is damaged or missing.
        """
        from munet.serving.predictor import Predictor

        if task not in self._predictors:
            self._predictors[task] = Predictor(self, task, self.device_components)
        return self._predictors[task]

    def predict_all(
        self, images: Any, tasks: TaskName | Sequence[TaskName] | None = None
    ) -> dict[TaskName, Prediction]:
        """Classifies images with the models of several tasks; what these share is computed once.

        Args:
          images: as for `predict`.
          tasks: solved tasks, or one; None: all.

        Returns:
          What `predict` gives, by task, in their order.

        Raises:
          UserError: no such task, no model yet, or what was given are no images.
          CorruptionError: a component's file is damaged or missing.
        """
        return self.together(self.models if tasks is None else tasks).predict_all(images)

    def predict_mixed(self, images: Any, tasks: Sequence[TaskName]) -> list[Prediction]:
        """Classifies every image with the model of a task of its own, all in one pass.

        Args:
          images: as for `predict`.
          tasks: one for each image.

        Returns:
          What `predict` gives for each image alone, in their order.

        Raises:
          UserError, CorruptionError: as for `predict_all`; also other numbers of images and tasks.
        """
        if isinstance(tasks, str):
            raise UserError(
                f"predict_mixed takes a task for each image, as [{tasks!r}, ...]; predict({tasks!r}, images) takes one "
                "for all."
            )
        named = set(tasks)
        unknown = [task for task in tasks if task not in self.models]
        return self.together([*unknown[:1], *filter(named.__contains__, self.models)]).predict_mixed(images, tasks)

    def together(self, tasks: TaskName | Iterable[TaskName]) -> Together:
        """The models of several tasks on the device, ready to answer together; the same object for the same tasks.

        Raises:
          UserError: no such task, or no model yet.
          CorruptionError: a component's file is damaged or missing.
        """
        from munet.serving.together import Together

        chosen = (tasks,) if isinstance(tasks, str) else tuple(dict.fromkeys(tasks))
        if chosen not in self._together:
            self._together[chosen] = Together(self, chosen, self.device_components)
        return self._together[chosen]

    @cached_property
    def device_components(self) -> DeviceComponents:
        """The components of the system that are on the device, each once; whatever predicts shares them."""
        from munet.serving.device_components import DeviceComponents

        return DeviceComponents(self.store.components)

    @cached_property
    def _together(self) -> dict[tuple[TaskName, ...], Together]:
        return {}

    @cached_property
    def _predictors(self) -> dict[TaskName, Predictor]:
        return {}

    def export(self, task: TaskName, folder: str | Path, format: str = "safetensors") -> Path:
        """Writes the task's model for other programs; see `munet.export.export.export`."""
        from munet.export import export

        return export.export(self, task, folder, format)

    def graph(self) -> Graph:
        """The layer graph of the system (paper Fig. 2)."""
        from munet.report.graph import graph

        return graph.of_run(self)


def open(workdir: str) -> System:
    """The system of the run or joint training in `workdir`, which may be going on.

    Raises:
      WorkdirError: there is no run, or one of a newer format.
      CorruptionError: the journal is damaged.
    """
    opened = view.open(workdir)
    return System(opened.store, opened.start, opened.run_state, opened.joint)
