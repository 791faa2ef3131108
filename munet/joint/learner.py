"""What a method that trains its tasks jointly is: pure functions over one state, which the trainer calls.

The trainer (`loop.py`) alone owns loop, clock, disk and words. A learner may not read a clock, write a file, or keep
anything between two calls but what is in its state: so every learner is killed and resumed, replicated, measured and
shown in the same way, by the same code. `tests/joint/conformance.py` says what each of them must pass.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np
from jaxtyping import Array, Bool, Float, Int, UInt8, UInt32

from munet.types import ComponentName, Origin, TaskName

State = TypeVar("State")
StreamName = str  # of the batches that a round has: of a task, or of several that were merged
Group = tuple[TaskName, ...]  # tasks that share parameters, so that one version of these serves them all


class Batch(NamedTuple):
    """What a round has of one stream.

    Attributes:
      images: as the data have them, not augmented; of tasks that are no image classification whatever their inputs are.
      labels: class numbers, or what else is to be predicted.
      words: random words of this round, a pair for each of the stream's purposes (`jax.random.wrap_key_data`).
    """

    images: UInt8[Array, "batch h w c"]
    labels: Int[Array, " batch"]
    words: UInt32[Array, "purposes 2"]


class Answers(NamedTuple):
    """What a model says of some images: the class that it takes each for, and its loss (nats)."""

    classes: Int[Array, " n"]
    losses: Float[Array, " n"]


@dataclass(frozen=True)
class Place:
    """Where a training stands when its learner may decide something.

    Attributes:
      seed: of the replica.
      round: rounds before this moment.
      num_rounds: of the whole training.
    """

    seed: int
    round: int
    num_rounds: int


@dataclass(frozen=True)
class Facts:
    """What one task's model costs.

    Attributes:
      params: on its path, shared ones in full.
      accounted_params: each divided by the tasks that use it (Eq. 3).
      flops: of a forward pass on one image.
      extras: whatever else a method has to say, as JSON values.
    """

    params: int
    accounted_params: float
    flops: int
    extras: Mapping[str, object] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        task: TaskName,
        components: Sequence[Component],
        flops: int,
        extras: Mapping[str, object] = MappingProxyType({}),
    ) -> Facts:
        """By the components that the task uses, of all that a learner publishes."""
        own = [
            (sum(array.size for array in part.arrays.values()), len(part.tasks))
            for part in components
            if task in part.tasks
        ]
        return cls(sum(size for size, _ in own), sum(size / users for size, users in own), flops, extras)


@dataclass(frozen=True)
class Component:
    """A named layer as it is published.

    Attributes:
      name: the layer's, e.g. `encoderblock_0`.
      arrays: by path.
      origin: `root` (as it was), `clone` (of the root's, trained) or `init`.
      tasks: that use it.
    """

    name: ComponentName
    arrays: Mapping[str, np.ndarray]
    origin: Origin
    tasks: tuple[TaskName, ...]


class Learner(Protocol[State]):
    """A method. A state is a pytree of arrays; functions that are said to be traced run inside compiled programs.

    None of them sees the replica axis: the trainer maps them over it.

    Attributes:
      groups: the tasks, those together that share something that is trained.
    """

    groups: tuple[Group, ...]

    def initial(self, seed: int) -> State:
        """A fresh state, the same on every machine."""

    def train(self, state: State, batches: Mapping[StreamName, Batch]) -> tuple[State, Mapping[StreamName, Array]]:
        """The state after one round, and the mean loss of every stream in it. Traced."""

    def measure(
        self, state: State, task: TaskName, images: Float[Array, "n size size 3"], labels: Int[Array, " n"]
    ) -> Answers:
        """What the task's model says of prepared images. Traced."""

    def keep(self, best: State, state: State, is_better: Mapping[Group, Bool[Array, ""]]) -> State:
        """`best` with what belongs to some groups, optimiser included, as `state` has it. Traced."""

    def decide(self, state: State, place: Place) -> tuple[State, Mapping[str, object] | None]:
        """The state, changed or not, and a record of it as JSON values; None: nothing.

        On the host, a pure function of seed, place and arrays. What is read of the state, as `np.asarray(leaf)`, is
        copied to the host then; what is handed back as another array goes to the devices; all else stays there.
        """

    def learning_rate(self, step: int) -> float:
        """The rate of a round, for the curve."""

    def facts(self, state: State) -> Mapping[TaskName, Facts]:
        """What each task's model costs. On the host."""

    def components(self, state: State) -> tuple[Component, ...]:
        """What is published at the end. On the host."""


class Deciding:
    """What `keep` and `decide` are for a learner that shares everything and decides nothing."""

    def keep(self, best: Any, state: Any, is_better: Mapping[Group, Bool[Array, ""]]) -> Any:
        """All of the state is of the one group."""
        return chosen(next(iter(is_better.values())), state, best)

    def decide(self, state: Any, place: Place) -> tuple[Any, Mapping[str, object] | None]:  # noqa: ARG002
        """Nothing is decided."""
        return state, None


def chosen(is_new: Bool[Array, ""], new: Any, old: Any) -> Any:
    """One of two trees of equal structure."""
    import jax
    import jax.numpy as jnp

    return jax.tree.map(lambda one, other: jnp.where(is_new, one, other), new, old)
