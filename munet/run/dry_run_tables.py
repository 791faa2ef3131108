"""The tables of `munet evolve --dry_run` and `munet extend --dry_run`: tasks, memory of a device, time."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

from rich import box
from rich.markup import escape
from rich.table import Table

from munet.config import Config, Experiment
from munet.consoles import PrintableConsole
from munet.data import notation
from munet.evolution import schedule
from munet.run import estimates
from munet.run.planned_tasks import PlannedTask
from munet.run.run_time import Time
from munet.text import byte_size, count, duration
from munet.training.placement import device_memory
from munet.training.placement.devices import DeviceLayout
from munet.training.work import TaskWork

_WIDTH = 140  # of tables, as elsewhere in pipes
_UNKNOWN, _NOTHING = "?", "-"
_TIMES = ("head only", "likely", "every layer", "compilation", "programs")


def tasks_table(planned: Sequence[PlannedTask], experiment: Experiment) -> Table:
    """Classes, images, steps and sizes of every task."""
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


def memory_table(config: Config, layout: DeviceLayout, planned: Sequence[PlannedTask]) -> Table:
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


def time_table(times: Mapping[str, Time], layout: DeviceLayout) -> Table:
    """How long each part of a run takes, by its name: evolution, and the baselines that it is compared with."""
    title = f"Time on {count(len(layout.devices), 'device')}" + (", baselines included" if len(times) > 1 else "")
    table = _table(title, *_TIMES)
    for name, time in times.items():
        table.add_row(name, *_time_cells(time))
    if len(times) > 1:
        table.add_section()
        total = sum(times.values(), Time(0, 0, 0, 0, 0))
        table.add_row("all", *_time_cells(total))
    return table


def _time_cells(time: Time) -> list[str]:
    seconds = (time.head_only, time.rehearsed, time.full, time.compilation)
    return [*map(duration, seconds), f"{time.num_programs:,}"]


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, caption_justify="left")
    table.add_column("", overflow="fold")
    for column in columns:
        table.add_column(column, justify="right")
    return table


def as_text(table: Table) -> str:
    """A table as lines, a blank one before it."""
    console = PrintableConsole(file=io.StringIO(), width=_WIDTH, color_system=None)
    with console.capture() as capture:
        console.print(table)
    return "\n" + "\n".join(line.rstrip() for line in capture.get().rstrip().splitlines())
