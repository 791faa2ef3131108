"""What is refused in a config before anything is done with it: wrong fields, and fields that do not fit together.

What a field may be by itself is declared where it is defined; the rules here look at several, or at what a list holds.
"""

from __future__ import annotations

import dataclasses
import functools
import operator
from collections.abc import Collection, Iterator, Sequence
from typing import Any, TypeVar

from munet.config import muir, routing
from munet.config.evolve import Config, SearchSpace
from munet.config.fields import entries, set_value
from munet.config.muir import MuirConfig
from munet.config.pretrain import PretrainConfig
from munet.config.routing import RoutingConfig
from munet.config.stages import problems as stage_problems
from munet.config.train import TrainConfig
from munet.errors import ConfigError, UserError
from munet.vit import architecture

C = TypeVar("C", bound=Config | PretrainConfig | TrainConfig | MuirConfig | RoutingConfig)
_EVALUATED = 256  # images in a batch of evaluation: `stream.EVALUATION_BATCH`, where JAX may be imported


def validate(config: C, unasked: Collection[str] = ()) -> C:
    """Checks everything that can be checked without data, and returns the config.

    Args:
      config: changed in place: where fields are so declared, `1` becomes `1.0` and lists become tuples, so that the
        journal does not tell them apart.
      unasked: full names of fields to which no rule is applied.

    Raises:
      ConfigError: all problems in one message.
    """
    mistyped, others = field_problems(config)
    problems = [*mistyped.values(), *others]
    for rule, *paths in _RULES[type(config)]:
        if not any(f"{path}.".startswith(f"{wrong}.") for path in paths for wrong in (*mistyped, *unasked)):
            problems += rule(*(operator.attrgetter(path)(config) for path in paths))
    if problems:
        raise ConfigError(problems)
    return config


def field_problems(config: Any) -> tuple[dict[str, str], list[str]]:
    """What is wrong with fields by themselves; those of the right types get them exactly, in place.

    Returns:
      The problem of each mistyped field or group by its full name, and those of all values that are not allowed.
    """
    mistyped: dict[str, str] = {}
    others: list[str] = []
    for path, entry in entries(type(config)).items():
        if any(path.startswith(f"{wrong}.") for wrong in mistyped):
            continue
        try:
            value = entry.typed(operator.attrgetter(path)(config))
        except ValueError as error:
            mistyped[path] = str(error)
        else:
            others += entry.problems(value)
            set_value(config, path, value)
    return mistyped, others


def _repeated(where: str, values: Collection[Any]) -> Iterator[str]:
    for value in sorted({value for value in values if list(values).count(value) > 1}):
        yield f"{where} {value!r} more than once: remove the repetition."


def _tasks(tasks: Sequence[str]) -> Iterator[str]:
    if not tasks:
        yield "experiment.tasks is empty: give task URIs, e.g. --config.tasks=builtin:digits,tfds:mnist"
    yield from _repeated("experiment.tasks names", tasks)


def _variant(name: str) -> Iterator[str]:
    try:
        architecture.get_variant(name)
    except UserError as error:
        yield f"experiment.variant: {error}"


def _num_blocks(name: str, num_blocks: int) -> Iterator[str]:
    if (variant := architecture.VARIANTS.get(name)) and num_blocks > variant.max_blocks:
        yield f"experiment.num_blocks = {num_blocks}: {name} has {variant.max_blocks} blocks."


def _image_size(name: str, size: int) -> Iterator[str]:
    return _image_sizes("experiment.image_size = {}", name, (size,))


def _image_sizes(what: str, name: str, sizes: Collection[int]) -> Iterator[str]:
    if variant := architecture.VARIANTS.get(name):
        patch = variant.patch_size
        for size in sorted(size for size in set(sizes) if size < patch or size % patch):
            below = max(size // patch, 1) * patch
            yield (
                f"{what.format(size)} is no multiple of {name}'s patch size {patch}: use {below} or {below + patch}."
            )


def _sizes_of_run(name: str, sizes: Sequence[int], default: int) -> Iterator[str]:
    where = "(experiment.search_space.image_size or defaults.image_size)"
    return _image_sizes(f"image size {{}} {where}", name, (*sizes, default))


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
    return _repeated("experiment.insertions names", insertions)


def _grid(learning_rates: Sequence[float], augmentations: Sequence[str]) -> Iterator[str]:
    for name, values in {"learning_rates": learning_rates, "augmentations": augmentations}.items():
        if not values:
            yield f"experiment.baseline.{name} is empty: a tuned baseline tries at least one."
        yield from _repeated(f"experiment.baseline.{name} = {values!r} has", values)


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
    yield from _repeated(f"{where} = {values!r} has", values)
    if default not in values:
        yield (
            f"experiment.defaults.{name} = {default!r} is not among {where} = {values!r}: add it or choose one of them."
        )


def _length(epochs: float, steps: int, name: str = "num_steps") -> Iterator[str]:
    if bool(epochs) == bool(steps) and epochs >= 0 and steps >= 0:  # of what is negative enough is said
        yield (
            f"experiment.num_epochs = {epochs:g} and experiment.{name} = {steps}: give the length of training in "
            "one of the two, and 0 for the other."
        )


_VERSIONS = ("versions", "num_blocks")  # on which the rows of a routed root depend

# Rules, each with the names of the fields whose values it is given.
_RULES: dict[type[Any], list[tuple[Any, ...]]] = {
    Config: [
        (_batches, "experiment.min_batches_per_cycle", "experiment.max_batches_per_cycle"),
        (_mesh, "runtime.mesh"),
        (_shared_batch, "runtime.mesh", "experiment.batch_size"),
        (_shared_layers, "runtime.mesh", "experiment.variant"),
        (_tasks, "experiment.tasks"),
        (stage_problems, "experiment.stages", "experiment.images_per_task"),
        (_grid, "experiment.baseline.learning_rates", "experiment.baseline.augmentations"),
        (_insertions, "experiment.insertions"),
        (_compared, "experiment.baseline.kind", "runtime.compare"),
        (_variant, "experiment.variant"),
        (_num_blocks, "experiment.variant", "experiment.num_blocks"),
        (_sizes_of_run, "experiment.variant", "experiment.search_space.image_size", "experiment.defaults.image_size"),
        (_frozen, "experiment.baseline.frozen_blocks", "experiment.num_blocks"),
        *(
            (functools.partial(_hyperparameter, name), f"experiment.search_space.{name}", f"experiment.defaults.{name}")
            for name in (item.name for item in dataclasses.fields(SearchSpace))
        ),
    ],
    PretrainConfig: [
        (_length, "experiment.num_epochs", "experiment.num_steps"),
        (_tasks, "experiment.tasks"),
        (_variant, "experiment.variant"),
        (_num_blocks, "experiment.variant", "experiment.num_blocks"),
        (_image_size, "experiment.variant", "experiment.image_size"),
    ],
    TrainConfig: [
        (functools.partial(_length, name="num_rounds"), "experiment.num_epochs", "experiment.num_rounds"),
        (_tasks, "experiment.tasks"),
        (_variant, "experiment.variant"),
        (_num_blocks, "experiment.variant", "experiment.num_blocks"),
        (_image_size, "experiment.variant", "experiment.defaults.image_size"),
    ],
    RoutingConfig: [
        (functools.partial(_length, name="num_rounds"), "experiment.num_epochs", "experiment.num_rounds"),
        (routing.task_problems, "experiment.tasks", "experiment.made"),
        (functools.partial(_repeated, "experiment.tasks names"), "experiment.tasks"),
        (routing.network_problems, "experiment.network", "experiment.made"),
        (
            routing.allocation_problems,
            *(f"experiment.{name}" for name in ("allocation", "rows", "network", "tasks", "made", *_VERSIONS)),
        ),
        (
            routing.p_init_problems,
            *(f"experiment.{name}" for name in ("p_init", "network", "tasks", "made", *_VERSIONS)),
        ),
        (routing.root_problems, *(f"experiment.{name}" for name in ("network", "is_grey", "versions", "allocation"))),
        (routing.only_of_roots(_variant), "experiment.network", "experiment.variant"),
        (
            routing.only_of_roots(_num_blocks),
            *(f"experiment.{name}" for name in ("network", "variant", "num_blocks")),
        ),
        (
            routing.only_of_roots(_image_size),
            *(f"experiment.{name}" for name in ("network", "variant", "image_size")),
        ),
        (routing.value_problems, *(f"experiment.{name}" for name in ("made", "keep", "num_epochs"))),
    ],
    MuirConfig: [
        (_tasks, "experiment.tasks"),
        (muir.problems, *(f"experiment.{name}" for name in ("sharing", "groups", "tasks", "context", "initial"))),
    ],
}
