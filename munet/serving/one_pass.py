"""A trie of models that runs: each segment once a batch, on the images that any task behind it is wanted for.

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
from jaxtyping import Array, Bool, Float, Int, UInt8

from munet.serving.device_components import DeviceComponents
from munet.serving.predictor import BATCH_SIZES, batches, padded_size, prepare
from munet.serving.trie import Segment, Step, Trie
from munet.system.view import RunView
from munet.training.program import precision
from munet.types import TaskName
from munet.vit import architecture, forward
from munet.vit.architecture import HEAD, NORM, Variant

Rows = Int[np.ndarray, " rows"]
Pixels = UInt8[np.ndarray, "n h w c"] | Sequence[UInt8[np.ndarray, "_ _ _"]]


class OnePass:
    """The models of a trie on the device.

    Args:
      system: of `munet.open`.
      trie: of some of its tasks, whose images are all stored alike.
      components: of the system, shared by all that predicts.

    Raises:
      CorruptionError: a component's file is damaged or missing.
    """

    def __init__(self, system: RunView, trie: Trie, components: DeviceComponents):
        self.trie = trie
        variant = architecture.get_variant(system.experiment.variant)
        dtype = precision.compute_dtype(system.experiment)
        self._programs = {id(segment): _Program.of(segment, variant, dtype, components) for segment in trie.segments()}
        self._antialias = system.experiment.antialias
        self._canvas = 2 * max(system.experiment.search_space.image_size)  # as the tasks' own images were limited

    def logits(self, pixels: Pixels, wanted: Bool[np.ndarray, "n tasks"]) -> dict[TaskName, list[np.ndarray]]:
        """The heads' outputs, float32, of every task for the images that it is wanted for, in their order, in parts.

        Args:
          pixels: stored as the tasks' images are; an array is fastest.
          wanted: which images each task of the trie is wanted for.
        """
        parts: dict[TaskName, list[np.ndarray]] = {}
        for start, stop in batches(len(pixels)):
            for task, (rows, values) in self.dispatch(pixels[start:stop], wanted[start:stop]).items():
                parts.setdefault(task, []).append(np.asarray(values)[rows])
        return parts

    def dispatch(
        self, pixels: Pixels, wanted: Bool[np.ndarray, "n tasks"]
    ) -> dict[TaskName, tuple[Rows, Float[Array, "_ classes"]]]:
        """The logits of at most `BATCH_SIZES[-1]` images, without waiting: arrays that the device still works on.

        Args:
          pixels, wanted: as for `logits`.

        Returns:
          By task that is wanted for any image: logits, and which rows of them are those of these images.
        """
        rows = {task: np.flatnonzero(wanted[:, index]) for index, task in enumerate(self.trie.tasks)}
        rows = {task: own for task, own in rows.items() if len(own)}
        found: dict[TaskName, tuple[Rows, Array]] = {}
        for size, segments in self.trie.trees.items():
            if any(segment.tasks & rows.keys() for segment in segments):
                images = prepare(pixels, size, self._antialias, self._canvas)
                for segment in segments:
                    found |= self._run(segment, images, rows)
        return found

    def _run(self, segment: Segment, x: Any, rows: Mapping[TaskName, Rows]) -> dict[TaskName, tuple[Rows, Array]]:
        """The logits of the tasks behind a segment, given what comes out before it and which rows each task wants."""
        own = {task: rows[task] for task in rows if task in segment.tasks}
        if not own:
            return {}
        needed = np.unique(np.concatenate(list(own.values())))
        if (padded := padded_size(len(needed))) < x.shape[0]:
            x = _take(x, np.resize(needed, padded).astype(np.int32))
            own = {task: np.searchsorted(needed, chosen) for task, chosen in own.items()}
        result = self._programs[id(segment)](x)
        if segment.ends:
            tasks = [end.task for end in segment.ends]
            return {task: (own[task], logits) for task, logits in zip(tasks, result, strict=True) if task in own}
        found: dict[TaskName, tuple[Rows, Array]] = {}
        for branch in segment.branches:
            found |= self._run(branch, result, own)
        return found

    def warm_up(self, shape: tuple[int, int, int] | None, sizes: Sequence[int] = BATCH_SIZES) -> None:
        """Compiles all programs for some batch sizes, and runs each once.

        Args:
          shape: that is compiled in for arrays; None: for lists of images of any shapes.
          sizes: some of `BATCH_SIZES`.
        """
        for size in sizes:
            pixels = np.zeros((size, *(shape or (1, 1, 3))), np.uint8)
            jax.block_until_ready(list(self._everything(pixels if shape else list(pixels), sizes)))

    def _everything(self, pixels: Pixels, sizes: Sequence[int]) -> Iterator[Any]:
        def parted(x: Any) -> list[Any]:
            return [_take(x, np.zeros(fewer, np.int32)) for fewer in sizes if fewer < len(pixels)]

        def from_here(segment: Segment, x: Any) -> Iterator[Any]:
            result = self._programs[id(segment)](x)
            yield result if segment.ends else parted(result)
            for branch in segment.branches:
                yield from from_here(branch, result)

        for size, segments in self.trie.trees.items():
            images = prepare(pixels, size, self._antialias, self._canvas)
            yield parted(images)
            for segment in segments:
                yield from from_here(segment, images)


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
        get = components.get
        steps = tuple((get(step.id), get(step.update) if step.update else None) for step in segment.steps)
        ends = tuple((get(end.norm), get(end.head)) for end in segment.ends)
        return cls(variant, dtype, tuple(map(_kind, segment.steps)), steps, ends)

    def __call__(self, x: Any) -> Any:
        """What comes out: logits of every end, or what the branches go on with."""
        x = _steps(self.variant, self.dtype, self.structure, self.steps, x)
        return _ends(self.variant, self.ends, x) if self.ends else x


def _kind(step: Step) -> tuple[str, bool]:
    """What a step computes, whichever block it is or belongs to."""
    if architecture.is_block(step.name):
        return architecture.block_name(0), step.is_last
    return (architecture.adapter_name(0) if architecture.is_adapter(step.name) else step.name), False


@partial(jax.jit, static_argnums=(0, 1, 2))
def _steps(variant: Variant, dtype: DTypeLike, structure: tuple[tuple[str, bool], ...], steps: Any, x: Array) -> Array:
    x = x.astype(dtype)
    for (name, is_last), (params, update) in zip(structure, steps, strict=True):
        x = forward.layer(variant, name, params, x, update=update, is_last=is_last)
    return x


@partial(jax.jit, static_argnums=0)
def _ends(variant: Variant, ends: Any, x: Array) -> tuple[Float[Array, "rows _"], ...]:
    """A program of its own: numbers of classes differ, and would have all that is before them compiled again."""
    return tuple(forward.layer(variant, HEAD, head, forward.layer(variant, NORM, norm, x)) for norm, head in ends)


@jax.jit
def _take(x: Float[Array, "rows *axes"], chosen: Int[Array, " fewer"]) -> Float[Array, "fewer *axes"]:
    return jnp.take(x, chosen, axis=0)
