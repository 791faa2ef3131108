"""Which architecture a task has: the one that is named for it, or the first that is for what the task is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from munet.config.muir import MuirExperiment
from munet.data.tasks import Task
from munet.errors import ConfigError
from munet.methods.muir.architectures import DEEP_BIND_TAPS
from munet.methods.muir.metrics import METRIC_OF_UNIT
from munet.methods.muir.nets import Net, awd_lstm, deep_bind, language_model, lenet, linear, wide_resnet
from munet.types import Objective


class Given(NamedTuple):
    """What an architecture is made for.

    Attributes:
      inputs: shape of one example.
      classes: of images, or symbols of a text; 0 of values.
      steps: of a piece of a text in training.
      metric: of a text, by what its symbols are.
      vit: makes a ViT that begins as the root, for so many classes.
    """

    inputs: tuple[int, ...]
    classes: int = 0
    steps: int = 35
    metric: str = ""
    vit: Callable[[int], Net] | None = None


class Kind(NamedTuple):
    """An architecture that tasks may have.

    Attributes:
      make: makes it, of some width; that of 0 is its own.
      objective: of the tasks that it is for.
      fits: which inputs it takes, as they lie in the data.
      width: where none is named, of a wide ResNet its depth; 0: it has none to be named.
      problem: what is wrong with a width, in words; "": nothing.
    """

    make: Callable[[Given, int], Net]
    objective: Objective
    fits: Callable[[np.ndarray], bool]
    width: int = 0
    problem: Callable[[int], str] = lambda _: ""


def _depth_problem(depth: int) -> str:
    if depth >= 10 and depth % 6 == 4:
        return ""
    below = max((depth - 4) // 6 * 6 + 4, 10)
    nearest = f"{below} or {below + 6}" if depth > 10 else "10"
    return f"a wide ResNet has 6 n + 4 layers: use a depth of {nearest}."


def _is_numbers(inputs: np.ndarray) -> bool:
    return inputs.dtype.kind == "f" and inputs.ndim == 2


def _is_windows(inputs: np.ndarray) -> bool:
    return inputs.dtype == np.uint8 and inputs.ndim == 2 and inputs.shape[1] >= DEEP_BIND_TAPS


def _why_none(inputs: np.ndarray) -> str:
    """Why no architecture is for a task."""
    if inputs.dtype == np.uint8 and inputs.ndim == 2:
        letters = f"Its windows have {inputs.shape[1]} letters"
        return f"{letters}, and DeepBind, which is for such tasks, reads {DEEP_BIND_TAPS} at a time: give longer ones."
    return "There is none for such a task."


def _is_any(_: np.ndarray) -> bool:
    return True


def _vit(given: Given) -> Net:
    if given.vit is None:
        raise ValueError("a ViT needs a root")
    return given.vit(given.classes)


# The first that is for an objective and takes the inputs is what a task has whose architecture is not named.
NETS: Mapping[str, Kind] = {
    "linear": Kind(lambda given, _: linear(given.inputs), "value", _is_numbers),
    "deep_bind": Kind(lambda given, width: deep_bind(width, given.inputs[0]), "value", _is_windows, 64),
    "lenet": Kind(lambda given, _: lenet(given.classes), "", _is_any),
    "vit": Kind(lambda given, _: _vit(given), "", _is_any),
    "wide_resnet": Kind(lambda given, depth: wide_resnet(given.classes, depth), "", _is_any, 40, _depth_problem),
    "lstm": Kind(
        lambda given, width: language_model(given.classes, width, given.steps, given.metric), "next_token", _is_any, 128
    ),
    "awd_lstm": Kind(
        lambda given, width: awd_lstm(given.classes, width, given.steps, given.metric), "next_token", _is_any, 1136
    ),
}


def parse(name: str) -> tuple[str, int]:
    """Architecture and width that a name such as `lstm_128` says; as it is, and 0, if it is none."""
    kind, _, width = name.rpartition("_")
    if kind in NETS and NETS[kind].width and width.isdecimal() and int(width):
        return kind, int(width)
    return (name, NETS[name].width) if name in NETS else (name, 0)


def names(objective: Objective, inputs: np.ndarray) -> list[str]:
    """What a task's architecture may be called, for people."""
    fitting = {name: kind for name, kind in NETS.items() if kind.objective == objective and kind.fits(inputs)}
    return [f"{name}_{kind.width}" if kind.width else name for name, kind in fitting.items()]


def nets_of(tasks: Sequence[Task], experiment: MuirExperiment, vit: Callable[[int], Net] | None = None) -> list[Net]:
    """The architecture of every task; equal ones are one object.

    Args:
      tasks: opened.
      experiment: which names architectures, or none.
      vit: makes a ViT that begins as the root, for so many classes; None: no task has one.

    Raises:
      ConfigError: one that is named is not for its task, or there is none for what a task is, or a text is shorter
        than the pieces in which it is trained; all in one message.
    """
    made: dict[tuple[object, ...], Net] = {}
    found, problems = [], []
    for number, task in enumerate(tasks):
        inputs, objective = task.split("train").decoded, task.info.objective
        fitting = names(objective, inputs)
        name = experiment.nets[number] if experiment.nets else next(iter(fitting), "")
        kind, width = parse(name)
        if kind not in {parse(one)[0] for one in fitting}:
            known = f"Valid: {', '.join(fitting)}." if fitting else _why_none(inputs)
            problems.append(f"experiment.nets: {name or 'no architecture'} for {task.info.name}. {known}")
            continue
        if problem := NETS[kind].problem(width):
            problems.append(f"experiment.nets: {name} for {task.info.name}: {problem}")
            continue
        if objective == "next_token" and experiment.text_steps > len(inputs):
            problems.append(
                f"experiment.text_steps = {experiment.text_steps:,} is more than {task.info.name} has symbols for "
                f"training ({len(inputs):,}): use {len(inputs):,} or less."
            )
            continue
        metric = METRIC_OF_UNIT[task.source.unit]
        given = Given(inputs.shape[1:], task.info.num_classes, experiment.text_steps, metric, vit)
        key = (name, given if objective == "value" else (given.classes, metric))
        if key not in made:
            made[key] = replace(NETS[kind].make(given, width), flip=experiment.flip)
        found.append(made[key])
    if problems:
        raise ConfigError(problems)
    return found
