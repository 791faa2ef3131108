"""Joint fine-tuning made ready for the trainer: a stream a task, the root; at the end components and their records."""

from __future__ import annotations

import functools
from collections.abc import Mapping

import numpy as np

from munet import roots
from munet.config import Experiment, to_json
from munet.config.train import METHODS, TrainConfig, as_run
from munet.data import loader
from munet.data.tasks import Task
from munet.errors import CheckpointError, ConfigError, UserError
from munet.evolution.search_space import default_hyperparameters
from munet.joint.best import best_of_task, best_point
from munet.joint.job import Free, Job, Words
from munet.joint.learner import Facts
from munet.joint.length import Length
from munet.joint.preparation import Say, check_shared, open_inputs
from munet.joint.program import Spread
from munet.joint.publishing import put
from munet.joint.records import JointResult, ReplicaResult, TaskResult
from munet.joint.rounds import Stream
from munet.joint.run import Finished
from munet.joint.workdir import TRAIN, Workdir
from munet.methods.fine_tuning.learner import FineTuning
from munet.run.setup import together
from munet.run.start import RootComponents
from munet.text import count
from munet.training.batches.stream import Resize
from munet.training.measure import evaluation
from munet.training.measure.evaluation import Measurement
from munet.training.program import precision
from munet.training.work import TaskWork
from munet.types import ComponentId, ComponentName, TaskName
from munet.vit.activations import kept_bytes
from munet.vit.architecture import get_variant
from munet.vit.init import FlatArrays


def prepare(config: TrainConfig, say: Say = lambda _: None) -> Job:
    """Opens data, root and devices; nothing is written.

    Raises:
      DataError, CheckpointError: any of them cannot be used, data and root in one message.
      ConfigError, UserError: settings that do not fit the data, the root or the devices.
    """
    experiment, runtime = config.experiment, config.runtime
    size, run, problems, root = experiment.defaults.image_size, as_run(experiment), [], None
    try:
        opened = open_inputs(config, say, stream=True)
    except UserError as error:
        problems.append(error)
    try:
        # Hundreds of megabytes are not fetched for a training that cannot begin.
        if not (problems and roots.needs_download(run.root, runtime.cache_dir)):
            root = _root(run, runtime.cache_dir)
    except UserError as error:
        problems.append(error)
    if root is None or problems:
        raise together(problems)
    tasks, infos = opened.tasks, [task.info for task in opened.tasks]
    for task in tasks:
        _ = task.image_shape  # decoded, and known to whoever predicts
    _check_heads(experiment.max_head, tasks)
    for task in tasks:
        for note in task.notes:
            say(f"{task.uri}: {note}")
    for note in root.notes:
        say(f"root {experiment.root}: {note}")
    streams = tuple(_stream(task, config) for task in tasks)
    devices = Spread.of(experiment.replicas, len(opened.layout.devices)).sharing
    for stream in streams:
        check_shared(stream.batch_size, experiment.batch_size, len(stream.labels), devices)
    epoch = max(-(-len(stream.labels) // stream.batch_size) for stream in streams)
    rounds = experiment.num_rounds or max(round(experiment.num_epochs * epoch), 1)
    validate_every = experiment.validate_every or epoch
    learner = FineTuning(
        experiment,
        infos,
        root.arrays,
        num_rounds=rounds,
        restart_every=validate_every,
        dtype=precision.compute_dtype(run),
    )
    seeds = tuple(range(experiment.seed, experiment.seed + experiment.replicas))
    variant, images = get_variant(experiment.variant), sum(stream.batch_size for stream in streams)
    title = METHODS[experiment.method]
    return Job(
        kind=TRAIN,
        learner=learner,
        streams=streams,
        tasks=tasks,
        validation={task.info.name: task.split("validation") for task in tasks},
        tested=lambda task: task.split("test"),
        resize={info.name: Resize(size, experiment.antialias) for info in infos},
        seeds=seeds,
        length=Length(rounds, validate_every, block=runtime.block_rounds),
        keeps_best="" if experiment.keep == "last" else experiment.keep,
        free=Free(runtime.checkpoint_minutes, runtime.max_hours, opened.max_resident, runtime.decoding_threads),
        layout=opened.layout,
        beginning=opened.beginning(to_json(experiment), root.checkpoint),
        words=Words(
            title=title,
            picture=f"{title} of {count(len(infos), 'task')}",
            headline=f"{count(len(infos), 'task')}, {sum(len(one.labels) for one in streams):,} training images; "
            f"{count(rounds, 'round')} of {images:,}"
            + (f", {count(len(seeds), 'replica')}" if len(seeds) > 1 else "")
            + f" on {count(len(opened.layout.devices), f'{opened.layout.devices[0].platform} device')}",
            summary=(
                *(
                    f"  {info.name}: {info.num_classes:,} classes, {info.num_train:,} training images, batches of "
                    f"{stream.batch_size:,}"
                    for info, stream in zip(infos, streams, strict=True)
                ),
                f"{title}: {count(rounds, 'round')} of {images:,} images, {rounds * images * len(seeds):,} in all, "
                f"measured every {validate_every:,}; {count(len(seeds), 'replica')}",
            ),
            advice=f"Lower experiment.defaults.learning_rate (now {experiment.defaults.learning_rate:g})",
        ),
        publish=functools.partial(_publish, root),
        measure_test=functools.partial(_measured, run),
        activation_bytes=functools.partial(kept_bytes, variant, size, experiment.num_blocks, images),
    )


def _root(run: Experiment, cache_dir: str) -> RootComponents:
    """The root's trunk, with the adapters that it has.

    Raises:
      CheckpointError: it cannot be had or used, or its adapters are of another width.
    """
    found, given = roots.find(run.root, cache_dir), run.defaults.adapter_dim
    if found.facts.adapters and (width := found.facts.adapter_dim) != given:
        raise CheckpointError(
            f"The root {found.reference} has residual adapters of width {width}, the settings say "
            f"experiment.defaults.adapter_dim = {given}. Set --config.defaults.adapter_dim={width}."
        )
    return RootComponents(run, cache_dir)


def _stream(task: Task, config: TrainConfig) -> Stream:
    train, experiment = task.split("train"), config.experiment
    name, batch_size = task.info.name, loader.effective_batch_size(len(train), as_run(experiment))

    def path(seed: int) -> tuple[str | int, ...]:
        return ("joint", seed, name)

    labels = np.asarray(train.labels, np.int32)
    return Stream(name, train.images, labels, batch_size, path, class_balanced=experiment.class_balanced)


def _measured(
    run: Experiment,
    task: Task,
    components: Mapping[ComponentName, FlatArrays],
    facts: Facts,  # noqa: ARG001  # components say all
) -> Measurement:
    """A published model on the test split, exactly as `munet verify --tests` measures it again."""
    work = TaskWork.of(run, task.info)
    return evaluation.measure(work, components, default_hyperparameters(run), task.split("test"))


def _check_heads(most: int, tasks: tuple[Task, ...]) -> None:
    """Refuses heads that are wider than allowed: more likely a mistake in labels than so many classes."""
    if wide := [task.info for task in tasks if task.info.num_classes > most]:
        named = ", ".join(f"{info.name} ({info.num_classes:,} classes)" for info in wide)
        raise ConfigError([f"experiment.max_head = {most:,}: {named} need wider heads. Raise it, or leave them out."])


def _publish(root: RootComponents, place: Workdir, finished: Finished) -> JointResult:
    """Every component once, in the store's own files; then what uses which."""
    root.put(place.components)
    job, published = finished.job, dict(root.published)
    replicas = []
    for index, seed in enumerate(job.seeds):
        points = [point for point in finished.points if point.replica == index]
        counted = {
            group: best_point(points, group, job.keeps_best) if job.keeps_best else points[-1]
            for group in job.learner.groups
        }
        by_task: dict[TaskName, dict[str, ComponentId]] = {task.info.name: {} for task in job.tasks}
        for component in finished.components[index]:
            group = next(group for group in job.learner.groups if component.tasks[0] in group)
            cycles = max(counted[group].step // job.length.validate_every, 1)
            if component.origin == "root":
                identity = root.ids[component.name]
            else:
                parent = root.ids[component.name] if component.origin == "clone" else None
                trained = dict.fromkeys(component.tasks, cycles)
                identity, record = put(place, component, list(by_task), parent=parent, cycles=trained)
                published[identity] = record
            for task in component.tasks:
                by_task[task][component.name] = identity
        tasks = {}
        for group, point in counted.items():
            for task in group:
                best = best_of_task(points, task, job.keeps_best or "quality")
                facts, test = finished.facts[index][task], finished.test[index][task]
                tasks[task] = TaskResult(
                    components=by_task[task],
                    validation=point.validation[task],
                    test=test.quality,
                    test_correct_per_class=test.correct_per_class,
                    test_counted_per_class=test.counted_per_class,
                    best_step=best.step,
                    best_validation=best.validation[task],
                    params=facts.params,
                    accounted_params=facts.accounted_params,
                    flops=facts.flops,
                    extras=facts.extras,
                )
        replicas.append(ReplicaResult(seed, {name: tasks[name] for name in by_task}))
    result = JointResult(
        replicas=tuple(replicas),
        root=dict(root.ids),
        published=published,
        num_rounds=job.length.total,
        image_steps=job.length.total * job.images_per_round,
        seconds=finished.seconds,
    )
    place.finish(result, {})
    return result
