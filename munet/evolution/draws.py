"""The controller's random decisions, each one uniform number named by a path (DESIGN decision 7)."""

from __future__ import annotations

from dataclasses import dataclass

from munet import rng
from munet.types import Position, TaskName


@dataclass(frozen=True)
class Draws:
    """Draws below one path; the same purpose always gives the same number.

    Attributes:
      path: the common beginning of the paths of all draws.
    """

    path: rng.Path

    def at(self, *parts: str | int) -> Draws:
        """Draws further down the path."""
        return Draws((*self.path, *parts))

    def uniform(self, *purpose: str | int) -> float:
        """A number in [0, 1)."""
        return rng.uniform((*self.path, *purpose))

    def fires(self, kind: str, target: str, probability: float) -> bool:
        """Whether a possible mutation happens."""
        return self.uniform("fire", kind, target) < probability

    def goes_up(self, kind: str, target: str) -> bool:
        """Direction of a step along an ordered list: up or down with equal probability."""
        return self.uniform("direction", kind, target) < 0.5


def phase_draws(seed: int, position: Position, task: TaskName) -> Draws:
    """Draws of a phase."""
    return Draws((seed, position.task_iteration, task))


def generation_draws(seed: int, position: Position, task: TaskName) -> Draws:
    """Draws of a generation; a child's are below `at(child_index)`, which the generation's own leave out."""
    return phase_draws(seed, position, task).at(position.generation)
