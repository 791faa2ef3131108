"""A chunk in training: its children's arrays on its devices, and what is done with them (DESIGN section 4)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from munet.threads import in_threads
from munet.training import assemble
from munet.training.assemble import FlatArrays
from munet.training.batches.stream import Segment
from munet.training.measure.validation import Validation, is_best
from munet.training.placement import out_of_memory
from munet.training.placement.chunks import Chunk
from munet.training.program import programs, sharding
from munet.types import ChildPlan, ComponentId, ComponentName, ModelId, Quality
from munet.vit import architecture
from munet.vit.forward import flatten

Tree = TypeVar("Tree")
Load = Callable[[ComponentId], FlatArrays]


@dataclass
class ChunkRun:
    """A chunk and its device arrays, of which `state` changes.

    Attributes:
      chunk: where it runs, and in which program.
      children: in the order of the child axis; what pads it is nobody's.
      num_classes: of the task.
      clip_norm: of the gradients.
      fixed, control, state: arguments of the train program.
    """

    chunk: Chunk
    children: list[ChildPlan]
    num_classes: int
    clip_norm: float
    fixed: assemble.Nested
    control: assemble.Control
    state: programs.ChildState

    @classmethod
    def start(
        cls,
        chunk: Chunk,
        children: list[ChildPlan],
        *,
        num_classes: int,
        seed: int,
        clip_norm: float,
        steps_per_cycle: int,
        num_cycles: int,
        load: Load,
    ) -> ChunkRun:
        """Puts the children of a chunk on its devices; padding repeats the first child and is ignored later."""
        arrays = [
            assemble.assemble(
                child,
                chunk.group.signature,
                num_classes=num_classes,
                seed=seed,
                steps_per_cycle=steps_per_cycle,
                num_cycles=num_cycles,
                load=load,
            )
            for child in children
        ]
        stacked = assemble.stack(arrays + [arrays[0]] * (chunk.size - len(arrays)))
        with out_of_memory.explained("preparing", chunk):
            state, fixed, control = chunk.put((programs.init_state(stacked.tuned), stacked.fixed, stacked.control))
        return cls(chunk, children, num_classes, clip_norm, fixed, control, state)

    def __str__(self) -> str:
        """What decides the arrays of its state: program, length of the child axis, children in order."""
        return f"{self.chunk.group.signature} {self.chunk.size} {[child.id for child in self.children]}"

    def train(self, segment: Segment) -> programs.ChildState:
        """Trains on a segment of batches; returns the state, which may not be there yet."""
        with out_of_memory.explained("training", self.chunk):
            images, labels = self.chunk.put_batches((segment.images, segment.labels))
            steps = jnp.int32(segment.num_steps)
            self.state = self.train_program(self.state, self.fixed, self.control, images, labels, steps)
        return self.state

    def evaluate(self, validation: Validation) -> list[programs.Evaluation]:
        """What the children say of every piece, still on the device."""
        with out_of_memory.explained("evaluating", self.chunk):
            return [
                self.evaluate_program(
                    self._params, self.control.gates, self.chunk.put_batches(piece.images), jnp.int32(piece.num_batches)
                )
                for piece in validation.pieces
            ]

    def wait_for(self, result: Tree) -> Tree:
        """What `train` or `evaluate` gave, when it is there."""
        with out_of_memory.explained("training or evaluating", self.chunk):
            return jax.block_until_ready(result)

    def keep_best(
        self,
        results: Sequence[programs.Evaluation],
        validation: Validation,
        cycle: int,
        qualities: dict[ModelId, list[Quality]],
        diverged: dict[ModelId, int],
    ) -> None:
        """Notes the qualities of a cycle, and keeps each child's version if it is its best so far.

        Best-so-far stays on the device; the host only says which, because it alone can compare qualities exactly.
        """
        with out_of_memory.explained("training or evaluating", self.chunk):  # what was dispatched is waited for
            is_finite = jnp.stack([self.state.is_finite, *(result.is_finite for result in results)]).all(axis=0)
            found = validation.qualities(jax.device_get([result.predicted for result in results]))
        are_best = np.zeros(len(found), bool)  # those that fill up a chunk are nobody
        for index, (child, is_sound) in enumerate(zip(self.children, jax.device_get(is_finite), strict=False)):
            qualities[child.id].append(found[index])
            if not is_sound:
                diverged.setdefault(child.id, cycle)
            are_best[index] = is_best(qualities[child.id], diverged.get(child.id))
        self.state = programs.keep_best(self.state, jax.device_put(are_best, self.chunk.by_child), is_finite)

    def best_arrays(self) -> list[dict[ComponentName, FlatArrays]]:
        """What each child trained, unpadded, at its best cycle."""
        variant = architecture.get_variant(self.chunk.group.signature.variant)
        trained = [[plan.name for plan in child.components if plan.trainable] for child in self.children]
        best = jax.device_get({name: self.state.best[name] for name in set().union(*trained)})  # once for all children
        stacked = {name: flatten(nested) for name, nested in best.items()}
        return [
            {
                name: assemble.extract(
                    {path: leaf[index] for path, leaf in stacked[name].items()},
                    assemble.leaves_of(child, name, variant, self.num_classes),
                )
                for name in names
            }
            for index, (child, names) in enumerate(zip(self.children, trained, strict=True))
        ]

    def compile_training(self, segment_shape: Sequence[int]) -> None:
        """Compiles the train program for segments with images of `segment_shape` [steps, batch, ...], ahead of them."""
        images = self._abstract(segment_shape, jnp.float32)
        labels = self._abstract(segment_shape[:2], jnp.int32)
        with out_of_memory.explained("compiling for", self.chunk):
            program: Any = self.train_program
            program.lower(self.state, self.fixed, self.control, images, labels, jnp.int32(1)).compile()

    def compile_evaluation(self, piece_shape: Sequence[int]) -> None:
        """The same of the evaluation of a piece of `piece_shape` [batches, n, ...]."""
        with out_of_memory.explained("compiling for", self.chunk):
            program: Any = self.evaluate_program
            images = self._abstract(piece_shape, jnp.float32)
            program.lower(self._params, self.control.gates, images, jnp.int32(1)).compile()

    @property
    def train_program(self) -> Callable[..., programs.ChildState]:
        """One object for all chunks that run in the same program."""
        return programs.train_program(self.chunk.group.signature, self.chunk.mesh, self.clip_norm, self.chunk.parts)

    @property
    def evaluate_program(self) -> Callable[..., programs.Evaluation]:
        """As `train_program`."""
        return programs.evaluate_program(self.chunk.group.signature.for_evaluation, self.chunk.mesh)

    @property
    def _params(self) -> assemble.Nested:
        return {**self.fixed, **self.state.tuned}

    def _abstract(self, shape: Sequence[int], dtype: Any) -> jax.ShapeDtypeStruct:
        """Batches as `Chunk.put_batches` puts them."""
        return jax.ShapeDtypeStruct(tuple(shape), dtype, sharding=sharding.of_batches(self.chunk.mesh, shape[1]))


def compile_ahead(
    runs: Sequence[ChunkRun], segment_shape: Sequence[int], piece_shapes: Sequence[tuple[int, ...]]
) -> None:
    """Compiles what the chunks of a wave will run, programs side by side; nothing is done for those that are there.

    Args:
      runs: of the wave.
      segment_shape: of the images of a segment of batches.
      piece_shapes: of the images of each piece of the validation set.
    """
    wanted: dict[Any, Callable[[], None]] = {}
    for run in runs:
        wanted.setdefault((run.train_program, run.chunk.size), partial(run.compile_training, segment_shape))
    for run in runs:
        for shape in piece_shapes:
            key = (run.evaluate_program, run.chunk.size, shape)
            wanted.setdefault(key, partial(run.compile_evaluation, shape))
    for _ in in_threads(lambda compile: compile(), wanted.values()):
        pass
