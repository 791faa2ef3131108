"""The compiled programs of a training: a block of rounds, what models say of images, which version is the best so far.

Each is written for one replica and mapped over a leading replica axis where there are several; a single one has no such
axis, because a batch axis of length one costs XLA's CPU backend its fast matrix products. Replicas lie along the mesh's
`child` axis, batches along `data`; a block of rounds is one dispatch.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Bool, Float, Int

from munet.joint.learner import Answers, Group, Learner, StreamName
from munet.joint.rounds import Picked, Sets, batch
from munet.training.placement.devices import DeviceLayout
from munet.training.program.sharding import AXES
from munet.types import TaskName


class Carried(NamedTuple):
    """What a block of rounds changes.

    Attributes:
      state: the learner's.
      loss_sums: of every stream, over the rounds since the last line of the curve.
    """

    state: Any
    loss_sums: dict[StreamName, Float[Array, ""]]


class _Fetched:
    """An array on the devices, that is copied to the host when it is asked for, once."""

    def __init__(self, leaf: Array):
        self.leaf = leaf

    @functools.cached_property
    def values(self) -> np.ndarray:
        """On the host."""
        return np.asarray(self.leaf)


class View:
    """One replica's array of a state, for who decides on the host: it is copied there when it is read.

    Args:
      fetched: the array, of all replicas.
      index: which replica; None: there is one, and no axis.
    """

    def __init__(self, fetched: _Fetched, index: int | None = None):
        self._fetched, self._index = fetched, index

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the replica's array."""
        shape: tuple[int, ...] = self._fetched.leaf.shape
        return shape if self._index is None else shape[1:]

    @property
    def dtype(self) -> Any:
        """Of the array."""
        return self._fetched.leaf.dtype

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: Any) -> Any:
        return self.__array__()[index]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        values = self._fetched.values if self._index is None else self._fetched.values[self._index]
        return np.array(values, dtype, copy=copy)


class Spread(NamedTuple):
    """How replicas lie on devices: as many devices share them as do so evenly, and the others share batches.

    Attributes:
      together: replicas that lie on each device: 3 on each of 2 devices, if there are 3.
      sharing: devices among which every batch is cut.
    """

    together: int
    sharing: int

    @classmethod
    def of(cls, num_replicas: int, num_devices: int) -> Spread:
        """That of some replicas on some devices."""
        evenly = math.gcd(num_replicas, num_devices)
        return cls(num_replicas // evenly, num_devices // evenly)


def mesh_of(layout: DeviceLayout, num_replicas: int) -> Mesh:
    """All devices: those that share the replicas along `child`, those that share their batches along `data`."""
    sharing = Spread.of(num_replicas, len(layout.devices)).sharing
    return Mesh(np.array(layout.devices).reshape(-1, sharing, 1), AXES)


class Programs:
    """The programs of one learner on one mesh.

    Args:
      learner: the method.
      num_replicas: trained side by side.
      mesh: of `mesh_of`.
    """

    def __init__(self, learner: Learner[Any], num_replicas: int, mesh: Mesh):
        self._learner, self._replicas = learner, num_replicas
        lead = PartitionSpec("child") if num_replicas > 1 else PartitionSpec()
        self.placed = NamedSharding(mesh, lead)  # of every array that is a replica's own
        self._everywhere = NamedSharding(mesh, PartitionSpec())
        self._block = jax.jit(
            self._mapped(self._rounds, per_replica=2, shared=2), donate_argnums=0, out_shardings=self.placed
        )
        self._answers: dict[TaskName, Callable[..., Answers]] = {}
        self._keep = jax.jit(self._mapped(learner.keep, per_replica=3), donate_argnums=0, out_shardings=self.placed)

    def initial(self, seeds: Sequence[int], streams: Sequence[StreamName]) -> Carried:
        """The states that the seeds begin with, on the devices."""
        zeros: dict[StreamName, Any] = {name: np.float32(0) for name in streams}
        return self.put([Carried(self._learner.initial(seed), zeros) for seed in seeds])

    def put(self, replicas: Sequence[Any]) -> Any:
        """Trees of arrays, one a replica, as one on the devices."""
        if self._replicas == 1:
            return jax.device_put(replicas[0], self.placed)
        return jax.device_put(jax.tree.map(lambda *leaves: np.stack(leaves), *replicas), self.placed)

    def taken(self, tree: Any) -> list[Any]:
        """The other way round: each replica's arrays, on the host."""
        whole = jax.tree.map(np.asarray, tree)
        if self._replicas == 1:
            return [whole]
        return [jax.tree.map(lambda leaf, index=index: leaf[index], whole) for index in range(self._replicas)]

    def views(self, tree: Any) -> list[Any]:
        """As `taken`, but every array comes to the host only when it is read, and then once for all replicas."""
        if self._replicas == 1:
            return [jax.tree.map(lambda leaf: View(_Fetched(leaf)), tree)]
        fetched = jax.tree.map(_Fetched, tree)
        return [
            jax.tree.map(lambda one, index=index: View(one, index), fetched) for index in range(self._replicas)
        ]  # fmt: skip

    def put_changed(self, tree: Any, before: Sequence[Any], after: Sequence[Any]) -> Any:
        """`tree` with the arrays that changed in some replica; all others stay where they are.

        Args:
          tree: on the devices.
          before: its `views`.
          after: the same, some leaves of which are other arrays now.
        """
        leaves, structure = jax.tree.flatten(tree)
        old, new = ([jax.tree.leaves(one) for one in replicas] for replicas in (before, after))
        for at, leaf in enumerate(leaves):
            if any(one[at] is not other[at] for one, other in zip(old, new, strict=True)):
                own = [np.asarray(one[at], leaf.dtype) for one in new]
                leaves[at] = jax.device_put(own[0] if self._replicas == 1 else np.stack(own), self.placed)
        return jax.tree.unflatten(structure, leaves)

    def run(self, carried: Carried, picked: Mapping[StreamName, Picked], sets: Sets, num_rounds: int) -> Carried:
        """Trains the first `num_rounds` rounds of a block; `carried` is donated."""
        result: Carried = self._block(carried, picked, sets, np.int32(num_rounds))
        return result

    def compiled_block(self, carried: Carried, picked: Mapping[StreamName, Picked], sets: Sets) -> Any:
        """The program of `run` for these shapes, compiled ahead: it is called with the same, and tells its memory."""
        return self._block.lower(carried, picked, sets, np.int32(0)).compile()

    def without_sums(self, carried: Carried) -> Carried:
        """The same, the sums of losses beginning anew."""
        shape = () if self._replicas == 1 else (self._replicas,)
        zeros = {name: jax.device_put(np.zeros(shape, np.float32), self.placed) for name in carried.loss_sums}
        return Carried(carried.state, zeros)

    def measure(
        self, state: Any, task: TaskName, images: Array, labels: np.ndarray, num_batches: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Classes and losses of the first batches of a piece, with a leading replica axis in any case."""
        if task not in self._answers:
            self._answers[task] = jax.jit(self._mapped(self._measured(task), per_replica=1, shared=3))
        answers = self._answers[task](state, jax.device_put(images, self._everywhere), labels, np.int32(num_batches))
        classes, losses = np.asarray(answers.classes), np.asarray(answers.losses)
        return (classes[None], losses[None]) if self._replicas == 1 else (classes, losses)

    def compiled(self, function: Callable[..., Any], shared: int) -> Callable[..., Any]:
        """A function of one replica's state and of so many arguments of all, for the states of all replicas.

        What it gives has a leading replica axis in any case.
        """
        program = jax.jit(self._mapped(function, per_replica=1, shared=shared))
        if self._replicas > 1:
            return program
        return lambda *arguments: jax.tree.map(lambda leaf: leaf[None], program(*arguments))

    def keep(self, best: Any, state: Any, is_better: Mapping[Group, Bool[np.ndarray, " replicas"]]) -> Any:
        """`best` with what has become better since, by group and replica; `best` is donated."""
        chosen = {group: values if self._replicas > 1 else values[0] for group, values in is_better.items()}
        return self._keep(best, state, chosen)

    def _mapped(self, function: Callable[..., Any], *, per_replica: int, shared: int = 0) -> Callable[..., Any]:
        if self._replicas == 1:
            return function
        return jax.vmap(function, in_axes=(0,) * per_replica + (None,) * shared)

    def _rounds(
        self, carried: Carried, picked: Mapping[StreamName, Picked], sets: Sets, num_rounds: Int[Array, ""]
    ) -> Carried:
        def one(index: Int[Array, ""], carried: Carried) -> Carried:
            batches = {name: batch(sets[name], block, index) for name, block in picked.items()}
            state, losses = self._learner.train(carried.state, batches)
            return Carried(state, {name: total + losses[name] for name, total in carried.loss_sums.items()})

        result: Carried = jax.lax.fori_loop(0, num_rounds, one, carried)
        return result

    def _measured(self, task: TaskName) -> Callable[..., Answers]:
        def measured(state: Any, images: Array, labels: Array, num_batches: Array) -> Answers:
            def one(index: Int[Array, ""], results: Answers) -> Answers:
                found = self._learner.measure(state, task, images[index], labels[index])
                return Answers(*(total.at[index].set(part) for total, part in zip(results, found, strict=True)))

            empty = Answers(jnp.zeros(labels.shape, jnp.int32), jnp.zeros(labels.shape, jnp.float32))
            return jax.lax.fori_loop(0, num_batches, one, empty)

        return measured
