"""What of a run's settings must fit together (evolve.py has the settings themselves)."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator, Sequence
from typing import Any

from munet.config.evolve import SearchSpace
from munet.config.rules import Rules, image_sizes, num_blocks, repeated, tasks, variant
from munet.config.stages import problems as stage_problems
from munet.vit import architecture

_EVALUATED = 256  # images in a batch of evaluation: `stream.EVALUATION_BATCH`, where JAX may be imported


def _sizes_of_run(name: str, sizes: Sequence[int], default: int) -> Iterator[str]:
    where = "(experiment.search_space.image_size or defaults.image_size)"
    return image_sizes(f"image size {{}} {where}", name, (*sizes, default))


def _normaliser(name: str, size: int) -> Iterator[str]:
    return image_sizes("experiment.normaliser_image_size = {}", name, (size,)) if size else iter(())


def _batches(least: int, most: int) -> Iterator[str]:
    if least > most:
        yield (
            f"experiment.min_batches_per_cycle = {least} is above max_batches_per_cycle = {most}: lower one or raise "
            "the other."
        )


def _mesh(mesh: Sequence[int]) -> Iterator[str]:
    """Of the mesh by itself; whether there are as many devices is asked when they are looked for."""
    if mesh and not _is_mesh(mesh):
        yield f"runtime.mesh = {mesh}: expected three numbers of at least 1 (child, data, model), or none."
    elif mesh and _EVALUATED % mesh[1]:
        yield (
            f"runtime.mesh = {mesh}: {mesh[1]} devices cannot share batches of {_EVALUATED} images in evaluation. Use "
            f"{_near(mesh[1], _EVALUATED)} in the middle."
        )


def _shared_batch(mesh: Sequence[int], batch_size: int) -> Iterator[str]:
    if _is_mesh(mesh) and _EVALUATED % mesh[1] == 0 and batch_size % mesh[1]:
        below = batch_size // mesh[1] * mesh[1]
        yield (
            f"experiment.batch_size = {batch_size}: {mesh[1]} devices (runtime.mesh = {mesh}) cannot share it evenly. "
            f"Use {f'{below} or {below + mesh[1]}' if below else mesh[1]}."
        )


def _shared_layers(mesh: Sequence[int], name: str) -> Iterator[str]:
    if _is_mesh(mesh) and (variant := architecture.VARIANTS.get(name)) and variant.mlp_dim % mesh[2]:
        yield (
            f"runtime.mesh = {mesh}: {mesh[2]} devices cannot share the layers of {name} evenly. Use "
            f"{_near(mesh[2], variant.mlp_dim)} at the end."
        )


def _is_mesh(mesh: Sequence[int]) -> bool:
    return len(mesh) == 3 and min(mesh) >= 1


def _near(given: int, number: int) -> str:
    """The divisors of a number next to a given one: `2 or 4`."""
    divisors = [length for length in range(1, number + 1) if number % length == 0]
    below, above = [one for one in divisors if one < given], [one for one in divisors if one > given]
    return " or ".join(map(str, [*below[-1:], *above[:1]]))


def _insertions(insertions: Sequence[str]) -> Iterator[str]:
    return repeated("experiment.insertions names", insertions)


def _grid(learning_rates: Sequence[float], augmentations: Sequence[str]) -> Iterator[str]:
    for name, values in {"learning_rates": learning_rates, "augmentations": augmentations}.items():
        if not values:
            yield f"experiment.baseline.{name} is empty: a tuned baseline tries at least one."
        yield from repeated(f"experiment.baseline.{name} = {values!r} has", values)


def _frozen(frozen_blocks: int, num_blocks: int) -> Iterator[str]:
    if frozen_blocks > num_blocks:
        yield (
            f"experiment.baseline.frozen_blocks = {frozen_blocks}: expected 0 to experiment.num_blocks = {num_blocks}."
        )


def _compared(kind: str, compare: Sequence[str]) -> Iterator[str]:
    if kind and compare:
        yield (
            f"runtime.compare = {compare!r} beside experiment.baseline.kind = {kind!r}: only an evolved system is "
            'compared with baselines. Empty the one (--config.compare=) or the other (--config.kind="").'
        )


def _hyperparameter(name: str, values: Sequence[Any], default: Any) -> Iterator[str]:
    where = f"experiment.search_space.{name}"
    if not values:
        yield f"{where} is empty: give at least the default {default!r}."
        return
    yield from repeated(f"{where} = {values!r} has", values)
    if default not in values:
        yield (
            f"experiment.defaults.{name} = {default!r} is not among {where} = {values!r}: add it or choose one of them."
        )


RULES: Rules = (
    (_batches, "experiment.min_batches_per_cycle", "experiment.max_batches_per_cycle"),
    (_mesh, "runtime.mesh"),
    (_shared_batch, "runtime.mesh", "experiment.batch_size"),
    (_shared_layers, "runtime.mesh", "experiment.variant"),
    (tasks, "experiment.tasks"),
    (stage_problems, "experiment.stages", "experiment.images_per_task"),
    (_grid, "experiment.baseline.learning_rates", "experiment.baseline.augmentations"),
    (_insertions, "experiment.insertions"),
    (_compared, "experiment.baseline.kind", "runtime.compare"),
    (variant, "experiment.variant"),
    (num_blocks, "experiment.variant", "experiment.num_blocks"),
    (_sizes_of_run, "experiment.variant", "experiment.search_space.image_size", "experiment.defaults.image_size"),
    (_normaliser, "experiment.variant", "experiment.normaliser_image_size"),
    (_frozen, "experiment.baseline.frozen_blocks", "experiment.num_blocks"),
    *(
        (functools.partial(_hyperparameter, name), f"experiment.search_space.{name}", f"experiment.defaults.{name}")
        for name in (item.name for item in dataclasses.fields(SearchSpace))
    ),
)
