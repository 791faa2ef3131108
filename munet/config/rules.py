"""Rules about fields that several kinds of configs have; each yields a sentence a problem.

A kind's own rules stand beside its settings. `RULES` there lists all that it has, each with the names of the fields
whose values it is given.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any

from munet.errors import UserError
from munet.vit import architecture

Rules = Sequence[tuple[Any, ...]]  # a function that yields problems, then the full names of its arguments


def repeated(where: str, values: Collection[Any]) -> Iterator[str]:
    """Values that stand twice in a list."""
    for value in sorted({value for value in values if list(values).count(value) > 1}):
        yield f"{where} {value!r} more than once: remove the repetition."


def tasks(tasks: Sequence[str]) -> Iterator[str]:
    """Tasks that a method learns: at least one, each once."""
    if not tasks:
        yield "experiment.tasks is empty: give task URIs, e.g. --config.tasks=builtin:digits,tfds:mnist"
    yield from repeated("experiment.tasks names", tasks)


def variant(name: str) -> Iterator[str]:
    """An architecture that there is."""
    try:
        architecture.get_variant(name)
    except UserError as error:
        yield f"experiment.variant: {error}"


def num_blocks(name: str, num_blocks: int) -> Iterator[str]:
    """No more blocks than the architecture has."""
    if (variant := architecture.VARIANTS.get(name)) and num_blocks > variant.max_blocks:
        yield f"experiment.num_blocks = {num_blocks}: {name} has {variant.max_blocks} blocks."


def image_size(name: str, size: int) -> Iterator[str]:
    """A size of images that the architecture takes."""
    return image_sizes("experiment.image_size = {}", name, (size,))


def image_sizes(what: str, name: str, sizes: Collection[int]) -> Iterator[str]:
    """The same of several sizes; `what` says of a size where it was given."""
    if variant := architecture.VARIANTS.get(name):
        patch = variant.patch_size
        for size in sorted(size for size in set(sizes) if size < patch or size % patch):
            below = max(size // patch, 1) * patch
            yield (
                f"{what.format(size)} is no multiple of {name}'s patch size {patch}: use {below} or {below + patch}."
            )


def length(epochs: float, steps: int, name: str = "num_steps") -> Iterator[str]:
    """Exactly one of two ways of saying how long training is."""
    if bool(epochs) == bool(steps) and epochs >= 0 and steps >= 0:  # of what is negative enough is said
        yield (
            f"experiment.num_epochs = {epochs:g} and experiment.{name} = {steps}: give the length of training in "
            "one of the two, and 0 for the other."
        )
