"""A MUiR training made ready for the trainer."""

from __future__ import annotations

import functools
from collections.abc import Iterator

from munet import roots
from munet.config import Experiment, to_json
from munet.config.muir import SHARINGS, MuirConfig, MuirExperiment
from munet.config.train import TrainRuntime
from munet.errors import UserError
from munet.joint.job import Free, Job, Words
from munet.joint.length import Length
from munet.joint.preparation import Opened, Say, open_inputs
from munet.joint.program import Spread
from munet.methods.muir import memory, publishing, vit_net
from munet.methods.muir.checks import check, overhang
from munet.methods.muir.choice import nets_of
from munet.methods.muir.learner import Muir
from munet.methods.muir.nets import Net
from munet.methods.muir.result import MUIR
from munet.methods.muir.values import HeldOut, stream_of, together
from munet.run import setup
from munet.run.start import RootComponents
from munet.text import count
from munet.vit.architecture import get_variant


def prepare(config: MuirConfig, say: Say = lambda _: None) -> Job:
    """Opens data and devices; nothing is written.

    Raises:
      DataError, CheckpointError: data or root are missing or cannot be used; all in one message.
      ConfigError, UserError: settings that do not fit the data or the devices.
    """
    experiment, runtime = config.experiment, config.runtime
    opened, root = _opened(config, say)
    tasks, infos = opened.tasks, [task.info for task in opened.tasks]
    for note in root.notes if root else ():
        say(f"root {experiment.root}: {note}")
    vit = None if root is None else functools.partial(_vit, experiment, root)
    nets = nets_of(tasks, experiment, vit)
    sizes = experiment.batch_sizes or (experiment.batch_size,) * len(tasks)
    numbers = together(tasks, nets, sizes)
    streams = tuple(
        stream_of(name, [tasks[number] for number in own], nets[own[0]], sizes[own[0]]) for name, own in numbers.items()
    )
    for note in (*_unsearched(experiment), *_unstreamed(runtime)):
        say(note)
    learner = Muir(
        experiment,
        [info.name for info in infos],
        numbers,
        {name: nets[own[0]] for name, own in numbers.items()},
        {stream.name: stream.batch_size for stream in streams},
    )
    if note := overhang(learner):
        say(note)
    sharing = Spread.of(experiment.replicas, len(opened.layout.devices)).sharing
    check(learner, streams, sharing, tasks, opened.layout.memory)
    searched = (experiment.burn_in + experiment.generations) * experiment.generation_rounds
    length = Length(
        searched,
        experiment.generation_rounds,
        experiment.final_generations * experiment.generation_rounds,
        experiment.generation_rounds if learner.has_search or learner.is_recurrent else 0,
        block=runtime.block_rounds,
        asks_at_end=learner.has_search and not experiment.final_generations,  # or nobody would know the last changes
    )
    seeds = tuple(range(experiment.seed, experiment.seed + experiment.replicas))
    title, plan = SHARINGS[experiment.sharing], learner.plan
    shape = (
        f"{plan.num_locations:,} blocks of {plan.block[0]} x {plan.block[1]}, contexts of {experiment.context}, "
        f"{count(learner.search.num_modules, 'module')}"
    )
    return Job(
        kind=MUIR,
        learner=learner,
        streams=streams,
        tasks=tasks,
        validation={},
        tested=lambda task: task.split("test"),
        resize={},
        seeds=seeds,
        length=length,
        keeps_best="" if experiment.keep == "last" else experiment.keep,
        free=Free(runtime.checkpoint_minutes, runtime.max_hours),
        layout=opened.layout,
        beginning=opened.beginning(to_json(experiment), root.checkpoint if root else {}),
        words=Words(
            title=title,
            picture=f"{title}, {count(len(infos), 'task')}",
            headline=f"{count(len(infos), 'task')}: {shape}; {count(length.total, 'round')}"
            + (f", {count(len(seeds), 'replica')}" if len(seeds) > 1 else ""),
            summary=(
                f"{title}: {count(len(infos), 'task')}, {shape}",
                f"{count(length.total, 'round')} in generations of {length.validate_every:,}, "
                f"{experiment.final_generations:,} of them final; {count(len(seeds), 'replica')}",
            ),
            advice=f"Lower experiment.learning_rate (now {experiment.learning_rate:g})",
        ),
        publish=functools.partial(publishing.publish, learner),
        measure_all=HeldOut(learner, tasks),
        activation_bytes=functools.partial(memory.activation_bytes, learner, streams),
    )


def _unsearched(experiment: MuirExperiment) -> Iterator[str]:
    """That settings of the search are of no use, in words."""
    if experiment.sharing not in ("search", "random"):
        if experiment.challengers:
            yield (
                f"experiment.challengers = {experiment.challengers} does nothing: experiment.sharing = "
                f'"{experiment.sharing}" searches nothing.'
            )
    elif not (experiment.challengers and experiment.share):
        name = "challengers" if not experiment.challengers else "share"
        yield f"experiment.{name} = 0: nothing is searched; every block keeps the module that it begins with."


def _unstreamed(runtime: TrainRuntime) -> Iterator[str]:
    """That settings of streamed sets are of no use, in words."""
    for name in ("resident_share", "decoding_threads"):
        if (value := getattr(runtime, name)) != getattr(TrainRuntime(), name):
            yield f"runtime.{name} = {value:g} does nothing: MUiR keeps all training sets on the devices."


def _opened(config: MuirConfig, say: Say) -> tuple[Opened, RootComponents | None]:
    """Data, devices, and the root, where there are ViTs.

    Raises:
      UserError: any of them cannot be used; all in one message.
    """
    experiment, cache_dir = config.experiment, config.runtime.cache_dir
    problems: list[UserError] = []
    opened = root = None
    try:
        opened = open_inputs(config, say, stream=False)
    except UserError as error:
        problems.append(error)
    try:  # hundreds of megabytes are not fetched for a training that cannot begin
        if "vit" in experiment.nets and not (problems and roots.needs_download(experiment.root, cache_dir)):
            root = _root(experiment, cache_dir)
    except UserError as error:
        problems.append(error)
    if opened is None or problems:
        raise setup.together(problems)
    return opened, root


def _root(experiment: MuirExperiment, cache_dir: str) -> RootComponents:
    """The root with which ViTs begin.

    Raises:
      CheckpointError: it cannot be had or used.
    """
    run = Experiment(root=experiment.root, variant=experiment.variant, num_blocks=experiment.num_blocks)
    run.defaults.image_size = _image_size(experiment)
    return RootComponents(run, cache_dir)


def _image_size(experiment: MuirExperiment) -> int:
    return MUIR.trained.data(experiment).image_size


def _vit(experiment: MuirExperiment, root: RootComponents, classes: int) -> Net:
    size = _image_size(experiment)
    return vit_net.vit(get_variant(experiment.variant), experiment.num_blocks, size, root.arrays, classes)
