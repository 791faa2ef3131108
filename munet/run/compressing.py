"""A `compress` stage: the best model of a phase, with the layers that it can spare stored in low rank.

It is a generation of one child that is not trained: which layers, and of which rank, is chosen by validation, as
`munet compress` does for a finished run.
"""

from __future__ import annotations

from dataclasses import dataclass

from munet.compression.compress import Compression, Load, compress
from munet.data.tasks import Task
from munet.evolution.state import State
from munet.training.measure.evaluation import measure_validation
from munet.training.work import TaskWork
from munet.types import ChildPlan, ComponentName, CycleQualities, ModelRecord
from munet.vit.init import FlatArrays


@dataclass(frozen=True)
class CompressedChild:
    """What compressing gave, as the controller asks for it.

    Attributes:
      training: the qualities of the uncompressed model and, where something was found, of the compressed one.
      latency: of the parent: a low-rank layer is computed whole.
      found: the layers.
    """

    training: CycleQualities
    latency: float | None
    found: Compression


def compressed(
    state: State, child: ChildPlan, work: TaskWork, task: Task, load: Load, tolerance: float
) -> CompressedChild:
    """Chooses the layers of a child's parent that are stored in low rank; nothing is written.

    Args:
      state: that the child was planned in.
      child: of a `compress` stage.
      work: of its task.
      task: its validation images.
      load: arrays of a component.
      tolerance: points of validation quality that the model may lose; below 0: a standard error of it.
    """
    parent = state.models[child.parent]
    if parent.id == state.retained.get(child.task) and _is_compressed(state, parent):
        # Nothing better came of the phase: it must not lose the tolerance once more.
        before = measure_validation(work, task, _arrays(parent, load), parent.hyperparameters).quality
        return CompressedChild(CycleQualities((before,)), parent.latency, Compression())
    found = compress(
        state,
        {child.task: parent},
        load,
        lambda _, arrays: measure_validation(work, task, arrays, parent.hyperparameters).quality,
        tolerance=None if tolerance < 0 else tolerance,
    )
    qualities = [found.before[child.task], *([found.after[child.task]] if found.components else [])]
    return CompressedChild(CycleQualities(tuple(qualities)), parent.latency, found)


def _is_compressed(state: State, model: ModelRecord) -> bool:
    return any(state.components[id].base is not None for id in model.components.values())


def _arrays(model: ModelRecord, load: Load) -> dict[ComponentName, FlatArrays]:
    return {name: load(id) for name, id in model.components.items()}
