"""What a routed training learns from: images or drawn samples, opened, and the root's layers where there is a root."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from munet import roots
from munet.config.routing import RoutingConfig, as_train
from munet.config.train import as_run
from munet.errors import CheckpointError, ConfigError, UserError
from munet.joint.preparation import Opened, Say, open_devices, open_inputs
from munet.joint.rounds import Stream
from munet.methods.gumbel_matrix import synthetic
from munet.methods.gumbel_matrix.learner import PURPOSES, Source
from munet.methods.gumbel_matrix.sources import Drawn, images_of, path_of, stream_of_samples, task_of
from munet.run.setup import together
from munet.run.start import RootComponents
from munet.vit.architecture import is_adapter


@dataclass(frozen=True)
class Data:
    """What is learnt from, whatever it is."""

    opened: Opened
    streams: tuple[Stream, ...]
    source: Source
    sines: synthetic.Sines | None = None


def open_data_and_root(config: RoutingConfig, say: Say) -> tuple[Data, RootComponents | None]:
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


def _drawn(config: RoutingConfig, say: Say) -> Data:
    experiment = config.experiment
    sines = synthetic.made(experiment.made, experiment.seed_of_data, experiment.rho)
    tasks = tuple(task_of(name, experiment.made, sines) for name in sines.names)
    streams = tuple(stream_of_samples(name, experiment.batch_size) for name in sines.names)
    return Data(Opened(tasks, open_devices(config.runtime, say), math.inf), streams, Drawn(sines), sines)


def _opened(config: RoutingConfig, say: Say) -> Data:
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
    return Data(opened, tuple(streams), images_of(experiment))
