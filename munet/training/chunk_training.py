"""A chunk in training: its children's arrays on its devices, and what is done with them."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict

from munet.threads import as_they_end
from munet.training import assemble
from munet.training.assemble import FlatArrays, Load
from munet.training.batches.stream import Segment
from munet.training.measure.validation import CycleScores, Validation
from munet.training.placement import out_of_memory
from munet.training.placement.chunks import Chunk
from munet.training.program import programs
from munet.training.program.signature import Signature
from munet.training.trainer import OnCompiled
from munet.training.work import TaskWork
from munet.types import ChildPlan, ComponentName, ModelId

Tree = TypeVar("Tree")


@dataclass
class ChunkTraining:
    """A chunk and its device arrays, of which `state` changes.

    Attributes:
      chunk: where it runs, and in which program.
      children: in the order of the child axis; what pads it is nobody's.
      work: what each of them is.
      fixed, control, state: arguments of the train program.
    """

    chunk: Chunk
    children: list[ChildPlan]
    work: TaskWork
    fixed: assemble.Nested
    control: assemble.Control
    state: programs.ChildState

    @classmethod
    def start(
        cls,
        chunk: Chunk,
        children: list[ChildPlan],
        work: TaskWork,
        load: Load,
        heads: Mapping[ModelId, FlatArrays] = MappingProxyType({}),
    ) -> ChunkTraining:
        """Puts the children of a chunk on its devices; padding repeats the first child and is ignored later.

        Args:
          chunk, children, work: what is trained where.
          load: arrays of a published component.
          heads: what new heads start from, where they are not drawn.
        """
        program = chunk.group.signature
        arrays = [assemble.assemble(child, program, work, load, heads.get(child.id)) for child in children]
        stacked = assemble.stack(arrays + [arrays[0]] * (chunk.size - len(arrays)))
        with out_of_memory.explained("preparing", chunk):
            state, fixed, control = chunk.put((programs.init_state(stacked.tuned), stacked.fixed, stacked.control))
        return cls(chunk, children, work, fixed, control, state)

    @property
    def program(self) -> Signature:
        """The signature of the program that it runs in."""
        return self.chunk.group.signature

    def __str__(self) -> str:
        """What decides the arrays of its state: program, length of the child axis, children in order."""
        return f"{self.program} {self.chunk.size} {[child.id for child in self.children]}"

    def train(self, segment: Segment) -> programs.ChildState:
        """Trains on a segment of batches; returns the state, which may not be there yet."""
        with out_of_memory.explained("training", self.chunk):
            images, labels = self.chunk.put_batches((segment.images, segment.labels))
            steps = np.int32(segment.num_steps)  # one of JAX would come from the first device, when that has time
            self.state = self.train_program(self.state, self.fixed, self.control, images, labels, steps)
        return self.state

    def evaluate(self, validation: Validation) -> list[programs.Evaluation]:
        """What the children say of every piece, still on the device."""
        with out_of_memory.explained("evaluating", self.chunk):
            return [
                self.evaluate_program(
                    self._params, self.control.gates, self.chunk.put_batches(piece.images), np.int32(piece.num_batches)
                )
                for piece in validation.pieces
            ]

    def wait_for(self, result: Tree) -> Tree:
        """What `train` or `evaluate` gave, when it is there."""
        with out_of_memory.explained("training or evaluating", self.chunk):
            return jax.block_until_ready(result)

    def keep_best(
        self, cycle: int, answers: Sequence[programs.Evaluation], validation: Validation, scores: CycleScores
    ) -> CycleScores:
        """Notes the qualities of a cycle, and keeps each child's version if it is its best so far.

        Best-so-far stays on the device; the host only says which, because it alone can compare qualities exactly.

        Args:
          cycle: which, from 0.
          answers: what `evaluate` gave.
          validation: the images that were evaluated on.
          scores: of the wave, before this cycle.

        Returns:
          The scores with this cycle of the chunk's children.
        """
        with out_of_memory.explained("training or evaluating", self.chunk):  # what was dispatched is waited for
            is_finite = jnp.stack([self.state.is_finite, *(answer.is_finite for answer in answers)]).all(axis=0)
            found = validation.qualities(jax.device_get([answer.predicted for answer in answers]))
        sound = jax.device_get(is_finite)
        own = zip(self.children, found, sound, strict=False)  # those that fill up a chunk are nobody
        scores = scores.after(cycle, {child.id: (quality, bool(is_sound)) for child, quality, is_sound in own})
        are_best = np.zeros(len(found), bool)
        are_best[: len(self.children)] = [scores.is_best(child.id, self.work.version_choice) for child in self.children]
        self.state = programs.keep_best(self.state, jax.device_put(are_best, self.chunk.by_child), is_finite)
        return scores

    def best_arrays(self) -> list[dict[ComponentName, FlatArrays]]:
        """What each child trained, unpadded, at its best cycle."""
        trained = [[plan.name for plan in child.components if plan.trainable] for child in self.children]
        best = jax.device_get({name: self.state.best[name] for name in set().union(*trained)})  # once for all children
        stacked = {name: flatten_dict(nested, sep="/") for name, nested in best.items()}
        return [
            {
                name: assemble.extract(
                    {path: leaf[index] for path, leaf in stacked[name].items()},
                    assemble.leaves_of(child, name, self.work.variant, self.work.num_classes),
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
            program.lower(self.state, self.fixed, self.control, images, labels, np.int32(1)).compile()

    def compile_evaluation(self, piece_shape: Sequence[int]) -> None:
        """The same of the evaluation of a piece of `piece_shape` [batches, n, ...]."""
        with out_of_memory.explained("compiling for", self.chunk):
            program: Any = self.evaluate_program
            images = self._abstract(piece_shape, jnp.float32)
            program.lower(self._params, self.control.gates, images, np.int32(1)).compile()

    @property
    def train_program(self) -> Callable[..., programs.ChildState]:
        """The program that trains its children; one object for all chunks that run in it."""
        return programs.train_program(self.program, self.chunk.mesh, self.work.update_rule, self.chunk.parts)

    @property
    def evaluate_program(self) -> Callable[..., programs.Evaluation]:
        """The program that evaluates them; one object for all chunks that evaluate in it."""
        return programs.evaluate_program(self.program.for_evaluation, self.chunk.mesh)

    @property
    def _params(self) -> assemble.Nested:
        return {**self.fixed, **self.state.tuned}

    def _abstract(self, shape: Sequence[int], dtype: Any) -> jax.ShapeDtypeStruct:
        """Batches as `Chunk.put_batches` puts them."""
        return jax.ShapeDtypeStruct(tuple(shape), dtype, sharding=self.chunk.by_image(shape[1]))


def compile_ahead(
    trainings: Sequence[ChunkTraining],
    segment_shapes: Sequence[Sequence[int]],
    piece_shapes: Sequence[Sequence[tuple[int, ...]]],
    known: set[Hashable],
    on_compiled: OnCompiled,
) -> None:
    """Compiles what the chunks of a wave will run, programs side by side; nothing is done for those that are there.

    Args:
      trainings: of the wave.
      segment_shapes: of the images of a segment of batches, of each.
      piece_shapes: of the images of the pieces of the validation set, of each.
      known: the programs that were compiled before; those compiled now are added.
      on_compiled: told how many of the new ones are ready, and how many there are.
    """
    wanted: dict[Hashable, Callable[[], None]] = {}
    for training, segment_shape in zip(trainings, segment_shapes, strict=True):
        key = (training.train_program, training.chunk.size, tuple(segment_shape))
        wanted.setdefault(key, partial(training.compile_training, segment_shape))
    for training, shapes in zip(trainings, piece_shapes, strict=True):
        for shape in shapes:
            wanted.setdefault(
                (training.evaluate_program, training.chunk.size, shape), partial(training.compile_evaluation, shape)
            )
    new = {key: compile for key, compile in wanted.items() if key not in known}
    if not new:
        return
    on_compiled(0, len(new))
    for done, _ in enumerate(as_they_end(lambda compile: compile(), new.values()), 1):
        on_compiled(done, len(new))
    known.update(new)
