"""What is wrong with a MUiR training's settings where models, data and devices are known, all in one message."""

from __future__ import annotations

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
