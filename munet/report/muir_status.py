"""`munet status` of a MUiR training, of tasks of any kind: qualities, seed by seed, and where training stands."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any

from munet.config.muir import MuirExperiment
from munet.errors import UserError
from munet.joint.workdir import Workdir
from munet.methods.muir.metrics import METRICS
from munet.methods.muir.result import MUIR, MuirResult
from munet.store import codec
from munet.text import count, say


def status_json(workdir: str) -> dict[str, Any]:
    """The status as JSON values; keys are only ever added.

    Raises:
      UserError: the directory is damaged.
    """
    place = Workdir(workdir, MUIR)
    beginning, result = place.beginning(), place.result()
    points = [point for point in place.curve() if point.replica == 0]
    where = f"The settings in {place.location(MUIR.start)}"
    settings = MuirExperiment() if beginning is None else codec.from_json(MuirExperiment, beginning.experiment, where)
    generations = settings.burn_in + settings.generations + settings.final_generations
    found: dict[str, Any] = {
        "format": "munet-status",
        "version": 1,
        "kind": "muir",
        "workdir": place.path,
        "complete": result is not None,
        "rounds": points[-1].step if points else 0,
        "num_rounds": generations * settings.generation_rounds,
        "validation_loss": points[-1].validation_loss if points else None,
        "replicas": [],
    }
    if isinstance(result, MuirResult):
        found["replicas"] = [
            {
                "seed": one.seed,
                "test_rmse": one.mean_quality() if one.metric == "RMSE" else None,
                "test_rmse_of_best": one.mean_quality(of_best=True) if one.metric == "RMSE" else None,
                "best_round": one.best_round,
                "modules": len(set(one.mapping)),
                "blocks": len(one.mapping),
                "tasks": {
                    name: {
                        "metric": task.metric,
                        "higher_is_better": METRICS[task.metric].is_higher_better,
                        "test": task.quality(),
                        "test_of_best": task.quality(of_best=True),
                        "own_best_round": task.own_best_round,
                        "own_best_validation": task.own_best_quality,
                        "params": task.params,
                    }
                    for name, task in one.tasks.items()
                },
            }
            for one in result.replicas
        ]
    return found


def print_status(workdir: str, *, as_json: bool, options: Sequence[str]) -> None:
    """Prints the status on standard output.

    Args:
      workdir: of the training.
      as_json: as one JSON object.
      options: others of the command that were given: they are about evolved systems.

    Raises:
      UserError: there are such options, or the directory is damaged.
    """
    if options:
        raise UserError(
            f"{', '.join(options)}: this is of evolved systems; `munet status --workdir={workdir}` shows the qualities "
            "of this MUiR training's tasks, and result.json has them with all losses."
        )
    found = status_json(workdir)
    if as_json:
        json.dump(found, sys.stdout, indent=2)
        print()
        return
    if result := Workdir(workdir, MUIR).result():
        say("\n".join(result.lines()))
        return
    loss = ""
    if found["validation_loss"] is not None:
        loss = f", validation loss {found['validation_loss']:.4g} (mean of the tasks, first seed)"
    say(f"in training: {count(found['rounds'], 'round')} of {found['num_rounds']:,}{loss}")
