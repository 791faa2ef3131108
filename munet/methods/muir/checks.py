"""What is wrong with a MUiR training's settings where models, data and devices are known, all in one message."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from munet.data.tasks import Task
from munet.errors import ConfigError
from munet.joint.preparation import sharing_problem
from munet.joint.rounds import Stream
from munet.methods.muir.learner import Muir
from munet.methods.muir.state import first_mapping
from munet.text import byte_size


def check(
    learner: Muir,
    streams: Sequence[Stream],
    num_devices: int,
    tasks: Sequence[Task] = (),
    memory: int | None = None,
) -> None:
    """Refuses settings that do not fit the models, or the devices.

    Args:
      learner: the method.
      streams: in the order of its parts.
      num_devices: that share a batch.
      tasks: opened, all of whose examples lie on every device.
      memory: bytes of a device to plan with; None: no limit is known.

    Raises:
      ConfigError: all problems in one message.
    """
    problems = [
        *_of_blocks(learner),
        *_of_modules(learner),
        *_of_batches(learner, streams, num_devices),
        *_of_sets(tasks, memory),
    ]
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


def _of_sets(tasks: Sequence[Task], memory: int | None) -> Iterator[str]:
    taken = {task.info.name: _bytes(task) for task in tasks}
    if memory is None or sum(taken.values()) <= memory:
        return
    largest = max(taken, key=lambda name: taken[name])
    yield (
        f"experiment.tasks: the examples of all tasks take {byte_size(sum(taken.values()))} of every device "
        f"({largest} alone {byte_size(taken[largest])}), where MUiR keeps them, and there are {byte_size(memory)} to "
        "plan with. Use smaller sets, shorter windows, or devices of more memory (runtime.device_memory_gb)."
    )


def _bytes(task: Task) -> int:
    """Of all examples of a task: splits that are not decoded yet take as much an example as training ones do."""
    train, info = task.split("train"), task.info
    each = (train.images.nbytes + train.labels.nbytes) / len(train)
    return round(each * (info.num_train + info.num_validation + info.num_test))
