"""Weights and logits are trained by an Adam each, at rates of their own."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
import optax

from munet.config.routing import RoutingExperiment
from munet.methods.gumbel_matrix.network import HEAD
from munet.training.program import optimizer as evolution
from munet.training.program.optimizer import OptimizerSettings

_ADAM = optax.scale_by_adam()


class TwoAdams:
    """The optimiser of a routed training.

    Args:
      experiment: its rates, schedule and clip, and whether an update moves other tasks' own parameters.
      num_tasks: that have an update in each round.
      num_updates: of all tasks, for the schedule.
    """

    def __init__(self, experiment: RoutingExperiment, num_tasks: int, num_updates: int):
        self._experiment, self._num_tasks = experiment, num_tasks
        self._settings = OptimizerSettings.from_hyperparameters(
            {
                "learning_rate": experiment.learning_rate,
                "schedule": experiment.schedule,
                "warmup_ratio": experiment.warmup_ratio,
                "momentum": 0.0,
                "nesterov": False,
            },
            steps_per_cycle=num_updates,
            num_cycles=1,
        )

    def initial(self, params: Any, logits: Any) -> tuple[Any, Any]:
        """Moments of weights and of logits, on the host."""
        moments: tuple[Any, Any] = jax.tree.map(np.asarray, (_ADAM.init(params), _ADAM.init(logits)))
        return moments

    def step(
        self, trained: tuple[Any, Any], gradients: tuple[Any, Any], moments: tuple[Any, Any], updates: Any
    ) -> tuple[tuple[Any, Any], tuple[Any, Any]]:
        """Weights and logits, and the moments of both, after one update. Traced.

        Args:
          trained: weights and logits.
          gradients: of both.
          moments: of both.
          updates: of tasks before this one.
        """
        if clip := self._experiment.clip_norm:
            gradients, _ = optax.clip_by_global_norm(clip).update(gradients, optax.EmptyState())
        rates = self.learning_rate(updates), self._experiment.router_rate
        stepped, after = [], []
        for values, slopes, before, rate in zip(trained, gradients, moments, rates, strict=True):
            moves, new = self._moves(slopes, before, updates)
            stepped.append(jax.tree.map(lambda leaf, move, rate=rate: leaf - rate * move, values, moves))
            after.append(new)
        return (stepped[0], stepped[1]), (after[0], after[1])

    def learning_rate(self, updates: Any) -> Any:
        """Of the weights, after some updates."""
        if self._experiment.schedule == "constant":
            return self._experiment.learning_rate
        return evolution.learning_rate(self._settings, updates)

    def _moves(self, gradients: Any, before: Any, updates: Any) -> tuple[Any, Any]:
        """What Adam makes of weights' or logits' gradients, and its moments after that."""
        moves, after = _ADAM.update(gradients, before)
        if self._experiment.moves_others:
            return moves, after
        # What a task alone moves has had an update a round, which its bias correction goes by.
        own, _ = _ADAM.update(gradients, before._replace(count=updates // self._num_tasks))
        if isinstance(moves, dict):
            return ({**moves, HEAD: own[HEAD]} if HEAD in moves else moves), after
        return own, after
