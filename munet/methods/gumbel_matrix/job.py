"""A routed training made ready for the trainer: data, network, allocation; at the end components and their rows."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from munet import roots
from munet.config import to_json
from munet.config.routing import ALLOCATIONS, RoutingConfig, RoutingExperiment, as_train, ignored_settings
from munet.config.train import as_run
from munet.data.tasks import Task
from munet.errors import CheckpointError, ConfigError, UserError
from munet.joint.best import best_point
from munet.joint.job import Free, Job, Words
from munet.joint.learner import Facts
from munet.joint.length import Length
from munet.joint.memory import image_bytes, replica_bytes
from munet.joint.preparation import Opened, Say, check_shared, open_devices, open_inputs
from munet.joint.program import Spread
from munet.joint.publishing import put
from munet.joint.rounds import Stream
from munet.joint.run import Finished
from munet.joint.workdir import Workdir
from munet.methods.gumbel_matrix import inference, memory, networks, routing, synthetic
from munet.methods.gumbel_matrix.learner import PURPOSES, Answering, Routing, Source
from munet.methods.gumbel_matrix.network import Network
from munet.methods.gumbel_matrix.result import ROUTING, RoutedReplica, RoutedTask, RoutingResult
from munet.methods.gumbel_matrix.root_layers import parents
from munet.methods.gumbel_matrix.sources import Drawn, HeldOut, images_of, path_of, stream_of_samples, task_of
from munet.run.setup import together
from munet.run.start import RootComponents
from munet.text import count
from munet.training.batches.stream import Resize
from munet.training.measure.evaluation import Measurement
from munet.types import ComponentId, ComponentName, ComponentRecord, TaskName
from munet.vit.architecture import is_adapter

_LOOKS = 20  # at how probable connections are, in a training, about


@dataclass(frozen=True)
class _Data:
    """What is learnt from, whatever it is."""

    opened: Opened
    streams: tuple[Stream, ...]
    source: Source
    sines: synthetic.Sines | None = None


def prepare(config: RoutingConfig, say: Say = lambda _: None) -> Job:
    """Opens data and devices; nothing is written.

    Raises:
      DataError: data are missing or cannot be used; of all tasks in one message.
      ConfigError, UserError: settings that do not fit the data, the network or the devices.
    """
    experiment, runtime = config.experiment, config.runtime
    network = networks.network(experiment)
    if problems := network.problems():
        raise ConfigError([f"experiment.network = {experiment.network!r}: {problem}" for problem in problems])
    data, root = _data_and_root(config, say)
    tasks, layout, streams = data.opened.tasks, data.opened.layout, data.streams
    devices = Spread.of(experiment.replicas, len(layout.devices)).sharing
    for stream in streams:
        check_shared(stream.batch_size, experiment.batch_size, len(stream.labels), devices)
    epoch = max(-(-len(stream.labels) // stream.batch_size) for stream in streams)
    rounds = experiment.num_rounds or max(round(experiment.num_epochs * epoch), 1)
    validate_every = experiment.validate_every or -(-rounds // 10)

    def learner_of(network: Network) -> Routing:
        return Routing(
            experiment,
            network,
            _answering(data),
            data.source,
            fixed_rows(experiment, network, len(tasks)),
            is_value=data.sines is not None,
            num_rounds=rounds,
            root=None if root is None else root.arrays,
        )

    learner = _fitted(learner_of, network, data, config, say)
    if experiment.allocation == "learnt" and not experiment.router_rate:
        say(f"router_learning_rate = 0: connections stay as probable as p_init says ({_p_words(experiment)}).")
    if ignored := ignored_settings(experiment):
        say(f"Without effect here: {', '.join(ignored)}.")
    seeds = tuple(range(experiment.seed, experiment.seed + experiment.replicas))
    title, images = ALLOCATIONS[experiment.allocation], sum(stream.batch_size for stream in streams)
    sizes = "nothing is routed"
    if network.routed:
        sizes = f"{count(len(network.routed), 'routed layer')} of {', '.join(map(str, network.widths))} components"
    platform = count(len(layout.devices), f"{layout.devices[0].platform} device")
    is_drawn = data.sines is not None
    return Job(
        kind=ROUTING,
        learner=learner,
        streams=streams,
        tasks=tasks,
        validation={} if is_drawn else {task.info.name: task.split("validation") for task in tasks},
        tested=lambda task: task.split("test"),
        resize={task.info.name: Resize(experiment.image_size, antialias=False) for task in tasks},
        seeds=seeds,
        length=Length(
            rounds,
            validate_every,
            block=runtime.block_rounds,
            decide_every=_kept_every(rounds, validate_every),
            asks_at_end=True,  # where connections ended
        ),
        keeps_best="" if experiment.keep == "last" else experiment.keep,
        free=Free(runtime.checkpoint_minutes, runtime.max_hours, data.opened.max_resident, runtime.decoding_threads),
        layout=layout,
        beginning=data.opened.beginning(to_json(experiment), {} if root is None else root.checkpoint),
        words=Words(
            title=title,
            picture=f"{title} of {count(len(tasks), 'task')}",
            headline=f"{count(len(tasks), 'task')}, {sizes}; {count(rounds, 'round')} of {len(tasks)} updates"
            + (f", {count(len(seeds), 'replica')}" if len(seeds) > 1 else "")
            + f" on {platform}",
            summary=(
                f"{title}: {count(len(tasks), 'task')}, {sizes}",
                f"{count(rounds, 'round')} of {images:,} samples, {rounds * images * len(seeds):,} in all, measured "
                f"every {validate_every:,}; {count(len(seeds), 'replica')}",
            ),
            advice=f"Lower experiment.learning_rate (now {experiment.learning_rate:g})",
        ),
        publish=functools.partial(_publish, {} if root is None else parents(network.chains(), root.ids)),
        measure_all=None if data.sines is None else HeldOut(learner, data.sines, experiment.seed_of_data),
        # Other networks are small, and of many tasks and seeds: a program for each of them would take longer.
        measure_test=None if root is None else functools.partial(_measured, experiment, learner.network),
        activation_bytes=functools.partial(memory.activation_bytes, learner),
    )


def _kept_every(rounds: int, validate_every: int) -> int:
    """Rounds between two looks at the probabilities: about `_LOOKS` of them, and one wherever validation is measured.

    The experiment alone decides it, so that a training has the same looks however it is run.
    """
    wanted = max(rounds / _LOOKS, 1)
    found = [every for every in range(1, validate_every + 1) if validate_every % every == 0]
    return min(found, key=lambda every: max(every / wanted, wanted / every))


def fixed_rows(experiment: RoutingExperiment, network: Network, num_tasks: int) -> tuple[np.ndarray, ...] | None:
    """The pattern of every routed layer; None where connections are learnt."""
    if experiment.allocation == "learnt":
        return None
    if experiment.allocation in routing.PATTERNS:
        return tuple(routing.pattern(experiment.allocation, num_tasks, width) for width in network.widths)
    rows = [row.split("|") for row in experiment.rows]
    return tuple(
        np.array([[float(used) for used in layers[number]] for layers in rows], np.float32)
        for number in range(len(network.widths))
    )


def _data_and_root(config: RoutingConfig, say: Say) -> tuple[_Data, RootComponents | None]:
    """What is learnt from, and a root where there is one; what is wrong with either in one message."""
    experiment, problems, data, root = config.experiment, [], None, None
    try:
        data = _drawn(config, say) if experiment.made else _opened(config, say)
    except UserError as error:
        problems.append(error)
    if experiment.network == "vit":
        try:
            if not (problems and roots.needs_download(experiment.root, config.runtime.cache_dir)):
                root = _root(config)
                for note in root.notes:
                    say(f"root {experiment.root}: {note}")
        except UserError as error:
            problems.append(error)
    if data is None or problems:
        raise together(problems)
    return data, root


def _root(config: RoutingConfig) -> RootComponents:
    """The root's layers.

    Raises:
      CheckpointError: it cannot be had or used.
    """
    experiment = config.experiment
    run = as_run(as_train(experiment))
    found = RootComponents(run, config.runtime.cache_dir)
    if any(is_adapter(name) for name in found.ids):
        raise CheckpointError(f"The root {experiment.root} has residual adapters, which network='vit' does not know.")
    return found


def _drawn(config: RoutingConfig, say: Say) -> _Data:
    experiment = config.experiment
    sines = synthetic.made(experiment.made, experiment.seed_of_data, experiment.rho)
    tasks = tuple(task_of(name, experiment.made, sines) for name in sines.names)
    streams = tuple(stream_of_samples(name, experiment.batch_size) for name in sines.names)
    return _Data(Opened(tasks, open_devices(config.runtime, say), math.inf), streams, Drawn(sines), sines)


def _opened(config: RoutingConfig, say: Say) -> _Data:
    experiment = config.experiment
    opened = open_inputs(config, say, stream=True)
    streams = []
    for task in opened.tasks:
        for note in task.notes:
            say(f"{task.uri}: {note}")
        channels = task.image_shape[2]  # decoded, and known to whoever predicts
        if experiment.is_grey and channels != 1:
            raise ConfigError([f"experiment.is_grey: the images of {task.uri} are coloured; set it to false."])
        train, name = task.split("train"), task.info.name
        batch_size = min(experiment.batch_size, len(train))
        labels = np.asarray(train.labels, np.int32)
        streams.append(Stream(name, train.images, labels, batch_size, path_of(name), PURPOSES))
    return _Data(opened, tuple(streams), images_of(experiment))


def _measured(
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


def _fitted(
    learner_of: Callable[[Network], Routing], network: Network, data: _Data, config: RoutingConfig, say: Say
) -> Routing:
    """The learner of the network, whose components are computed in the memory that there is."""
    experiment, layout = config.experiment, data.opened.layout
    spread, learner = Spread.of(experiment.replicas, len(layout.devices)), learner_of(network)
    if layout.memory is None:
        return learner
    budget = layout.memory - image_bytes(data.streams, data.opened.max_resident)

    def needed(learner: Routing) -> float:
        kept = memory.activation_bytes(learner) / spread.sharing
        return spread.together * replica_bytes(memory.state_bytes(learner), kept, keeps_best=experiment.keep != "last")

    if (most := needed(learner)) <= budget:
        return learner
    say(
        f"an update would take about {most / 1e9:.2g} GB and there are {max(budget, 0) / 1e9:.2g}: "
        "components are computed one after the other, and again in the backward pass"
    )
    return learner_of(replace(network, evaluation="again"))


def _answering(data: _Data) -> list[Answering]:
    most, found = max(stream.batch_size for stream in data.streams), []
    for task, stream in zip(data.opened.tasks, data.streams, strict=True):
        weights = (np.arange(most) < stream.batch_size).astype(np.float32)
        found.append(Answering(task.info.name, 1 if data.sines else task.info.num_classes, weights))
    return found


def _p_words(experiment: RoutingExperiment) -> str:
    low, high = min(experiment.p_init), max(experiment.p_init)
    return f"{low:g}" if low == high else f"{low:g} to {high:g}"


def _publish(parents: Mapping[ComponentName, ComponentId], place: Workdir, finished: Finished) -> RoutingResult:
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
