"""`munet status` of a routed training: which task uses which component, a line a task, and how well it does."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any

from munet.config.routing import ALLOCATIONS
from munet.errors import UserError
from munet.joint.workdir import Workdir
from munet.methods.gumbel_matrix.result import ROUTING, RoutedTask, RoutingResult, blocks
from munet.text import count, duration, plain_console


def print_status(workdir: str, *, as_json: bool, options: Sequence[str]) -> None:
    """Prints the status on standard output.

    Args:
      workdir: of the training, finished or not.
      as_json: as one JSON object.
      options: others of the command that were given: but for --wide they are about ViTs.

    Raises:
      UserError: there are such options.
      CorruptionError: a file is damaged.
    """
    if others := [option for option in options if option != "--wide"]:
        raise UserError(f"{workdir} holds a routed training: leave {', '.join(others)} out.")
    place = Workdir(workdir, ROUTING)
    if as_json:
        sys.stdout.write(json.dumps(status_json(place), indent=2) + "\n")
        return
    console = plain_console()
    for line in lines(place, wide="--wide" in options):
        console.print(line, highlight=False, markup=False, soft_wrap=True)


def lines(place: Workdir, *, wide: bool = False) -> list[str]:
    """Where it stands; once it is complete, its rows; `wide`: of every seed, and how often each component is used."""
    beginning, result = place.beginning(), place.result()
    if beginning is None:
        raise ValueError(f"no routed training in {place.path}")
    experiment, points = beginning.experiment, place.curve()
    title = ALLOCATIONS.get(experiment["allocation"], "Routing")  # type: ignore[call-overload]  # plain JSON
    replicas = experiment["replicas"]
    seeds = f", {replicas} seeds" if replicas != 1 else ""
    head = f"{title} of {count(len(beginning.tasks), 'task')}{seeds} in {place.path}"
    if result is None:
        done = f"{points[-1].step:,} rounds measured" if points else "not measured yet"
        return [head, f"not complete: {done}; the same command goes on"]
    found: RoutingResult = result
    told = [head, f"complete: {found.num_rounds:,} rounds in {duration(found.seconds)}", *found.lines()]
    for replica in found.replicas if wide else ():
        told += ["", f"seed {replica.seed}, how many of {count(len(replica.tasks), 'task')} use each component:"]
        told += [f"  layer {number}: {' '.join(map(str, users))}" for number, users in enumerate(replica.usage)]
        if replica is not found.replicas[0]:
            told += blocks(replica)
    return told


def status_json(place: Workdir) -> dict[str, Any]:
    """The same as JSON values; keys are only ever added (docs/status.md)."""
    beginning, result, points = place.beginning(), place.result(), place.curve()
    return {
        "format": "munet-status",
        "version": 1,
        "kind": "routing",
        "workdir": place.path,
        "complete": result is not None,
        "rounds": points[-1].step if points else 0,
        "settings": dict(beginning.experiment) if beginning else {},
        "replicas": [
            {"seed": replica.seed, "tasks": {name: _task(task) for name, task in replica.tasks.items()}}
            for replica in (result.replicas if result else ())
        ],
    }


def _task(task: RoutedTask) -> dict[str, Any]:
    return {
        "rows": list(task.rows),
        "probabilities": [list(layer) for layer in task.probabilities],
        "test_quality": task.test.value if task.test else None,
        "test_loss": task.test_loss,
        "params": task.params,
        "accounted_params": task.accounted_params,
        "flops": task.flops,
        "components": dict(task.components),
    }
