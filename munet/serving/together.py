"""All tasks of some images at once, or of every image a task of its own: each segment of the trie runs once a batch.

A segment is one program, whose compiled form all segments of its structure share, whatever their components.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Int, UInt8

from munet.errors import UserError
from munet.serving import trie
from munet.serving.device_components import DeviceComponents
from munet.serving.prediction import Prediction
from munet.serving.predictor import BATCH_SIZES, batches, normalise, padded_size, prepare
from munet.serving.trie import Segment, Step
from munet.system.view import RunView
from munet.training.program import precision
from munet.types import TaskName
from munet.vit import architecture, forward
from munet.vit.architecture import HEAD, NORM, Variant

Rows = Int[np.ndarray, " rows"]
Pixels = UInt8[np.ndarray, "n h w c"] | Sequence[UInt8[np.ndarray, "_ _ _"]]


class Together:
    """Predicts with the retained models of several tasks, as they were when the system was opened.

    Made by `system.together(tasks)`.

    Args:
      system: of `munet.open`.
      tasks: solved tasks, each once.
      components: of the system, shared with its predictors.

    Attributes:
      trie: the tasks' paths.

    Raises:
      UserError: no such task, or no model yet.
      CorruptionError: a component's file is damaged or missing.
    """

    def __init__(self, system: RunView, tasks: Sequence[TaskName], components: DeviceComponents):
        self.trie = trie.build(system, tasks)
        self._classes = {task: system.task(task).class_names for task in tasks}
        variant = architecture.get_variant(system.experiment.variant)
        dtype = precision.compute_dtype(system.experiment)
        self._programs = {
            id(segment): _Program.of(segment, variant, dtype, components) for segment in self.trie.segments()
        }
        self._antialias = system.experiment.antialias
        self._canvas = 2 * max(system.experiment.search_space.image_size)  # as the tasks' own images were limited

    def predict_all(self, images: Any) -> dict[TaskName, Prediction]:
        """What every task's model says of the images, in the order of the tasks.

        Args:
          images: as for `Predictor.predict`.

        Raises:
          UserError: what was given are no images.
        """
        pixels = normalise(images)
        everything = np.ones((len(pixels), len(self.trie.tasks)), np.bool_)
        logits = self.logits(pixels, everything)
        return {task: Prediction.of_logits(task, self._classes[task], logits[task]) for task in self.trie.tasks}

    def predict_mixed(self, images: Any, tasks: Sequence[TaskName]) -> list[Prediction]:
        """What the model of each image's own task says of it: predictions of one image, in the order of the images.

        Args:
          images: as for `Predictor.predict`.
          tasks: one for each image.

        Raises:
          UserError: what was given are no images, or not as many as tasks.
        """
        pixels = normalise(images)
        if len(pixels) != len(tasks):
            raise UserError(f"predict_mixed() was given {len(pixels):,} images and {len(tasks):,} tasks; expected one "
                            "task for each image.")  # fmt: skip
        place = {task: index for index, task in enumerate(self.trie.tasks)}
        wanted = np.zeros((len(tasks), len(place)), np.bool_)
        wanted[np.arange(len(tasks)), [place[task] for task in tasks]] = True
        logits = self.logits(pixels, wanted)
        seen = dict.fromkeys(self.trie.tasks, 0)
        found = []
        for task in tasks:
            own = logits[task][seen[task]][None]
            found.append(Prediction.of_logits(task, self._classes[task], own))
            seen[task] += 1
        return found

    def logits(self, pixels: Pixels, wanted: np.ndarray) -> dict[TaskName, Float[np.ndarray, "rows classes"]]:
        """The heads' outputs, of every task for the images that are wanted of it, in their order.

        Args:
          pixels: stored as the tasks' images are, with 1 or 3 channels; an array is fastest.
          wanted: booleans `[images, tasks]`.
        """
        parts: dict[TaskName, list[np.ndarray]] = {task: [] for task in self.trie.tasks}
        for start, stop in batches(len(pixels)):
            for task, (rows, values) in self.dispatch(pixels[start:stop], wanted[start:stop]).items():
                parts[task].append(np.asarray(values)[rows])
        empty = {task: np.empty((0, len(names)), np.float32) for task, names in self._classes.items()}
        return {task: np.concatenate(values) if values else empty[task] for task, values in parts.items()}

    def dispatch(self, pixels: Pixels, wanted: np.ndarray) -> dict[TaskName, tuple[Rows, Float[Array, "_ classes"]]]:
        """The logits of at most `BATCH_SIZES[-1]` images, without waiting: arrays that the device still works on.

        Args:
          pixels, wanted: as for `logits`.

        Returns:
          By task that any image wants: logits, and which rows of them are those of the images that want it.
        """
        place = {task: index for index, task in enumerate(self.trie.tasks)}
        rows = {task: np.flatnonzero(wanted[:, place[task]]) for task in self.trie.tasks}
        rows = {task: own for task, own in rows.items() if len(own)}
        found: dict[TaskName, tuple[Rows, Array]] = {}
        for size, segments in self.trie.trees.items():
            if any(segment.tasks & rows.keys() for segment in segments):
                images = prepare(pixels, size, self._antialias, self._canvas)
                for segment in segments:
                    found |= self._run(segment, images, rows)
        return found

    def warm_up(self, shape: tuple[int, int, int], sizes: Sequence[int] = BATCH_SIZES) -> None:
        """Compiles all programs for some batch sizes, for images of one shape, and runs each once."""
        for size in sizes:
            for found in self._warm_up(np.zeros((size, *shape), np.uint8), sizes):
                jax.block_until_ready(found)

    def _warm_up(self, pixels: np.ndarray, sizes: Sequence[int]) -> Iterator[Any]:
        def below(segment: Segment, x: Any) -> Iterator[Any]:
            result = self._programs[id(segment)](x)
            yield result
            for branch in segment.branches:
                yield from below(branch, result)
            if segment.branches:
                yield [_take(result, np.zeros(smaller, np.int32)) for smaller in sizes if smaller < len(pixels)]

        for size, segments in self.trie.trees.items():
            images = prepare(pixels, size, self._antialias, self._canvas)
            yield [_take(images, np.zeros(smaller, np.int32)) for smaller in sizes if smaller < len(pixels)]
            for segment in segments:
                yield from below(segment, images)

    def _run(self, segment: Segment, x: Any, rows: Mapping[TaskName, Rows]) -> dict[TaskName, tuple[Rows, Array]]:
        """The logits of the tasks behind a segment, given what comes out before it and which rows each task wants."""
        own = {task: rows[task] for task in rows if task in segment.tasks}
        if not own:
            return {}
        needed = np.unique(np.concatenate(list(own.values())))
        if padded_size(len(needed)) < x.shape[0]:
            x = _take(x, np.resize(needed, padded_size(len(needed))).astype(np.int32))
            own = {task: np.searchsorted(needed, chosen) for task, chosen in own.items()}
        result = self._programs[id(segment)](x)
        if segment.ends:
            return {end.task: (own[end.task], logits)
                    for end, logits in zip(segment.ends, result, strict=True) if end.task in own}  # fmt: skip
        found: dict[TaskName, tuple[Rows, Array]] = {}
        for branch in segment.branches:
            found |= self._run(branch, result, own)
        return found


class _Program(NamedTuple):
    """A segment ready to run: its structure, which is compiled, and the arrays of its components."""

    variant: Variant
    dtype: DTypeLike
    structure: tuple[tuple[str, bool], ...]
    steps: tuple[tuple[Any, Any], ...]
    ends: tuple[tuple[Any, Any], ...]

    @classmethod
    def of(cls, segment: Segment, variant: Variant, dtype: DTypeLike, components: DeviceComponents) -> _Program:
        """The program of a segment."""
        steps = tuple(
            (components.get(step.id), components.get(step.update) if step.update else None) for step in segment.steps
        )
        ends = tuple((components.get(end.norm), components.get(end.head)) for end in segment.ends)
        return cls(variant, dtype, tuple(map(_kind, segment.steps)), steps, ends)

    def __call__(self, x: Any) -> Any:
        """What comes out: logits of every end, or what the branches go on with."""
        return _segment(self.variant, self.dtype, self.structure, self.steps, self.ends, x)


def _kind(step: Step) -> tuple[str, bool]:
    """What a step computes, whichever block it is or belongs to."""
    if architecture.is_block(step.name):
        return architecture.block_name(0), step.is_last
    return (architecture.adapter_name(0) if architecture.is_adapter(step.name) else step.name), False


@partial(jax.jit, static_argnums=(0, 1, 2))
def _segment(
    variant: Variant, dtype: DTypeLike, structure: tuple[tuple[str, bool], ...], steps: Any, ends: Any, x: Array
) -> Any:
    x = x.astype(dtype)
    for (name, is_last), (params, update) in zip(structure, steps, strict=True):
        x = forward.layer(variant, name, params, x, update=update, is_last=is_last)
    if not ends:
        return x
    return tuple(forward.layer(variant, HEAD, head, forward.layer(variant, NORM, norm, x)) for norm, head in ends)


@jax.jit
def _take(x: Float[Array, "rows *axes"], chosen: Int[Array, " fewer"]) -> Float[Array, "fewer *axes"]:
    return jnp.take(x, chosen, axis=0)
