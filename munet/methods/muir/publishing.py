"""The end of a MUiR training: one safetensors file a replica, and the record of all."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import numpy as np
from safetensors.numpy import save

from munet.joint.best import best_of_task, best_point
from munet.joint.records import CurvePoint
from munet.joint.run import Finished
from munet.joint.workdir import Workdir
from munet.methods.muir import folding
from munet.methods.muir.adapters import num_private, with_adapters
from munet.methods.muir.generic import generic
from munet.methods.muir.learner import Muir
from munet.methods.muir.result import GeneratedLeaf, MuirReplica, MuirResult, MuirTaskResult
from munet.methods.muir.state import MuirState


def arrays_of(learner: Muir, state: MuirState) -> dict[str, np.ndarray]:
    """Everything that makes a replica's models, folded: modules and contexts, blocks that are cheaper, what is own.

    Names are those of `folding.folded_arrays`, and `own/TASK/PATH` of what is not generated, batch norms' statistics
    included.
    """
    used, places = np.unique(learner.winners(state)[0], return_inverse=True)
    trained: Any = jax.tree.map(np.asarray, state.trained)
    contexts = trained.contexts if learner.experiment.context else None
    adapters = trained.adapters if learner.experiment.adapters else None
    found = folding.folded_arrays(trained.modules[used], contexts, places.astype(np.int32).reshape(-1), adapters)
    for part, own in zip(learner.plan.parts, trained.own, strict=True):
        for at, number in enumerate(part.tasks):
            found |= {
                f"own/{learner.tasks[number]}/{path}": np.ascontiguousarray(leaf[at]) for path, leaf in own.items()
            }
    return found | {f"own/{name}": array for name, array in _statistics(learner, state).items()}


def plain_weights(learner: Muir, state: MuirState) -> dict[str, np.ndarray]:
    """The models without modules, as any framework reads them: every parameter by task and path."""
    trained: Any = jax.tree.map(np.asarray, state.trained)
    blocks = np.einsum("la,lamn->lmn", trained.contexts, trained.modules[learner.winners(state)[0]])
    if learner.experiment.adapters:
        blocks = with_adapters(blocks, trained.adapters)
    found = {}
    for index, part in enumerate(learner.plan.parts):
        leaves = {**trained.own[index], **learner.plan.unpack(jax.numpy.asarray(blocks), index)}
        for at, number in enumerate(part.tasks):
            for path, leaf in leaves.items():
                found[f"{learner.tasks[number]}/{path}"] = np.ascontiguousarray(leaf[at])
    return found | _statistics(learner, state)


def _statistics(learner: Muir, state: MuirState) -> dict[str, np.ndarray]:
    """What batch norms have seen, by task and path. Models that have any are alone in their part."""
    return {
        f"{learner.tasks[part.tasks[0]]}/{path}": np.asarray(leaf)
        for part, net, carry in zip(learner.plan.parts, learner.nets, state.carries, strict=True)
        if net.statistics
        for path, leaf in carry.items()
    }


def generated_leaves(learner: Muir) -> tuple[GeneratedLeaf, ...]:
    """What is cut into blocks, in the order of the locations."""
    return tuple(
        GeneratedLeaf(learner.tasks[number], one.path, one.count, one.rows, one.columns)
        for part in learner.plan.parts
        for number in part.tasks
        for one in part.matrices
    )


def publish(learner: Muir, place: Workdir, finished: Finished) -> MuirResult:
    """Writes the files, then the record."""
    files, replicas = {}, []
    for index, seed in enumerate(finished.job.seeds):
        name = f"replica_{seed}.safetensors"
        weights = f"replica_{seed}_weights.safetensors"
        files[name] = save(arrays_of(learner, finished.states[index]))
        files[weights] = save(plain_weights(learner, finished.states[index]))
        replicas.append(dataclasses.replace(_replica(learner, finished, index, name), weights=weights))
    result = MuirResult(
        tuple(replicas),
        finished.job.length.total,
        finished.job.length.total * finished.job.images_per_round,
        finished.seconds,
        generated_leaves(learner),
        learner.experiment.measured,
    )
    place.finish(result, files)
    return result


def _replica(learner: Muir, finished: Finished, index: int, file: str) -> MuirReplica:
    points: list[CurvePoint] = [point for point in finished.points if point.replica == index]
    length, last = finished.job.length, points[-1]
    searched = [point for point in points if point.step <= length.num_rounds]
    best = best_point(searched, learner.tasks, "loss") if finished.job.keeps_best else last
    state = finished.best_states[index] if finished.job.keeps_best else finished.states[index]
    tasks = {}
    for name in learner.tasks:
        facts, own = finished.facts[index][name], best_of_task(points, name, "loss")
        tasks[name] = MuirTaskResult(
            validation_loss=last.validation_losses[name],
            test_loss=finished.measured[index][name].loss,
            best_validation_loss=best.validation_losses[name],
            best_test_loss=finished.best_measured[index][name].loss,
            own_best_round=own.step,
            params=facts.params,
            accounted_params=facts.accounted_params,
            flops=facts.flops,
            extras=facts.extras,
            metric=learner.net_of(name).metric,
            test=finished.measured[index][name].quality,
            best_test=finished.best_measured[index][name].quality,
            own_best_validation_loss=own.validation_losses[name],
            own_best_validation=own.validation.get(name),
        )
    mapping, best_mapping = (tuple(map(int, learner.winners(one)[0])) for one in (finished.states[index], state))
    experiment = learner.experiment
    size = folding.sizes(mapping, experiment.context, learner.plan.block, private=num_private(experiment))
    seed = finished.job.seeds[index]
    trained: Any = jax.tree.map(np.asarray, finished.states[index].trained)
    contexts = trained.contexts if experiment.context else None
    contrasts = generic(trained.modules, contexts, np.array(mapping)) if learner.has_search else None
    return MuirReplica(seed, tasks, mapping, best.step, best_mapping, file, sizes=size, generic=contrasts)
