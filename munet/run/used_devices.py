"""How many devices each stage of a run keeps at work, and what would use those that stand idle.

Children are placed as a run would place them, without its data: a task is taken to be as large as the settings allow.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import jax

from munet.config import Config, Experiment
from munet.evolution import schedule
from munet.evolution.stages import stages
from munet.run import estimates
from munet.run.setup import baselines
from munet.text import count
from munet.training.batches.stream import EVALUATION_BATCH
from munet.training.placement.devices import DeviceLayout
from munet.training.placement.placing import place_streams
from munet.training.placement.waves import Reserved
from munet.types import TaskInfo


@dataclass(frozen=True)
class StageUse:
    """One stage on the devices of a run.

    Attributes:
      stage: as it is written in a config.
      children: that it trains.
      used: devices at work in it.
      idle: the others.
      most: children on the busiest device, stacked or one after the other.
    """

    stage: str
    children: int
    used: int
    idle: int
    most: int


def uses(config: Config, layout: DeviceLayout, task: TaskInfo | None = None) -> list[StageUse]:
    """Each kind of stage once, in the order in which a phase has them, baselines' last.

    Args:
      config: validated settings.
      layout: the devices.
      task: whose children are placed; None: the largest that there could be.

    Raises:
      UserError: a child fits no device.
    """
    found: dict[str, StageUse] = {}
    for one in (config, *baselines(config)):
        program = estimates.full_training(one.experiment, task or estimates.guessed("", one.experiment))
        for stage in (stage for stage in stages(one.experiment) if stage.trains):
            streams = estimates.alike(one.experiment, program, Reserved(), stage.children)
            chunks = place_streams(streams, layout)
            on: dict[jax.Device, int] = {}
            for chunk in chunks:
                for device in chunk.mesh.devices.flat:
                    on[device] = on.get(device, 0) + chunk.size // chunk.mesh.shape["child"]
            name = one.experiment.baseline.kind or f"{stage.kind}:{stage.children}"
            idle = len(layout.devices) - len(on)
            found[name] = StageUse(name, stage.children, len(on), idle, max(on.values()))
    return list(found.values())


def idle_notes(config: Config, layout: DeviceLayout, task: TaskInfo | None = None) -> Iterator[str]:
    """What stands idle while the run trains, and what would use it; nothing where all devices are at work."""
    found = uses(config, layout, task)
    idle = [use for use in found if use.idle]
    if not idle:
        return
    total = len(layout.devices)
    words = ", ".join(f"{use.idle} in {use.stage}" for use in idle)
    yield f"Of {count(total, 'device')} some stand idle: {words}. What would use them:"
    yield from (f"  {line}" for line in _advice(config, found, total))


def _advice(config: Config, found: Sequence[StageUse], total: int) -> Iterator[str]:
    experiment = config.experiment
    if not schedule.is_baseline(experiment) and any(
        use.idle for use in found[: sum(stage.trains for stage in stages(experiment))]
    ):
        price = "" if experiment.images_per_task else ", and as many times the images"
        yield f"{_more_children(experiment, total)}   children for all of them{price}"
    if mesh := _shared_batches(experiment, min(use.children for use in found), total):
        yield f"--config.mesh={mesh}   devices that share each child's batches (exchanging gradients at every step)"
    most = max(use.used for use in found)
    if most < total:
        yield f"--config.num_devices={most}   no more of them, or a machine with {most}: as fast, and cheaper"
    yield "another run on the others, in a work directory of its own (`munet benchmark --workers` shares devices out)"


def _more_children(experiment: Experiment, total: int) -> str:
    """The option with which every stage has a multiple of as many children as there are devices."""
    if not experiment.stages:
        return f"--config.children_per_generation={math.ceil(experiment.children_per_generation / total) * total}"
    wider = [
        replace(stage, children=math.ceil(stage.children / total) * total) if stage.trains else stage
        for stage in stages(experiment)
    ]
    return f"--config.stages={','.join(map(str, wider))}"


def _shared_batches(experiment: Experiment, fewest: int, total: int) -> str:
    """The mesh on which the stage with the fewest children uses all devices; "" where there is none."""
    slots = math.gcd(fewest, total)
    shared = total // slots
    fits = shared > 1 and experiment.batch_size % shared == 0 and EVALUATION_BATCH % shared == 0
    return f"{slots},{shared},1" if fits else ""
