"""MUiR as a learner: all weights of all models made of modules, trained together, and aligned between blocks of rounds.

A round is a batch of every task; blocks are made once in it, and the losses of all tasks are added up. `decide` ends a
generation of the search and begins the next (Algorithm 2).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int

from munet.config.muir import MuirExperiment
from munet.joint.learner import Answers, Batch, Component, Deciding, Facts, Group, Place, StreamName
from munet.methods.muir import alignment, fresh
from munet.methods.muir import state as states
from munet.methods.muir.adapters import with_adapters
from munet.methods.muir.blocks import Part, Plan
from munet.methods.muir.components import components
from munet.methods.muir.generations import Generations, winners
from munet.methods.muir.hypermodules import generate, refined
from munet.methods.muir.nets import Leaves, Net
from munet.methods.muir.objectives import evaluated, judged
from munet.methods.muir.state import MuirState, Trained
from munet.training.program import keys
from munet.types import TaskName
from munet.vit.products import exact_products


class Muir(Deciding):
    """Learns tasks of any architectures.

    Args:
      experiment: what to do.
      tasks: names, in the order of their numbers.
      parts: which tasks' models lie together, by the stream that brings their batches.
      nets: architecture of each part.
      rows: examples of each part in a round, or texts side by side; where they are not given nothing is recurrent.
    """

    def __init__(
        self,
        experiment: MuirExperiment,
        tasks: Sequence[TaskName],
        parts: Mapping[StreamName, Sequence[int]],
        nets: Mapping[StreamName, Net],
        rows: Mapping[StreamName, int] = MappingProxyType({}),
    ):
        self.experiment, self.tasks = experiment, tuple(tasks)
        self.groups: tuple[Group, ...] = (self.tasks,)
        self.streams, self.nets = tuple(parts), tuple(nets[name] for name in parts)
        self.plan = Plan(
            (experiment.block_rows, experiment.block_columns),
            [Part(tuple(parts[name]), nets[name].generated) for name in parts],
        )
        self._carries = tuple(nets[name].start(rows.get(name, 0)) for name in parts)
        self.is_recurrent = any(net.is_recurrent for net in self.nets)
        self._place = {task: (i, at) for i, part in enumerate(self.plan.parts) for at, task in enumerate(part.tasks)}
        self._adam = optax.scale_by_adam()
        self._generations = Generations(experiment, self.plan, self._adam)
        self.has_search, self.search = self._generations.is_searched, self._generations.search

    def initial(self, seed: int) -> MuirState:
        """A module for every location; where the search begins at once, with its first challengers."""
        carries: Any = jax.tree.map(np.asarray, self._carries)
        state = states.initial(self.experiment, self.plan, self.nets, seed, carries)
        if self.has_search and not self.experiment.burn_in:
            state = self._generations.begun(state, np.asarray(state.candidates[0]), seed, 0)
        return state

    @exact_products()
    def train(
        self, state: MuirState, batches: Mapping[StreamName, Batch]
    ) -> tuple[MuirState, Mapping[StreamName, Array]]:
        """A step of Adam; scores of locations that were not drawn do not move, not by a bit."""

        def loss_of(trained: Trained, scores: Array) -> tuple[Array, tuple[dict[StreamName, Array], tuple[Any, ...]]]:
            blocks = self._blocks(trained, state, scores)
            total, found, carries = jnp.float32(0), {}, []
            for index, name in enumerate(self.streams):
                leaves = self._leaves(trained, blocks, index)
                losses, carry = self._losses(leaves, index, batches[name], state.carries[index])
                total, found[name] = total + losses.sum(), losses.mean()
                carries.append(carry)
            return total, (found, tuple(carries))

        gradient = jax.grad(loss_of, argnums=(0, 1) if self.has_search else 0, has_aux=True)
        gradients, (losses, carries) = gradient(state.trained, state.scores)
        scores, score_moments = state.scores, state.score_moments
        if self.has_search:
            gradients, of_scores = gradients
            of_scores = jnp.where(state.drawn, of_scores, 0)
            moves, score_moments = self._adam.update(of_scores, score_moments)
            rate = self.experiment.score_learning_rate
            scores = jnp.where(state.drawn, scores - rate * moves, scores)
        moves, moments = self._adam.update(gradients, state.moments)
        if len(state.born):
            moves = moves._replace(modules=fresh.moved(moves.modules, state.born, moments.count))
        trained = jax.tree.map(lambda old, move: old - self.experiment.learning_rate * move, state.trained, moves)
        if not self.experiment.context:
            trained = trained._replace(contexts=state.trained.contexts)
        return state._replace(
            trained=trained, scores=scores, moments=moments, score_moments=score_moments, carries=carries
        ), losses  # fmt: skip

    @exact_products()
    def measure(self, state: MuirState, task: TaskName, images: Array, labels: Array) -> Answers:
        """What the task's model says of some inputs, or of the symbols of a text; values have no classes."""
        index, at = self._place[self.tasks.index(task)]
        leaves = self._leaves(state.trained, self._measured_blocks(state), index)
        net, own = self.nets[index], {path: leaf[at] for path, leaf in leaves.items()}
        if net.objective == "next_token":
            images, labels = images[None], labels[None]
        carry = state.carries[index] if net.statistics else net.start(len(images))
        found = judged(net, own, images, labels, carry=carry)
        return Answers(found.classes, found.losses)

    @exact_products()
    def evaluate(
        self,
        state: MuirState,
        inputs: Sequence[Array],
        targets: Sequence[Array],
        counted: Sequence[int],
        *,
        as_published: bool = False,
    ) -> list[tuple[Float[Array, " tasks"], Int[Array, " tasks"]]]:
        """For the tasks of every part mean losses, and how many predictions are right, at once. Traced.

        Args:
          state: of a replica.
          inputs, targets: of each part, with an axis of its tasks before those of `objectives.Arranged`.
          counted: how many predictions count; they are as many for each task of a part.
          as_published: whether the winners are measured, whatever the config says.
        """
        blocks = self._winning_blocks(state) if as_published else self._measured_blocks(state)
        found = []
        for index, (net, given, wanted, count) in enumerate(zip(self.nets, inputs, targets, counted, strict=True)):
            leaves = self._leaves(state.trained, blocks, index)
            judge = functools.partial(evaluated, net, counted=count, carry=state.carries[index])

            def one(leaves: Leaves, given: Array, wanted: Array, judge: Any = judge) -> Any:
                return judge(leaves, given, wanted)

            found.append(_by_task(one, leaves, given, wanted))
        return found

    def decide(self, state: MuirState, place: Place) -> tuple[MuirState, Mapping[str, object] | None]:
        """Ends a generation and begins the next; after the last one the winners stay alone.

        Recurrent models begin every generation with zeros, whether anything is searched or not.
        """
        settings = self.experiment
        if self.is_recurrent:
            state = state._replace(carries=tuple(
                jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), carry) if net.is_recurrent else carry
                for net, carry in zip(self.nets, state.carries, strict=True)
            ))  # fmt: skip
        number = place.round // settings.generation_rounds - settings.burn_in
        if not self.has_search or number < 0 or number > settings.generations:
            return state, None
        return self._generations.ended(state, place.seed, number, place.round)

    def winners(self, state: MuirState) -> tuple[alignment.Mapping, Float[np.ndarray, " locations"]]:
        """The modules that would win now, and their weights. On the host."""
        return winners(state)

    def net_of(self, task: TaskName) -> Net:
        """The architecture of a task."""
        return self.nets[self._place[self.tasks.index(task)][0]]

    def learning_rate(self, step: int) -> float:  # noqa: ARG002
        """Adam's; it is constant."""
        return self.experiment.learning_rate

    def facts(self, state: MuirState) -> Mapping[TaskName, Facts]:
        """By which modules each task uses."""
        parts = self.components(state)
        nets = [self.nets[self._place[number][0]] for number in range(len(self.tasks))]
        return {
            task: Facts.of(task, parts, net.flops, {"plain_params": net.num_params})
            for task, net in zip(self.tasks, nets, strict=True)
        }

    def components(self, state: MuirState) -> tuple[Component, ...]:
        """The modules of every set of tasks that uses them; each task's contexts, and what is its own."""
        return components(self.experiment, self.plan, self.tasks, state.trained, self.winners(state)[0])

    def _leaves(self, trained: Trained, blocks: Array, index: int) -> dict[str, Array]:
        """All parameters of the models of a part, with an axis of its tasks."""
        return {**trained.own[index], **self.plan.unpack(blocks, index)}

    def _losses(self, leaves: Leaves, index: int, batch: Batch, carry: Any) -> tuple[Float[Array, " tasks"], Any]:
        """Mean loss of each of a part's tasks, and what its recurrent model goes on with."""
        net = self.nets[index]
        if len(self.plan.parts[index].tasks) == 1:
            key = keys.wrapped(batch.words[0])
            own = {path: leaf[0] for path, leaf in leaves.items()}
            found = judged(net, own, batch.images, batch.labels, carry, key)
            return found.losses.mean()[None], jax.lax.stop_gradient(found.carry)

        def one(leaves: Leaves, images: Array, labels: Array) -> Array:
            return judged(net, leaves, images, labels).losses.mean()

        return _by_task(one, leaves, jnp.moveaxis(batch.images, 1, 0), jnp.moveaxis(batch.labels, 1, 0)), carry

    def _blocks(self, trained: Trained, state: MuirState, scores: Any) -> Array:
        """All blocks, as they train."""
        if not self.has_search:
            return self._adapted(trained, generate(trained.modules, trained.contexts, state.candidates))
        return generate(trained.modules, trained.contexts, state.candidates, scores, state.places)

    def _measured_blocks(self, state: MuirState) -> Array:
        """Blocks as the config says that they are measured."""
        if self.experiment.measured == "merged" and self.has_search:
            return self._blocks(state.trained, state, state.scores)
        return self._winning_blocks(state)

    def _winning_blocks(self, state: MuirState) -> Array:
        """Blocks of the modules that would win now, which are published."""
        trained = state.trained
        chosen: Int[Array, " locations"] = refined(state.candidates, state.scores, state.picks)
        return self._adapted(trained, generate(trained.modules, trained.contexts, chosen[None]))

    def _adapted(self, trained: Trained, blocks: Array) -> Array:
        return with_adapters(blocks, trained.adapters) if self.experiment.adapters else blocks


def _by_task(function: Callable[..., Any], *arguments: Any) -> Any:
    """A function mapped over the tasks of a part; a single one has no axis inside, which costs fast products."""
    if len(jax.tree.leaves(arguments)[0]) > 1:
        return jax.vmap(function)(*arguments)
    found = function(*jax.tree.map(lambda leaf: leaf[0], arguments))
    return jax.tree.map(lambda leaf: leaf[None], found)
