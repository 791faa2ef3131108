"""`munet evolve --dry_run`: what a run would do, read and need, in words and tables; nothing is written.

The numbers are from `munet.run.estimates`. Where data or the root is missing, what the config alone tells is said
first.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from rich import box
from rich.markup import escape
from rich.table import Table

from munet.config import Config, Experiment
from munet.consoles import PrintableConsole
from munet.data import notation
from munet.data.open_settings import OpenSettings
from munet.data.tasks import Task, open_task
from munet.errors import UserError
from munet.evolution import schedule
from munet.evolution.stages import stages
from munet.progress import wording
from munet.run import estimates, rehearsal, run_time, task_notes, used_devices
from munet.run.estimates import ImagePlace
from munet.run.grown import Grown
from munet.run.run_time import Time, TimedProgram
from munet.run.setup import baselines, open_inputs, together
from munet.text import byte_size, count, duration
from munet.training.batches.resident import max_resident
from munet.training.placement import device_memory
from munet.training.placement.devices import DeviceLayout
from munet.training.program.optimizer import UpdateRule
from munet.training.program.signature import Signature
from munet.training.work import TaskWork
from munet.types import TaskInfo

_WIDTH = 140  # of tables, as elsewhere in pipes
_UNKNOWN, _NOTHING = "?", "-"
_TIMES = ("head only", "likely", "every layer", "compilation", "programs")
_HOW_TIMED = """
likely: the children of a rehearsal, a run with invented results; several may share a program, which trains what any of
them needs. head only, every layer: the same children and programs, with their depths, image sizes, adapters and LoRA,
if all trained that. All three count training and validation, scaled from the measured step by the cost model of this
kind of device; augmentation and start-up are not counted. compilation: of the likely programs in a first run, on top of
the three; later runs find them on disk. On a CPU, where a run trains a child on each core and compiles on all of them,
these are upper bounds."""


@dataclass(frozen=True)
class _Planned:
    """A task of the run; where it cannot be opened `task` is None, and `info` a guess at the largest it could be."""

    info: TaskInfo
    task: Task | None
    images: ImagePlace | None = None  # where its training images will be; None if unknown

    def located(self, config: Config, layout: DeviceLayout) -> _Planned:
        """The same, with where its images will be; they are decoded for that, and dropped again."""
        if self.task is None:
            return self
        images = estimates.training_images(config, self.task, layout)
        self.task.release()
        return replace(self, images=images)


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
    planned, problems = _opened(config, layout, say)
    tasks = [item.task for item in planned if item.task is not None]
    table = _tasks_table(planned, config.experiment)
    infos = [item.info for item in planned]
    if not problems:  # else sizes are guesses
        for one in (config, *baselines(config)):
            for info in infos:
                schedule.check_budget(one.experiment, info)
    for task in tasks:
        yield from (f"{task.uri}: {note}" for note in task.notes)
    yield from task_notes.notes(config.experiment, [task.info for task in tasks])
    yield from _totals(config, infos)
    yield _text(table)
    if any(item.task is None for item in planned):
        yield (
            "~ could not be opened (below): counted as large as the settings allow, with "
            f"{estimates.GUESSED_CLASSES} classes, so what follows is too much rather than too little."
        )
    yield _text(_memory_table(config, layout, planned))
    program = estimates.full_training(config.experiment, estimates.largest(infos, config.experiment))
    say("\n" + wording.describe_measuring("a training step"))
    measured = measure(program, layout, UpdateRule.of(config.experiment))
    yield _measurement(measured, layout)
    yield _text(_time_table(config, layout, infos, measured))
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
    planned = [_Planned(task.info, task).located(config, layout) for task in grown.setup.tasks]
    infos = [item.info for item in planned]
    if schedule.images_per_phase(config.experiment):
        yield from _shared_budget(config.experiment, infos)
    yield _text(_tasks_table(planned, config.experiment))
    yield _text(_memory_table(config, layout, planned))
    program = estimates.full_training(config.experiment, estimates.largest(infos, config.experiment))
    yield "\n" + wording.describe_measuring("a training step")
    measured = measure(program, layout, UpdateRule.of(config.experiment))
    yield _measurement(measured, layout)
    rehearsed = rehearsal.plans_from(grown.system.controller, grown.state)
    time = run_time.run_time(config.experiment, infos, layout, measured, rehearsed)
    table = _table(f"Time on {count(len(layout.devices), 'device')}", *_TIMES)
    table.add_row(grown.system.experiment.baseline.kind or "evolution", *_times(time))
    yield _text(table)
    yield from used_devices.idle_notes(config, layout.unlimited, estimates.largest(infos, config.experiment))
    yield _HOW_TIMED


def _opened(config: Config, layout: DeviceLayout, say: Callable[[str], None]) -> tuple[list[_Planned], list[UserError]]:
    """The tasks, opened as a run would open them, and what is wrong with data and root.

    Raises:
      UserError: images cannot be decoded.
    """
    limit = max_resident(config.runtime, layout)
    tasks, _, problems = open_inputs(config, say, max_resident=limit)
    planned = [_Planned(task.info, task) for task in tasks]
    planned = planned or [_plan(uri, config, limit) for uri in config.experiment.tasks]
    try:
        return [item.located(config, layout) for item in planned], problems
    except UserError as error:
        raise together([error, *problems]) from error


def _plan(uri: str, config: Config, max_resident: float) -> _Planned:
    """One task of several of which some cannot be opened."""
    try:
        task = open_task(uri, OpenSettings.of(config, max_resident=max_resident))
    except UserError:
        return _Planned(estimates.guessed(uri, config.experiment), None)
    return _Planned(task.info, task)


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


def _tasks_table(planned: Sequence[_Planned], experiment: Experiment) -> Table:
    table = _table(
        "Tasks", "classes", "train", "validation", "test images", "a cycle", "steps a phase", "on disk", "host memory",
        "training images",
    )  # fmt: skip
    steps_of_all, totals = 0, [0, 0]
    for item in planned:
        info = item.info
        work = TaskWork.of(experiment, info)
        in_phase = schedule.images_of_phase(experiment, info) // work.batch_size
        sizes = [
            None if item.task is None else item.task.source.num_bytes, None if item.images is None else item.images.host
        ]  # fmt: skip
        counts = [info.num_classes, info.num_train, info.num_validation, info.num_test]
        table.add_row(
            escape(info.name if item.task is None else notation.label(info.uri)),
            *(_UNKNOWN if item.task is None else f"{number:,}" for number in counts),
            f"{work.steps_per_cycle} x {work.batch_size}",
            f"{in_phase:,}",
            *(_UNKNOWN if size is None else byte_size(size) if size else _NOTHING for size in sizes),
            _UNKNOWN if item.images is None else "resident" if item.images.is_resident else "streamed",
        )
        steps_of_all += in_phase
        totals = [total + (size or 0) for total, size in zip(totals, sizes, strict=True)]
    table.add_section()
    nothing = _UNKNOWN if all(item.task is None for item in planned) else _NOTHING
    sums = [byte_size(total) if total else nothing for total in totals]
    table.add_row("all", "", "", "", "", "", f"{steps_of_all:,}", *sums)
    return table


def _memory_table(config: Config, layout: DeviceLayout, planned: Sequence[_Planned]) -> Table:
    """Every layer in training at the default image size, and the most that a mutation can make of it."""
    experiment = config.experiment
    task = estimates.largest([item.info for item in planned], experiment)
    program = estimates.full_training(experiment, task)
    columns = {f"{program.image_size} pixels": program}
    most = estimates.most_demanding(experiment, task)
    if most != program and not schedule.is_baseline(experiment):
        inserted = [f", adapters of {most.adapter_dim}"] if most.adapter_dim else []
        inserted += [f", LoRA of rank {most.lora_rank}"] if most.lora_rank else []
        columns[f"{most.image_size} pixels" + "".join(inserted)] = most
    validated = max(TaskWork.of(experiment, item.info).num_validated for item in planned)
    known = [item.images for item in planned if item.images is not None]
    resident = max((images.device for images in known), default=0)
    uses = [
        estimates.device_use(config, one, layout, num_validated=validated, resident=resident)
        for one in columns.values()
    ]
    table = _table("Memory of a device, every layer in training", *columns)
    table.add_row("mesh (child, data, model)", *(" x ".join(map(str, use.mesh)) for use in uses))
    table.add_row("images at a time, of a batch", *(f"{use.microbatch} of {program.batch_size}" for use in uses))
    table.add_row("parameters", *(byte_size(use.child.params) for use in uses))
    table.add_row("best version, gradients, momentum", *(byte_size(use.child.training) for use in uses))
    table.add_row("activations", *(byte_size(use.child.activations) for use in uses))
    table.add_row("one child", *(byte_size(use.child.total) for use in uses))
    table.add_row("children on it / at work at once", *(f"{use.held} / {use.at_once}" for use in uses))
    table.add_row("these children", *(byte_size(use.children) for use in uses))
    table.add_row("batches and validation", *(byte_size(use.batches) for use in uses))
    more = "" if len(known) == len(planned) else " at least"
    table.add_row(f"training images{more}", *[byte_size(resident)] * len(columns))
    table.add_section()
    table.add_row("all", *(byte_size(use.total) for use in uses))
    limit = layout.memory or device_memory.usable(layout.devices)  # on a CPU only shown
    kind = escape(layout.devices[0].device_kind)
    verdicts = ["unknown"] * len(uses)
    if limit is not None:
        fit = [use.refused is None and (layout.memory is not None or use.total <= limit) for use in uses]
        verdicts = [byte_size(limit) + (" fits" if fits else " TOO SMALL") for fits in fit]
    table.add_row(f"of {kind}", *verdicts)
    if any(use.num_waves > 1 for use in uses):
        table.add_row("a generation trains in", *(count(use.num_waves, "wave") for use in uses))
    return table


def _measurement(measured: TimedProgram, layout: DeviceLayout) -> str:
    program, time = measured.program, measured.time
    return (
        f"measured on {layout.devices[0].device_kind}: {time.step * 1000:.1f} ms a step of {program.batch_size} images "
        f"with every layer of {count(program.num_blocks, 'block')} trained, {time.compilation:.0f} s to compile"
    )


def _time_table(config: Config, layout: DeviceLayout, tasks: Sequence[TaskInfo], measured: TimedProgram) -> Table:
    parts = {"evolution": config.experiment}
    if config.experiment.baseline.kind:
        parts = {config.experiment.baseline.kind: config.experiment}
    parts |= {one.experiment.baseline.kind: one.experiment for one in baselines(config)}
    times = {name: run_time.run_time(one, tasks, layout, measured) for name, one in parts.items()}
    title = f"Time on {count(len(layout.devices), 'device')}" + (", baselines included" if len(parts) > 1 else "")
    table = _table(title, *_TIMES)
    for name, time in times.items():
        table.add_row(name, *_times(time))
    if len(times) > 1:
        table.add_section()
        total = sum(times.values(), Time(0, 0, 0, 0, 0))
        table.add_row("all", *_times(total))
    return table


def _times(time: Time) -> list[str]:
    seconds = (time.head_only, time.rehearsed, time.full, time.compilation)
    return [*map(duration, seconds), f"{time.num_programs:,}"]


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, caption_justify="left")
    table.add_column("", overflow="fold")
    for column in columns:
        table.add_column(column, justify="right")
    return table


def _text(table: Table) -> str:
    console = PrintableConsole(file=io.StringIO(), width=_WIDTH, color_system=None)
    with console.capture() as capture:
        console.print(table)
    return "\n" + "\n".join(line.rstrip() for line in capture.get().rstrip().splitlines())
