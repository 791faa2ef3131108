"""How long a run will take (for `munet evolve --dry_run`).

Nothing is trained but a few steps that are timed. What the children will be is taken from a rehearsal
(`munet.run.rehearsal`), what a program costs relative to the timed one from the cost model of grouping.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import jax

from munet.config import Experiment
from munet.evolution import schedule
from munet.run import rehearsal
from munet.run.estimates import stream_groups
from munet.training.measure import timing
from munet.training.measure.timing import StepTime
from munet.training.placement import grouping
from munet.training.placement.devices import DeviceLayout
from munet.training.placement.grouping import CostModel
from munet.training.placement.placing import StreamGroups, place_streams
from munet.training.placement.waves import Reserved
from munet.training.program.optimizer import UpdateRule
from munet.training.program.signature import INPUT_LEVEL, Signature
from munet.training.work import TaskWork
from munet.types import GenerationPlan, TaskInfo

_MEASURED_BLOCKS = 3  # compiling all 24 of an L/16 takes minutes on a CPU; a step is linear in the blocks
_MEASURED_SECONDS = 1.0  # a step that the cost model expects to take longer is timed with fewer images
_EVALUATION_COMPILATION = 0.2  # of a train program's: measured once, 9 of 46 s (Ti/16, 3 blocks, 2 busy CPU cores)


@dataclass(frozen=True)
class TimedProgram:
    """A timed train program, from which the cost model tells the time of others.

    Attributes:
      program: what was timed: at most a few blocks, and a batch that takes no longer than some seconds.
      time: its step and its compilation.
      model: the device's cost model.
    """

    program: Signature
    time: StepTime
    model: CostModel

    def step(self, program: Signature) -> float:
        """Seconds of a step of another program."""
        relative = grouping.step_seconds(program, self.model) / grouping.step_seconds(self.program, self.model)
        return self.time.step * relative

    def compilation(self, program: Signature) -> float:
        """Seconds to compile another program."""
        relative = grouping.compile_seconds(program, self.model) / grouping.compile_seconds(self.program, self.model)
        return self.time.compilation * relative


def measure(program: Signature, layout: DeviceLayout, rule: UpdateRule) -> TimedProgram:
    """Times a step of `program`, or of a smaller one like it."""
    model = layout.cost_model
    smaller = replace(program, num_blocks=min(program.num_blocks, _MEASURED_BLOCKS))
    while smaller.batch_size > 8 and grouping.step_seconds(smaller, model) > _MEASURED_SECONDS:
        smaller = replace(smaller, batch_size=smaller.batch_size // 2)
    return TimedProgram(smaller, timing.measure(smaller, layout, rule), model)


@dataclass(frozen=True)
class Time:
    """Seconds of wall time of a run on its devices.

    Attributes:
      head_only, rehearsed, full: training and validating the children of a rehearsal, each at its image size and with
        what is inserted into it, if all trained their heads only, what they train there, or every layer.
      compilation: of the programs of the rehearsal.
      num_programs: how many train programs those are.
    """

    head_only: float
    rehearsed: float
    full: float
    compilation: float
    num_programs: int

    def __add__(self, other: Time) -> Time:
        return Time(
            self.head_only + other.head_only,
            self.rehearsed + other.rehearsed,
            self.full + other.full,
            self.compilation + other.compilation,
            self.num_programs + other.num_programs,
        )


def run_time(
    experiment: Experiment,
    tasks: Sequence[TaskInfo],
    layout: DeviceLayout,
    measured: TimedProgram,
    plans: Iterable[GenerationPlan] | None = None,
) -> Time:
    """The time of a run, or of a baseline.

    Args:
      experiment: the configuration.
      tasks: that it trains.
      layout: the devices.
      measured: a program that was timed.
      plans: its generations; None: those of a rehearsal from the beginning.
    """
    generations = range(schedule.num_generations(experiment))
    by_name = {task.name: [TaskWork.of(experiment, task, place) for place in generations] for task in tasks}
    seconds = dict.fromkeys(("head_only", "rehearsed", "full"), 0.0)
    programs: set[Signature] = set()
    for plan in rehearsal.plans(experiment, tasks) if plans is None else plans:
        work = by_name[plan.task][plan.position.generation]
        streams = stream_groups(plan, work, programs, layout)
        programs |= {group.signature for groups in streams for group in groups}
        for name, trained in {
            "head_only": [_head_only(groups) for groups in streams],
            "rehearsed": streams,
            "full": [_every_layer(groups) for groups in streams],
        }.items():
            seconds[name] += _generation_seconds(work, trained, layout, measured)
    evaluation = {program.for_evaluation for program in programs}
    compilation = sum(map(measured.compilation, programs))
    compilation += _EVALUATION_COMPILATION * sum(map(measured.compilation, evaluation))
    return Time(**seconds, compilation=compilation, num_programs=len(programs))


def _head_only(groups: Sequence[grouping.Group]) -> list[grouping.Group]:
    """The same programs, at the same image sizes and with the same insertions, training nothing below the head."""
    return [
        replace(group, signature=replace(group.signature, first_trainable=group.signature.num_blocks, frozen=()))
        for group in groups
    ]


def _every_layer(groups: Sequence[grouping.Group]) -> list[grouping.Group]:
    """The same programs, at the same image sizes and with the same insertions, training all there is."""
    return [
        replace(group, signature=replace(group.signature, first_trainable=INPUT_LEVEL, frozen=())) for group in groups
    ]


def _generation_seconds(
    work: TaskWork, streams: Sequence[Sequence[grouping.Group]], layout: DeviceLayout, measured: TimedProgram
) -> float:
    """Training and validation of a generation: what the busiest device has to do.

    Its streams train side by side; those of a set that is streamed to the device do not, which is not known here.
    """
    busy: dict[jax.Device, float] = {}
    for chunk in place_streams([StreamGroups(groups, Reserved()) for groups in streams], layout.unlimited):
        program = chunk.group.signature
        forward = replace(
            program,
            first_trainable=program.num_blocks,
            batch_size=work.num_validated,
        )
        child = work.num_steps * measured.step(program) + work.num_cycles * measured.step(forward)
        for device in chunk.mesh.devices.flat:
            busy[device] = busy.get(device, 0.0) + child * chunk.size / chunk.mesh.size
    return max(busy.values())
