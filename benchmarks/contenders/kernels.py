"""The kernels in the blocks of a run's models, as MUiR cuts them, and what the models are worth with others instead."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from jaxtyping import Float

import munet
from munet.methods.muir.blocks import Block, LeafPath, Part, Plan, matrices
from munet.methods.muir.vit_net import RULE
from munet.system.data import open_again
from munet.training.measure.evaluation import measure
from munet.training.work import TaskWork

Kernels = Mapping[LeafPath, np.ndarray]


class Models:
    """The retained models of a run, all of the root's architecture.

    Args:
      workdir: of the run.
      block: rows and columns of MUiR's blocks.
      data_dir: of prepared TFDS data.
    """

    def __init__(self, workdir: str, block: Block, data_dir: str = ""):
        self.system = system = munet.open(workdir)
        self.whole = {task: system.load(task) for task in system.models}
        root = {name: system.store.components.load(id) for name, id in system.root.components.items()}
        shapes = {f"{name}/{path}": leaf.shape for name, own in root.items() for path, leaf in own.items()}
        cut = matrices(shapes, RULE)
        self.root = {one.path: _leaf(root, one.path) for one in cut}
        self.kernels = [{path: _leaf(arrays, path) for path in self.root} for arrays in self.whole.values()]
        self.plan = Plan(block, [Part((number,), cut) for number in range(len(self.whole))])
        self._data = {task: open_again(system, task, data_dir) for task in self.whole}

    def blocks(self, kernels: Sequence[Kernels]) -> Float[np.ndarray, "locations x"]:
        """All kernels of all tasks as vectors, a row a block."""
        packed = self.plan.pack([{path: leaf[None] for path, leaf in own.items()} for own in kernels])
        return packed.reshape(len(packed), -1)

    def kernels_of(self, blocks: Float[np.ndarray, "locations x"]) -> list[Kernels]:
        """The inverse of `blocks`."""
        cut = blocks.astype(np.float32).reshape(-1, *self.plan.block)
        return [
            {path: np.asarray(leaf)[0] for path, leaf in self.plan.unpack(cut, number).items()}  # type: ignore[arg-type]
            for number in range(len(self.kernels))
        ]

    def correct(self, kernels: Sequence[Kernels]) -> Iterator[tuple[str, int, int]]:
        """For each task how many test images its model gets right with these kernels, and how many there are."""
        for (task, whole), own in zip(self.whole.items(), kernels, strict=True):
            arrays = {
                name: {path: own.get(f"{name}/{path}", leaf) for path, leaf in part.items()}
                for name, part in whole.items()
            }
            model, work = self.system.model(task), TaskWork.of(self.system.experiment, self.system.task(task))
            with self._data[task].testing():
                quality = measure(work, arrays, model.hyperparameters, self._data[task].split("test")).quality
            yield task, quality.correct, quality.counted


def _leaf(arrays: Mapping[str, Mapping[str, np.ndarray]], path: LeafPath) -> np.ndarray:
    name, _, rest = path.partition("/")
    return np.asarray(arrays[name][rest])
