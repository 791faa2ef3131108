"""Gumbel-Matrix routing as a learner: logits and weights trained together, each by an Adam of its own.

A round is one update for each task, in a new order every time, all in one loop on the devices. Tasks may have different
numbers of classes: heads lie in one array, padded, so that which task is next is a value and no branch of the program.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Bool, Float, Int

from munet.config.routing import RoutingExperiment
from munet.joint.learner import Answers, Batch, Component, Deciding, Facts, Group, Place, StreamName
from munet.methods.gumbel_matrix import components, penalties, root_layers
from munet.methods.gumbel_matrix.connections import Connections
from munet.methods.gumbel_matrix.network import HEAD, Network
from munet.methods.gumbel_matrix.optimizer import TwoAdams
from munet.methods.gumbel_matrix.result import PROBABILITIES
from munet.methods.gumbel_matrix.state import Routed, only_of
from munet.training.program import keys
from munet.types import ComponentName, TaskName
from munet.vit.init import FlatArrays
from munet.vit.products import exact_products

PURPOSES = ("data", "connections", "dropout", "order")  # for which a round of a stream has random words
_NOT_AN_OUTPUT = -1e9  # logit of what pads a head


class Source(Protocol):
    """What models are given of a round's batches. Traced."""

    def batch(self, task: int, batch: Batch) -> tuple[Array, Array]:
        """Inputs and labels of a task's batch."""

    def prepared(self, images: Float[Array, "n ..."]) -> Array:
        """Inputs from what is measured."""


@dataclass(frozen=True)
class Answering:
    """What a task's head answers.

    Attributes:
      name: the task.
      width: classes; 1 of a task of values.
      weights: of the images of its batch in the mean of the losses; 0: it is padding.
    """

    name: TaskName
    width: int
    weights: Float[np.ndarray, " batch"]


class Routing(Deciding):
    """Trains a network of routed layers for several tasks.

    Args:
      experiment: what to do.
      network: of which layers.
      tasks: what is answered for each.
      source: of inputs and labels.
      rows: fixed patterns, one a routed layer; None: connections are learnt.
      is_value: whether tasks have values and not classes.
      num_rounds: for the schedule and the entropy penalty.
      root: what layers of a root begin with, by their names there; None: everything begins anew.
    """

    def __init__(
        self,
        experiment: RoutingExperiment,
        network: Network,
        tasks: Sequence[Answering],
        source: Source,
        rows: tuple[Float[np.ndarray, "tasks components"], ...] | None,
        *,
        is_value: bool,
        num_rounds: int,
        root: Mapping[ComponentName, FlatArrays] | None = None,
    ):
        self._experiment, self.network, self._tasks, self._source = experiment, network, tuple(tasks), source
        self._is_value = is_value
        self.groups: tuple[Group, ...] = (tuple(task.name for task in tasks),)
        self._places = {task.name: place for place, task in enumerate(tasks)}
        self._total = num_rounds * len(tasks)
        most = max(task.width for task in tasks)
        self._is_output = np.stack([np.arange(most) < task.width for task in tasks])
        self._weights = np.stack([task.weights for task in tasks])
        self._root = dict(root or {})
        self._connections = Connections(len(tasks), network.widths, experiment.p_init, rows)
        self._adams = TwoAdams(experiment, len(tasks), self._total)

    def initial(self, seed: int) -> Routed:
        """New weights, and connections as probable as `p_init` says."""
        path = ("routing", seed, "init")
        params: dict[str, dict[str, Any]] = dict(self.network.initial(path))
        params |= root_layers.versions(path, self.network.chains(), self._root, self._experiment.version_noise)
        if heads := self.network.initial_heads(path, [task.width for task in self._tasks]):
            params[HEAD] = heads
        logits = self._connections.initial()
        return Routed(params, logits, self._adams.initial(params, logits), np.int32(0))

    def train(self, state: Routed, batches: Mapping[StreamName, Batch]) -> tuple[Routed, Mapping[StreamName, Array]]:
        """One update for each task, in random order."""
        own = [batches[task.name] for task in self._tasks]
        seen = [self._source.batch(place, batch) for place, batch in enumerate(own)]
        inputs, labels = (jnp.stack([_filled(one[part], self._weights.shape[1]) for one in seen]) for part in (0, 1))
        words = jnp.stack([batch.words for batch in own])
        order = jax.random.permutation(keys.wrapped(words[0, PURPOSES.index("order")]), len(own))

        def update(state: Routed, task: Array) -> tuple[Routed, Array]:
            return self._updated(state, task, inputs[task], labels[task], words[task])

        state, losses = jax.lax.scan(update, state, order)
        by_place = jnp.zeros_like(losses).at[order].set(losses)
        return state, {task.name: by_place[place] for place, task in enumerate(self._tasks)}

    def measure(
        self, state: Routed, task: TaskName, images: Float[Array, "n size size 3"], labels: Int[Array, " n"]
    ) -> Answers:
        """With the most probable allocation; no random number is drawn."""
        outputs = self.answers(state, self._places[task], self._source.prepared(images))
        if self._is_value:
            return Answers(jnp.zeros(len(images), jnp.int32), (outputs[:, 0] - labels) ** 2)
        losses = optax.softmax_cross_entropy_with_integer_labels(outputs, labels)
        return Answers(jnp.where(jnp.isfinite(losses), outputs.argmax(axis=1), -1), losses)

    @exact_products()
    def answers(self, state: Routed, task: int | Array, inputs: Float[Array, "n ..."]) -> Float[Array, "n outputs"]:
        """What a task's model says, as it is used after training. Traced."""
        rows = [row.astype(jnp.float32) for row in self._connections.greedy(state.logits, task)]
        return self._outputs(state.params, rows, task, inputs)

    def decide(self, state: Routed, place: Place) -> tuple[Routed, Mapping[str, object] | None]:  # noqa: ARG002
        """Nothing is decided; how probable connections are by now is kept, for the paper's Figure 8."""
        if not state.logits:
            return state, None
        by_task = zip(
            *(np.round(matrix.astype(float), 4).tolist() for matrix in self.probabilities(state)), strict=True
        )
        return state, {PROBABILITIES: {task.name: list(own) for task, own in zip(self._tasks, by_task, strict=True)}}

    def learning_rate(self, step: int) -> float:
        """Of the weights, in the first update of a round."""
        return float(self._adams.learning_rate(np.int32(step * len(self._tasks))))

    def rows(self, state: Routed) -> tuple[Bool[np.ndarray, "tasks components"], ...]:
        """The most probable allocation, by routed layer. On the host."""
        return self._connections.rows(state.logits)

    def probabilities(self, state: Routed) -> tuple[Float[np.ndarray, "tasks components"], ...]:
        """Of all connections, by routed layer. On the host."""
        return self._connections.probabilities(state.logits)

    def facts(self, state: Routed) -> Mapping[TaskName, Facts]:
        """By the components that each task computes; `extras` are its rows and how probable each connection is."""
        rows, probable = self.rows(state), self.probabilities(state)
        parts, facts = self.components(state), {}
        for place, task in enumerate(self._tasks):
            extras = {
                "rows": ["".join("01"[int(used)] for used in matrix[place]) for matrix in rows],
                "probabilities": [[round(float(p), 6) for p in matrix[place]] for matrix in probable],
            }
            cost = self.network.flops([matrix[place] for matrix in rows], task.width)
            facts[task.name] = Facts.of(task.name, parts, cost, extras)
        return facts

    def components(self, state: Routed) -> tuple[Component, ...]:
        """What some task computes, each once; what none uses is not kept."""
        rows, users = self.rows(state), dict[str, list[TaskName]]()
        for place, task in enumerate(self._tasks):
            for name, *_ in self.network.used([matrix[place] for matrix in rows]):
                users.setdefault(name, []).append(task.name)
        found = [
            Component(
                name,
                {path: np.asarray(leaf) for path, leaf in leaves.items()},
                "clone" if self._root else "init",
                tuple(users[name]),
            )
            for name, leaves in state.params.items()
            if name in users
        ]
        if self.network.has_heads:
            heads = state.params[HEAD]
            for place, task in enumerate(self._tasks):
                own = {path: np.asarray(leaf)[place, ..., : task.width] for path, leaf in heads.items()}
                found.append(Component(HEAD, own, "init", (task.name,)))
        return tuple(found)

    def _outputs(self, params: Any, rows: Sequence[Array], task: int | Array, inputs: Array, drop: Any = None) -> Array:
        features = self.network.features(params, rows, inputs, self._experiment.combination)
        features = features.reshape(len(features), -1)
        if drop is not None:
            features = drop(features)
        if not self.network.has_heads:
            return features
        heads = params[HEAD]
        outputs = features @ heads["kernel"][task] + heads["bias"][task]
        return jnp.where(jnp.asarray(self._is_output)[task], outputs, _NOT_AN_OUTPUT)

    @exact_products()
    def loss(
        self, trained: tuple[Any, Any], task: Array, inputs: Array, labels: Array, words: Array, updates: Array
    ) -> tuple[Float[Array, ""], Float[Array, ""]]:
        """Of a task's batch: with everything that is added to it, and alone. Traced.

        Args:
          trained: weights and logits.
          task: its place.
          inputs, labels: padded to the size of all batches.
          words: of the task's stream.
          updates: before this one.
        """
        params, logits = trained
        rows = self._connections.sampled(logits, task, words[PURPOSES.index("connections")], updates)
        drop = _dropout(self.network.dropout, words[PURPOSES.index("dropout")])
        outputs = self._outputs(params, rows, task, inputs, drop)
        if self._is_value:
            losses = (outputs[:, 0] - labels) ** 2
        else:
            losses = optax.softmax_cross_entropy_with_integer_labels(outputs, labels)
        own = jnp.asarray(self._weights)[task]
        loss = (losses * own).sum() / own.sum()
        held = logits if self._connections.is_learnt else None
        return loss + penalties.total(self._experiment, params, held, task, updates / self._total), loss

    def abstract(self) -> tuple[Any, ...]:
        """The shapes of what `loss` is given; nothing is drawn."""
        tasks, batch = self._weights.shape
        params: dict[str, dict[str, Any]] = {
            name: {path: _floats(*leaf) for path, leaf in leaves.items()}
            for name, chain, shape in self.network.chains()
            if (leaves := components.leaves(chain, shape))
        }
        if self.network.has_heads:
            outputs = self._is_output.shape[1]
            kernel = _floats(tasks, self.network.num_features, outputs)
            params[HEAD] = {"kernel": kernel, "bias": _floats(tasks, outputs)}
        number = jax.ShapeDtypeStruct((), np.int32)
        return (
            (params, tuple(_floats(tasks, width, 2) for width in self._connections.widths)),
            number,
            _floats(batch, *self.network.inputs),
            _floats(batch) if self._is_value else jax.ShapeDtypeStruct((batch,), np.int32),
            jax.ShapeDtypeStruct((len(PURPOSES), 2), np.uint32),
            number,
        )

    def _updated(
        self, state: Routed, task: Array, inputs: Array, labels: Array, words: Array
    ) -> tuple[Routed, Float[Array, ""]]:
        trained = state.params, state.logits
        gradient = jax.value_and_grad(self.loss, has_aux=True)
        (_, loss), gradients = gradient(trained, task, inputs, labels, words, state.updates)
        (params, logits), moments = self._adams.step(trained, gradients, state.moments, state.updates)
        new = Routed(params, logits, moments, state.updates + 1)
        return (new if self._experiment.moves_others else only_of(task, new, state)), loss


def _floats(*shape: int) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(shape, np.float32)


def _dropout(share: float, words: Array) -> Callable[[Array], Array] | None:
    if not share:
        return None

    def drop(features: Array) -> Array:
        is_kept = jax.random.bernoulli(keys.wrapped(words), 1 - share, features.shape)
        return jnp.where(is_kept, features / (1 - share), 0.0)

    return drop


def _filled(values: Array, length: int) -> Array:
    """A batch that is shorter than those of other tasks, with zeros behind it."""
    return jnp.pad(values, [(0, length - len(values))] + [(0, 0)] * (values.ndim - 1))
