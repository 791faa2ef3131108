"""MUiR as a learner: all weights of all models made of modules, trained together, and aligned between blocks of rounds.

A round is a batch of every task; blocks are made once in it, and the losses of all tasks are added up. `decide` ends a
generation of the search and begins the next (Algorithm 2; spec of MUiR, section 5).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int

from munet.config.muir import MuirExperiment
from munet.joint.learner import Answers, Batch, Component, Deciding, Facts, Group, Place, StreamName
from munet.methods.muir import alignment
from munet.methods.muir import state as states
from munet.methods.muir.alignment import Search
from munet.methods.muir.blocks import Part, Plan, generate, refined
from munet.methods.muir.nets import Net
from munet.methods.muir.state import MuirState, Trained
from munet.types import TaskName


class Muir(Deciding):
    """Learns tasks of any architectures.

    Args:
      experiment: what to do.
      tasks: names, in the order of their numbers.
      parts: which tasks' models lie together, by the stream that brings their batches.
      nets: architecture of each part.
    """

    def __init__(
        self,
        experiment: MuirExperiment,
        tasks: Sequence[TaskName],
        parts: Mapping[StreamName, Sequence[int]],
        nets: Mapping[StreamName, Net],
    ):
        self.experiment, self.tasks = experiment, tuple(tasks)
        self.groups: tuple[Group, ...] = (self.tasks,)
        self.streams, self.nets = tuple(parts), tuple(nets[name] for name in parts)
        self.plan = Plan(
            (experiment.block_rows, experiment.block_columns),
            [Part(tuple(parts[name]), nets[name].generated) for name in parts],
        )
        self._place = {task: (i, at) for i, part in enumerate(self.plan.parts) for at, task in enumerate(part.tasks)}
        self._adam = optax.scale_by_adam()
        self.has_search = bool(
            experiment.sharing in ("search", "random") and experiment.challengers and experiment.share
        )
        self.search = Search(
            experiment.modules or self.plan.num_locations,
            experiment.challengers,
            experiment.share,
            experiment.new_module,
            experiment.sharing == "random",
        )
        self._scores = alignment.first_scores(experiment.challengers, experiment.challenger_share)

    def initial(self, seed: int) -> MuirState:
        """A module for every location; where the search begins at once, with its first challengers."""
        state = states.initial(self.experiment, self.plan, self.nets, seed)
        if self.has_search and not self.experiment.burn_in:
            state = self._begun(state, np.asarray(state.candidates[0]), seed, 0)
        return state

    def train(
        self, state: MuirState, batches: Mapping[StreamName, Batch]
    ) -> tuple[MuirState, Mapping[StreamName, Array]]:
        """A step of Adam; scores of locations that were not drawn do not move, not by a bit."""

        def loss_of(trained: Trained, scores: Array) -> tuple[Array, dict[StreamName, Array]]:
            blocks = self._blocks(trained, state, scores)
            total, found = jnp.float32(0), {}
            for index, name in enumerate(self.streams):
                outputs, targets = self._outputs(trained, blocks, index, batches[name]), _targets(batches[name])
                losses = ((outputs - targets) ** 2).mean(axis=1)
                total, found[name] = total + losses.sum(), losses.mean()
            return total, found

        gradient = jax.grad(loss_of, argnums=(0, 1) if self.has_search else 0, has_aux=True)
        gradients, losses = gradient(state.trained, state.scores)
        scores, score_moments = state.scores, state.score_moments
        if self.has_search:
            gradients, of_scores = gradients
            of_scores = jnp.where(state.drawn, of_scores, 0)
            moves, score_moments = self._adam.update(of_scores, score_moments)
            rate = self.experiment.score_learning_rate
            scores = jnp.where(state.drawn, scores - rate * moves, scores)
        moves, moments = self._adam.update(gradients, state.moments)
        trained = jax.tree.map(lambda old, move: old - self.experiment.learning_rate * move, state.trained, moves)
        if not self.experiment.context:
            trained = trained._replace(contexts=state.trained.contexts)
        return state._replace(
            trained=trained, scores=scores, moments=moments, score_moments=score_moments
        ), losses  # fmt: skip

    def measure(self, state: MuirState, task: TaskName, images: Array, labels: Array) -> Answers:
        """What the task's model says of some inputs; values have no classes."""
        index, at = self._place[self.tasks.index(task)]
        leaves = self._leaves(state.trained, self._measured_blocks(state), index)
        outputs = self.nets[index].apply({path: leaf[at] for path, leaf in leaves.items()}, images)
        return Answers(jnp.zeros(labels.shape, jnp.int32), (outputs[:, 0] - labels) ** 2)

    def losses(self, state: MuirState, inputs: Sequence[Array], targets: Sequence[Array]) -> list[Float[Array, " t"]]:
        """Mean loss of every task of every part, at once. Traced.

        Args:
          state: of a replica.
          inputs: of each part, (tasks, examples, ...).
          targets: (tasks, examples).
        """
        blocks, found = self._measured_blocks(state), []
        for index, (given, wanted) in enumerate(zip(inputs, targets, strict=True)):
            leaves = self._leaves(state.trained, blocks, index)
            outputs = jax.vmap(self.nets[index].apply)(leaves, given)[..., 0]
            found.append(((outputs - wanted) ** 2).mean(axis=1))
        return found

    def decide(self, state: MuirState, place: Place) -> tuple[MuirState, Mapping[str, object] | None]:
        """Ends a generation and begins the next; after the last one the winners stay alone."""
        settings = self.experiment
        number = place.round // settings.generation_rounds - settings.burn_in
        if not self.has_search or number < 0 or number > settings.generations:
            return state, None
        before = np.asarray(state.candidates)[0]
        winners, mass = self.winners(state)
        record: dict[str, object] = {"generation": number, **self._described(before, winners, mass, state)}
        if number == settings.generations:  # also of the best version, which may be an earlier one
            rest = alignment.resting(winners, settings.challengers)
            return states.with_generation(state, rest, self._scores, self._adam), record
        return self._begun(state, winners, place.seed, number), record

    def winners(self, state: MuirState) -> tuple[alignment.Mapping, Float[np.ndarray, " locations"]]:
        """The modules that would win now, and their weights. On the host."""
        return alignment.tell(np.asarray(state.candidates), np.asarray(state.scores), np.asarray(state.picks))

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
        trained = jax.tree.map(np.asarray, state.trained)
        by_tasks: dict[tuple[int, ...], list[int]] = {}
        for module, tasks in alignment.users(self.winners(state)[0], self.plan.task_of).items():
            by_tasks.setdefault(tasks, []).append(module)
        found = [
            Component(
                "modules_" + "_".join(map(str, tasks)),
                {"modules": trained.modules[modules]},
                "init",
                tuple(self.tasks[task] for task in tasks),
            )
            for tasks, modules in sorted(by_tasks.items())
        ]
        for number, task in enumerate(self.tasks):
            index, at = self._place[number]
            arrays = {path: leaf[at] for path, leaf in trained.own[index].items()}
            if self.experiment.context:
                arrays["contexts"] = trained.contexts[self.plan.task_of == number]
            if arrays:
                found.append(Component("own", arrays, "init", (task,)))
        return tuple(found)

    def _begun(self, state: MuirState, incumbent: alignment.Mapping, seed: int, number: int) -> MuirState:
        """The state in which a generation of the search begins; modules that are tried anew are initialised anew."""
        generation = alignment.ask(np.asarray(incumbent), self.search, ("muir", seed, "search", number))
        state = states.with_generation(state, generation, self._scores, self._adam)
        if not generation.fresh:
            return state
        fresh = list(generation.fresh)
        modules = np.array(state.trained.modules)
        path = ("muir", seed, "search", number, "modules")
        values = states.normals(path, (len(fresh), *modules.shape[1:]))
        modules[fresh] = values * np.float32(states.module_deviation(self.experiment.context))
        moments = state.moments
        if self.experiment.reset_new_moments:
            moments = moments._replace(
                **{name: _without(getattr(moments, name), fresh) for name in ("mu", "nu")}
            )  # fmt: skip
        return state._replace(trained=state.trained._replace(modules=modules), moments=moments)

    def _described(
        self, before: alignment.Mapping, winners: alignment.Mapping, mass: np.ndarray, state: MuirState
    ) -> dict[str, object]:
        """A generation's end as JSON values: which locations changed, how clear it was, how modules are shared."""
        drawn = np.asarray(state.drawn)
        counts: dict[str, int] = {}
        for tasks in alignment.users(winners, self.plan.task_of).values():
            name = "+".join(map(str, tasks))
            counts[name] = counts.get(name, 0) + 1
        record: dict[str, object] = {
            "changes": [[int(at), int(before[at]), int(winners[at])] for at in np.flatnonzero(before != winners)],
            "mass": round(float(mass[drawn].mean()), 6) if drawn.any() else 1.0,
            "modules": counts,
        }
        if self.experiment.groups and self.plan.num_locations == len(self.tasks):
            record["score"] = alignment.score(winners, self.experiment.groups)
        return record

    def _leaves(self, trained: Trained, blocks: Array, index: int) -> dict[str, Array]:
        """All parameters of the models of a part, with an axis of its tasks."""
        return {**trained.own[index], **self.plan.unpack(blocks, index)}

    def _outputs(self, trained: Trained, blocks: Array, index: int, batch: Batch) -> Float[Array, "tasks batch"]:
        leaves = self._leaves(trained, blocks, index)
        return jax.vmap(self.nets[index].apply)(leaves, jnp.moveaxis(batch.images, 1, 0))[..., 0]

    def _blocks(self, trained: Trained, state: MuirState, scores: Any) -> Array:
        """All blocks, as they train."""
        if not self.has_search:
            return generate(trained.modules, trained.contexts, state.candidates)
        return generate(trained.modules, trained.contexts, state.candidates, scores, state.places)

    def _measured_blocks(self, state: MuirState) -> Array:
        """Blocks as the config says that they are measured."""
        trained = state.trained
        if self.experiment.measured == "merged" and self.has_search:
            return self._blocks(trained, state, state.scores)
        chosen: Int[Array, " locations"] = refined(state.candidates, state.scores, state.picks)
        return generate(trained.modules, trained.contexts, chosen[None])


def _targets(batch: Batch) -> Float[Array, "tasks batch"]:
    return jnp.moveaxis(batch.labels, 1, 0)


def _without(moments: Trained, modules: list[int]) -> Trained:
    """Moments of Adam with zeros for some modules."""
    own: Any = np.array(moments.modules)
    own[modules] = 0
    return moments._replace(modules=own)
