"""`munet evolve --dry_run`: what a run would do, read and need, in words and tables; nothing is written.

The numbers are from `munet.run.estimates`, the tables in `dry_run_tables.py`. Where data or the root is missing, what
the config alone tells is said first (`planned_tasks.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from munet.config import Config, Experiment
from munet.evolution import schedule
from munet.evolution.stages import stages
from munet.progress import wording
from munet.run import estimates, rehearsal, run_time, task_notes, used_devices
from munet.run.dry_run_tables import as_text, memory_table, tasks_table, time_table
from munet.run.grown import Grown
from munet.run.planned_tasks import PlannedTask, open_all
from munet.run.run_time import Time, TimedProgram
from munet.run.setup import baselines, together
from munet.text import count
from munet.training.placement.devices import DeviceLayout
from munet.training.program.optimizer import UpdateRule
from munet.training.program.signature import Signature
from munet.types import TaskInfo

_HOW_TIMED = """
likely: the children of a rehearsal, a run with invented results; several may share a program, which trains what any of
them needs. head only, every layer: the same children and programs, with their depths, image sizes, adapters and LoRA,
if all trained that. All three count training and validation, scaled from the measured step by the cost model of this
kind of device; augmentation and start-up are not counted. compilation: of the likely programs in a first run, on top of
the three; later runs find them on disk. On a CPU, where a run trains a child on each core and compiles on all of them,
these are upper bounds."""


def describe(
    config: Config,
    say: Callable[[str], None] = lambda _: None,
    measure: Callable[[Signature, DeviceLayout, UpdateRule], TimedProgram] = run_time.measure,
) -> Iterator[str]:
    """Texts for people: what the run will do, what it needs, and about how long it will take.

    Args:
      config: validated settings.
      say: told about work that takes long.
      measure: times a program.

    Raises:
      UserError: data or root cannot be used; after what can be said all the same.
    """
    layout = DeviceLayout.detect(config.runtime)
    planned, problems = open_all(config, layout, say)
    tasks = [item.task for item in planned if item.task is not None]
    table = tasks_table(planned, config.experiment)
    infos = [item.info for item in planned]
    if not problems:  # else sizes are guesses
        for one in (config, *baselines(config)):
            for info in infos:
                schedule.check_budget(one.experiment, info)
    for task in tasks:
        yield from (f"{task.uri}: {note}" for note in task.notes)
    yield from task_notes.notes(config.experiment, [task.info for task in tasks])
    yield from _totals(config, infos)
    yield as_text(table)
    if any(item.task is None for item in planned):
        yield (
            "~ could not be opened (below): counted as large as the settings allow, with "
            f"{estimates.GUESSED_CLASSES} classes, so what follows is too much rather than too little."
        )
    yield as_text(memory_table(config, layout, planned))
    program = estimates.full_training(config.experiment, estimates.largest(infos, config.experiment))
    say("\n" + wording.describe_measuring("a training step"))
    measured = measure(program, layout, UpdateRule.of(config.experiment))
    yield _measurement(measured, layout)
    yield as_text(time_table(_times(config, layout, infos, measured), layout))
    yield from used_devices.idle_notes(config, layout.unlimited, estimates.largest(infos, config.experiment))
    yield _HOW_TIMED
    if not problems:  # else sizes are guesses
        for one in (config, *baselines(config)):
            if warning := estimates.check_fits(one, infos, layout):
                yield warning
    if problems:
        raise together(problems)


def describe_extension(
    grown: Grown, measure: Callable[[Signature, DeviceLayout, UpdateRule], TimedProgram] = run_time.measure
) -> Iterator[str]:
    """As `describe`, of the phases that an extended run has still to go."""
    plan, layout = grown.plan, grown.setup.layout
    left = plan.left(grown.state.position)
    config = Config(plan.settings[-1].experiment, grown.setup.config.runtime)
    names = ", ".join(plan.tasks[phase.task_index].name for phase in left)
    yield (
        f"{count(len(left), 'phase')} ({names}) of "
        f"{wording.describe_stages(tuple(map(str, plan.settings[-1].stages)))}, behind the "
        f"{len(plan.phases) - len(left):,} of {grown.system.workdir}"
    )
    yield f"{plan.images(left) - grown.system.state.phase_images:,} training images in all"
    if not left:
        return
    planned = [PlannedTask(task.info, task).located(config, layout) for task in grown.setup.tasks]
    infos = [item.info for item in planned]
    if schedule.images_per_phase(config.experiment):
        yield from _shared_budget(config.experiment, infos)
    yield as_text(tasks_table(planned, config.experiment))
    yield as_text(memory_table(config, layout, planned))
    program = estimates.full_training(config.experiment, estimates.largest(infos, config.experiment))
    yield "\n" + wording.describe_measuring("a training step")
    measured = measure(program, layout, UpdateRule.of(config.experiment))
    yield _measurement(measured, layout)
    rehearsed = rehearsal.plans_from(grown.system.controller, grown.state)
    time = run_time.run_time(config.experiment, infos, layout, measured, rehearsed)
    kind = grown.system.experiment.baseline.kind or "evolution"
    yield as_text(time_table({kind: time}, layout))
    yield from used_devices.idle_notes(config, layout.unlimited, estimates.largest(infos, config.experiment))
    yield _HOW_TIMED


def _totals(config: Config, tasks: Sequence[TaskInfo]) -> Iterator[str]:
    experiment = config.experiment
    iterations = schedule.num_task_iterations(experiment)
    phases = (
        f"{count(len(tasks) * iterations, 'phase')} ({count(len(tasks), 'task')} x {count(iterations, 'iteration')})"
    )
    yield f"{phases} of {wording.describe_stages(tuple(map(str, stages(experiment))))}"
    yield f"{schedule.images_of_run(experiment, tasks):,} training images in all"
    if schedule.images_per_phase(experiment):
        yield from _shared_budget(experiment, tasks)
    if compared := [one.experiment for one in baselines(config)]:
        kinds = ", ".join(one.baseline.kind for one in compared)
        also = sum(schedule.images_of_run(one, tasks) for one in compared)
        yield f"{also:,} more for the baselines to compare with: {kinds}"


def _shared_budget(experiment: Experiment, tasks: Sequence[TaskInfo]) -> Iterator[str]:
    """What the stages of a phase get of its budget; tasks that get the same together."""
    alike: dict[str, list[str]] = {}
    for task in tasks:
        planned = zip(stages(experiment), schedule.planned_cycles(experiment, task), strict=True)
        paid = ", ".join(str(replace(stage, cycles=cycles)) for stage, cycles in planned)
        size = f"a cycle is {schedule.images_per_cycle(experiment, task):,} images"
        alike.setdefault(f"{paid} (children x cycles; {size})", []).append(task.name)
    for paid, names in alike.items():
        yield f"{', '.join(names)}: {paid}"
    if experiment.new_heads == "class_means" or experiment.seed_choice == "fit":
        yield "Forward passes for seed parents and heads count as a third of an image each, which the last stage lacks."


def _measurement(measured: TimedProgram, layout: DeviceLayout) -> str:
    program, time = measured.program, measured.time
    return (
        f"measured on {layout.devices[0].device_kind}: {time.step * 1000:.1f} ms a step of {program.batch_size} images "
        f"with every layer of {count(program.num_blocks, 'block')} trained, {time.compilation:.0f} s to compile"
    )


def _times(
    config: Config, layout: DeviceLayout, tasks: Sequence[TaskInfo], measured: TimedProgram
) -> Mapping[str, Time]:
    """How long the run and each of its baselines takes, by name."""
    parts: dict[str, Experiment] = {config.experiment.baseline.kind or "evolution": config.experiment}
    parts |= {one.experiment.baseline.kind: one.experiment for one in baselines(config)}
    return {name: run_time.run_time(one, tasks, layout, measured) for name, one in parts.items()}
