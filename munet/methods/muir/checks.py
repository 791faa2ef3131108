"""What is wrong with a MUiR training's settings where models, data and devices are known, all in one message."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from munet.errors import ConfigError
from munet.joint.preparation import sharing_problem
from munet.joint.rounds import Stream
from munet.methods.muir.learner import Muir
from munet.methods.muir.state import first_mapping


def check(learner: Muir, streams: Sequence[Stream], num_devices: int) -> None:
    """Refuses settings that do not fit the models, or the devices.

    Args:
      learner: the method.
      streams: in the order of its parts.
      num_devices: that share a batch.

    Raises:
      ConfigError: all problems in one message.
    """
    problems = [*_of_blocks(learner), *_of_modules(learner), *_of_batches(learner, streams, num_devices)]
    if problems:
        raise ConfigError(problems)


def overhang(learner: Muir) -> str:
    """That blocks hang over the edges of weights, and which sizes would not, in words; "" if none does.

    What hangs over is cut off: modules have numbers for it all the same.
    """
    block = learner.plan.block
    generated = [one for part in learner.plan.parts for _ in part.tasks for one in part.matrices]  # of every model
    if not generated:
        return ""
    made = sum(one.num_blocks(block) for one in generated) * math.prod(block)
    cut = made - sum(one.count * one.rows * one.columns for one in generated)
    if not cut:
        return ""
    best = [math.gcd(*(getattr(one, name) for one in generated)) for name in ("rows", "columns")]
    fits = " x ".join(str(_nearest_divisor(most, size)) for most, size in zip(best, block, strict=True))
    return (
        f"blocks of {block[0]} x {block[1]} hang over the edges of weights: {cut / made:.1%} of what they have is cut "
        f"off. Blocks of {fits} would fit all."
    )


def _nearest_divisor(number: int, size: int) -> int:
    """The divisor that is nearest to a size, the larger one of two."""
    return min((one for one in range(1, number + 1) if number % one == 0), key=lambda one: (abs(one - size), -one))


def _of_blocks(learner: Muir) -> Iterator[str]:
    experiment, generated = learner.experiment, [one for net in learner.nets for one in net.generated]
    if not generated:
        yield "the rule generates no leaf of any model: nothing could be shared."
        return
    for name, size in (("rows", experiment.block_rows), ("columns", experiment.block_columns)):
        most = max(getattr(one, name) for one in generated)
        if size > most:
            yield f"experiment.block_{name} = {size} is more than any generated layer has ({most}): use {most} or less."


def _of_modules(learner: Muir) -> Iterator[str]:
    experiment = learner.experiment
    least = int(first_mapping(experiment, learner.plan).max(initial=-1)) + 1
    if 0 < experiment.modules < least:
        reason = {
            "given": f"experiment.groups names group {least - 1}, and groups are numbered from 0",
            "hierarchical": f"the largest model has {least:,} blocks",
        }.get(experiment.sharing, f"every one of the {least:,} blocks begins with a module for itself")
        yield f"experiment.modules = {experiment.modules}: {reason}. Use {least} or more, or 0."


def _of_batches(learner: Muir, streams: Sequence[Stream], num_devices: int) -> Iterator[str]:
    experiment = learner.experiment
    for part, net, stream in zip(learner.plan.parts, learner.nets, streams, strict=True):
        setting = f"experiment.batch_size = {experiment.batch_size}"
        if experiment.batch_sizes:
            setting = f"experiment.batch_sizes has {experiment.batch_sizes[part.tasks[0]]} for {stream.name}, which"
        examples = "pieces of text" if net.objective == "next_token" else "examples"
        problem = sharing_problem(setting, stream.batch_size, len(stream.labels), num_devices, examples)
        if problem:
            yield problem
