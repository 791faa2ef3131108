"""A MUiR training made ready for the trainer."""

from __future__ import annotations

import functools

from munet.config import to_json
from munet.config.muir import SHARINGS, MuirConfig
from munet.errors import ConfigError
from munet.joint.job import Free, Job, Length, Words
from munet.joint.preparation import Say, open_inputs
from munet.methods.muir import publishing
from munet.methods.muir.learner import Muir
from munet.methods.muir.result import MUIR
from munet.methods.muir.values import HeldOut, nets_of, stream_of, together
from munet.text import count


def prepare(config: MuirConfig, say: Say = lambda _: None) -> Job:
    """Opens data and devices; nothing is written.

    Raises:
      DataError: data are missing or cannot be used; of all tasks in one message.
      ConfigError, UserError: settings that do not fit the data or the devices.
    """
    experiment, runtime = config.experiment, config.runtime
    opened = open_inputs(config, say, stream=False)
    tasks, infos = opened.tasks, [task.info for task in opened.tasks]
    nets = nets_of(tasks)
    numbers = together(tasks, nets, experiment.batch_size)
    streams = tuple(
        stream_of(name, [tasks[number] for number in own], experiment.batch_size) for name, own in numbers.items()
    )
    if experiment.sharing in ("search", "random") and not (experiment.challengers and experiment.share):
        name = "challengers" if not experiment.challengers else "share"
        say(f"experiment.{name} = 0: nothing is searched; every block keeps the module that it begins with.")
    learner = Muir(
        experiment, [info.name for info in infos], numbers, {name: nets[own[0]] for name, own in numbers.items()}
    )
    _check(learner)
    searched = (experiment.burn_in + experiment.generations) * experiment.generation_rounds
    length = Length(
        searched,
        experiment.generation_rounds,
        experiment.final_generations * experiment.generation_rounds,
        experiment.generation_rounds if learner.has_search else 0,
        block=runtime.block_rounds,
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
        beginning=opened.beginning(to_json(experiment), {}),
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
    )


def _check(learner: Muir) -> None:
    """Refuses settings that do not fit the models.

    Raises:
      ConfigError: all problems in one message.
    """
    experiment, problems = learner.experiment, []
    generated = [one for net in learner.nets for one in net.generated]
    tallest, widest = (max((getattr(one, name) for one in generated), default=0) for name in ("rows", "columns"))
    if not generated:
        problems.append("the rule generates no leaf of any model: nothing could be shared.")
    for name, size, most in (("rows", experiment.block_rows, tallest), ("columns", experiment.block_columns, widest)):
        if generated and size > most:
            problems.append(
                f"experiment.block_{name} = {size} is more than any generated layer has ({most}): use {most} or less."
            )
    locations = learner.plan.num_locations
    if 0 < experiment.modules < locations and experiment.sharing != "given":
        problems.append(
            f"experiment.modules = {experiment.modules}: every one of the {locations:,} blocks begins with a module "
            f"for itself. Use {locations} or more, or 0."
        )
    if experiment.sharing == "given" and (most_group := max(experiment.groups)) >= learner.search.num_modules:
        problems.append(
            f"experiment.groups names group {most_group} of {learner.search.num_modules} modules: number groups from 0."
        )
    if problems:
        raise ConfigError(problems)
