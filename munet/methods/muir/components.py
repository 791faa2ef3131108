"""What a MUiR state is made of, for counting parameters: modules by the tasks that use them, and each task's own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from munet.config.muir import MuirExperiment
from munet.joint.learner import Component
from munet.methods.muir import alignment
from munet.methods.muir.blocks import Plan
from munet.methods.muir.state import Trained
from munet.types import TaskName


def components(
    experiment: MuirExperiment, plan: Plan, tasks: Sequence[TaskName], trained: Trained, mapping: alignment.Mapping
) -> tuple[Component, ...]:
    """The modules of every set of tasks that uses them; then each task's own contexts, adapters and plain weights.

    Args:
      experiment: says whether blocks have contexts and adapters.
      plan: where blocks lie.
      tasks: names, in the order of their numbers.
      trained: of one replica.
      mapping: the module of every location. Modules that no location uses are in no component.
    """
    arrays_of: Any = jax.tree.map(np.asarray, trained)
    by_tasks: dict[tuple[int, ...], list[int]] = {}
    for module, users in alignment.users(mapping, plan.task_of).items():
        by_tasks.setdefault(users, []).append(module)
    found = [
        Component(
            "modules_" + "_".join(map(str, users)),
            {"modules": arrays_of.modules[modules]},
            "init",
            tuple(tasks[user] for user in users),
        )
        for users, modules in sorted(by_tasks.items())
    ]
    own = {
        number: {path: leaf[at] for path, leaf in leaves.items()}
        for part, leaves in zip(plan.parts, arrays_of.own, strict=True)
        for at, number in enumerate(part.tasks)
    }
    for number, task in enumerate(tasks):
        if experiment.context:
            own[number]["contexts"] = arrays_of.contexts[plan.task_of == number]
        if experiment.adapters:
            own[number]["adapters"] = arrays_of.adapters[plan.task_of == number]
        if own[number]:
            found.append(Component("own", own[number], "init", (task,)))
    return tuple(found)
