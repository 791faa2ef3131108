"""How long the runs of a suite will take: every method rehearsed, a step timed once for all that train the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from munet import kinds
from munet.config.evolve import Config
from munet.data import cache
from munet.kinds import JointConfig
from munet.run import estimates, run_time
from munet.run.run_time import Time, TimedProgram
from munet.run.setup import RunSetup
from munet.suites.plan import Run
from munet.text import count, duration
from munet.training.placement.devices import DeviceLayout
from munet.training.program.optimizer import UpdateRule
from munet.training.program.signature import Signature

Measure = Callable[[Signature, DeviceLayout, UpdateRule], TimedProgram]


@dataclass(frozen=True)
class MethodTime:
    """What one run of a method takes.

    Attributes:
      images: training images.
      time: on this process's devices.
      units: all of it as `Kind.behind` counts: images of evolution, rounds of a joint training.
    """

    images: int
    time: Time
    units: int


class Measurements:
    """Timed programs, each timed once."""

    def __init__(self) -> None:
        self._known: dict[tuple[Signature, DeviceLayout, UpdateRule], TimedProgram] = {}

    def __call__(self, program: Signature, layout: DeviceLayout, rule: UpdateRule) -> TimedProgram:
        """What `run_time.measure` gives for these arguments, which is measured once."""
        key = program, layout, rule
        if key not in self._known:
            self._known[key] = run_time.measure(program, layout, rule)
        return self._known[key]


def of_methods(runs: Sequence[Run], measure: Measure) -> dict[str, MethodTime]:
    """The time of one run of every method, by its first seed: others differ little.

    Args:
      runs: of a suite, whose inputs were checked.
      measure: times a program.

    Raises:
      UserError: data or root cannot be used.
    """
    firsts = {run.method.name: run.config for run in reversed(runs)}
    return {
        name: kinds.of(firsts[name]).time(firsts[name], measure)
        for name in dict.fromkeys(run.method.name for run in runs)
    }


def of_run(config: Config, measure: Measure) -> MethodTime:
    """Of a run of evolution, by the largest program that it trains with."""
    setup, experiment = RunSetup.prepare(config), config.experiment
    tasks = [task.info for task in setup.tasks]
    program = estimates.full_training(experiment, estimates.largest(tasks, experiment))
    time = run_time.run_time(experiment, tasks, setup.layout, measure(program, setup.layout, UpdateRule.of(experiment)))
    return MethodTime(setup.total_image_steps, time, setup.total_image_steps)


def of_training(config: JointConfig) -> MethodTime:
    """Of a joint training, some of whose rounds are timed."""
    from munet.joint import dry_run, run

    prepared = run.prepared(config)
    images = prepared.length.total * prepared.images_per_round * len(prepared.seeds)
    measured = dry_run.measure(prepared)
    training = prepared.length.total * measured.round
    time = Time(training, training, training, measured.compilation, measured.programs)
    return MethodTime(images, time, prepared.length.total)


def lines(
    runs: Sequence[Run], done: Sequence[Run], begun: Mapping[str, int], times: Mapping[str, MethodTime]
) -> list[str]:
    """For people: every method's runs, and what all that are not complete will take together.

    Args:
      runs: of the suite.
      done: those that are complete.
      begun: by work directory, what other runs have behind them, in the units of their times.
      times: of each method.

    The process that plans a suite leaves GPUs to its workers (`check_inputs`), so the times are of the CPU.
    """
    told = []
    training = compilation = 0.0
    images = 0
    for name, one in times.items():
        own = [run for run in runs if run.method.name == name]
        to_do = [run for run in own if run not in done]
        behind = [begun.get(run.workdir, 0) * one.images // one.units for run in to_do]
        told.append(
            f"{name}: {count(len(own), 'run')} of {one.images:,} training images and about "
            f"{duration(one.time.rehearsed)} each, {len(own) - len(to_do)} complete"
            + (f", {sum(map(bool, behind))} begun" if any(behind) else "")
        )
        left = len(to_do) * one.images - sum(behind)
        is_kept = cache.cache_folder(own[0].config.runtime.cache_dir) is not None  # later runs find programs on disk
        images += left
        training += left / one.images * one.time.rehearsed
        compilation += (min(len(to_do), 1) if is_kept else len(to_do)) * one.time.compilation
    told.append(
        f"{images:,} training images to go: about {duration(training)} on the CPU, and about {duration(compilation)} "
        "to compile, one run after another; interrupted generations count from their beginnings, joint trainings from "
        "what they saved"
    )
    return told
