"""What is made of a finished routed training: components and who uses which, in its files, and test accuracies."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from munet.config.routing import RoutingExperiment
from munet.data.tasks import Task
from munet.joint.best import best_point
from munet.joint.learner import Facts
from munet.joint.publishing import put
from munet.joint.run import Finished
from munet.joint.workdir import Workdir
from munet.methods.gumbel_matrix import inference
from munet.methods.gumbel_matrix.network import Network
from munet.methods.gumbel_matrix.result import RoutedReplica, RoutedTask, RoutingResult
from munet.methods.gumbel_matrix.sources import images_of
from munet.training.batches.stream import Resize
from munet.training.measure.evaluation import Measurement
from munet.types import ComponentId, ComponentName, ComponentRecord, TaskName


def publish(parents: Mapping[ComponentName, ComponentId], place: Workdir, finished: Finished) -> RoutingResult:
    """Every component that is used, once, in the store's own files; then what uses which."""
    job, measured = finished.job, finished.measured
    components, facts_of = finished.components, finished.facts
    if job.keeps_best and finished.best_states:  # of tasks of values, whose last version was described
        measured = finished.best_measured
        components = tuple(job.learner.components(state) for state in finished.best_states)
        facts_of = tuple(job.learner.facts(state) for state in finished.best_states)
    published: dict[ComponentId, ComponentRecord] = {}
    replicas = []
    for index, seed in enumerate(job.seeds):
        points = [point for point in finished.points if point.replica == index]
        point = best_point(points, job.learner.groups[0], job.keeps_best) if job.keeps_best else points[-1]
        by_task: dict[TaskName, dict[str, ComponentId]] = {task.info.name: {} for task in job.tasks}
        for component in components[index]:
            identity, record = put(place, component, list(by_task), parent=parents.get(component.name))
            published[identity] = record
            for task in component.tasks:
                by_task[task][component.name] = identity
        tasks = {}
        for name, ids in by_task.items():
            facts = facts_of[index][name]
            rows, probable = facts.extras["rows"], facts.extras["probabilities"]
            tasks[name] = RoutedTask(
                components=ids,
                rows=tuple(rows),  # type: ignore[arg-type]  # as the learner has them
                probabilities=tuple(map(tuple, probable)),  # type: ignore[arg-type, call-overload]
                validation_loss=point.validation_losses[name],
                validation=point.validation.get(name),
                test=finished.test[index][name].quality if finished.test else None,
                test_loss=measured[index][name].loss if measured else None,
                params=facts.params,
                accounted_params=facts.accounted_params,
                flops=facts.flops,
            )
        replicas.append(RoutedReplica(seed, tasks))
    result = RoutingResult(
        allocation=str(job.beginning.experiment["allocation"]),
        replicas=tuple(replicas),
        published=published,
        num_rounds=job.length.total,
        image_steps=job.length.total * job.images_per_round,
        seconds=finished.seconds,
    )
    place.finish(result, {})
    return result


def measure_published(
    experiment: RoutingExperiment,
    network: Network,
    task: Task,
    components: Mapping[ComponentName, Mapping[str, np.ndarray]],
    facts: Facts,
) -> Measurement:
    """A task's published model on the test split, exactly as `munet verify --tests` measures it again."""
    rows = facts.extras["rows"]
    model = inference.model_of(network, rows, components, experiment.combination)  # type: ignore[arg-type]  # strings
    resize = Resize(experiment.image_size, antialias=False)
    return inference.measure(model, images_of(experiment).prepared, task.split("test"), resize)
