"""A routed training made ready for the trainer: learner, network, allocation, rounds, words.

What it learns from is opened in `opening.py`; what is made of its end is in `publishing.py`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from munet.config import to_json
from munet.config.routing import ALLOCATIONS, RoutingConfig, RoutingExperiment, ignored_settings
from munet.errors import ConfigError
from munet.joint.job import Free, Job, Words
from munet.joint.length import Length
from munet.joint.memory import image_bytes, replica_bytes
from munet.joint.preparation import Say, check_shared
from munet.joint.program import Spread
from munet.methods.gumbel_matrix import memory, networks, routing
from munet.methods.gumbel_matrix.learner import Answering, Routing
from munet.methods.gumbel_matrix.network import Network
from munet.methods.gumbel_matrix.opening import Data, open_data_and_root
from munet.methods.gumbel_matrix.publishing import measure_published, publish
from munet.methods.gumbel_matrix.result import ROUTING
from munet.methods.gumbel_matrix.root_layers import parents
from munet.methods.gumbel_matrix.sources import HeldOut
from munet.text import count
from munet.training.batches.stream import Resize

_LOOKS = 20  # at how probable connections are, in a training, about


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
    data, root = open_data_and_root(config, say)
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
        publish=functools.partial(publish, {} if root is None else parents(network.chains(), root.ids)),
        measure_all=None if data.sines is None else HeldOut(learner, data.sines, experiment.seed_of_data),
        # Other networks are small, and of many tasks and seeds: a program for each of them would take longer.
        measure_test=None if root is None else functools.partial(measure_published, experiment, learner.network),
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


def _fitted(
    learner_of: Callable[[Network], Routing], network: Network, data: Data, config: RoutingConfig, say: Say
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


def _answering(data: Data) -> list[Answering]:
    most, found = max(stream.batch_size for stream in data.streams), []
    for task, stream in zip(data.opened.tasks, data.streams, strict=True):
        weights = (np.arange(most) < stream.batch_size).astype(np.float32)
        found.append(Answering(task.info.name, 1 if data.sines else task.info.num_classes, weights))
    return found


def _p_words(experiment: RoutingExperiment) -> str:
    low, high = min(experiment.p_init), max(experiment.p_init)
    return f"{low:g}" if low == high else f"{low:g} to {high:g}"
