"""What a run will need, in numbers: memory of a device, bytes to read (for `munet evolve --dry_run`).

Nothing is trained. `munet.run.run_time` tells how long it will take.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import jax
import numpy as np

from munet.config import Config, Experiment
from munet.data.streamed import StreamedImages
from munet.data.tasks import Task
from munet.errors import UserError
from munet.evolution import schedule
from munet.evolution.search_space import insertions
from munet.run import rehearsal
from munet.training.batches.decode_ahead import host_bytes
from munet.training.batches.resident import is_resident, max_resident
from munet.training.batches.stream import segment_size
from munet.training.placement import device_memory, grouping
from munet.training.placement.chunks import Chunk
from munet.training.placement.device_memory import Memory, child_memory
from munet.training.placement.devices import DeviceLayout
from munet.training.placement.placing import StreamGroups, place_streams
from munet.training.placement.streams import streams_of
from munet.training.placement.waves import Reserved
from munet.training.program import signature
from munet.training.program.accumulation import part_size
from munet.training.program.signature import INPUT_LEVEL, Signature
from munet.training.work import TaskWork
from munet.types import GenerationPlan, TaskInfo

GUESSED_CLASSES = 100  # of a task that is missing


@dataclass(frozen=True)
class DeviceUse:
    """Bytes of a device while the children of a generation train, all in one program.

    Attributes:
      mesh: lengths of (child, data, model) of their chunks.
      microbatch: images of a batch that pass at a time.
      child: one child's, on each of its devices.
      at_once: children that a device works on at the same time.
      held: children whose parameters and optimiser are on it at the same time.
      num_waves: how often the generation's batches are made, because no more children fit at once.
      batches: of the segments of all streams that train on it at the same time, and of the validation images.
      resident: of training images.
      refused: why they fit nowhere; None if they do. The other numbers are then of one child at a time.
    """

    mesh: tuple[int, ...]
    microbatch: int
    child: Memory
    at_once: int
    held: int
    num_waves: int
    batches: int
    resident: int
    refused: UserError | None = None

    @property
    def children(self) -> int:
        """Of all children that are on the device."""
        return self.held * self.child.kept + self.at_once * (self.child.total - self.child.kept)

    @property
    def total(self) -> int:
        """Bytes of children, batches and training images together."""
        return self.children + self.batches + self.resident


def device_use(
    config: Config, program: Signature, layout: DeviceLayout, *, num_validated: int = 0, resident: int = 0
) -> DeviceUse:
    """What each device holds while a generation trains in `program`, placed as a run would place it.

    Args:
      config: the run's.
      program: that all children run in.
      layout: the devices.
      num_validated: validation images.
      resident: bytes of training images on the device.
    """
    segments = device_memory.batch_bytes(config, program.batch_size, program.image_size, num_validated=0)
    validation = device_memory.image_bytes(num_validated, program.image_size)
    reserved = Reserved(resident, segments, validation)
    streams = alike(config.experiment, program, reserved, schedule.most_children(config.experiment))
    refused = None
    try:
        chunks = place_streams(streams, layout)
    except UserError as error:
        refused, chunks = error, place_streams(streams, replace(layout, memory=None, children_per_device=1))
    waves = [[chunk for chunk in chunks if chunk.wave == wave] for wave in range(chunks[-1].wave + 1)]
    stacked = {chunk: chunk.size // chunk.mesh.shape["child"] for chunk in chunks}
    on_first = [[chunk for chunk in wave if _first(chunk) == layout.devices[0]] for wave in waves]
    held = max(sum(stacked[chunk] for chunk in wave) for wave in on_first)
    num_streams = max(len({chunk.stream for chunk in wave}) for wave in on_first)
    spread = chunks[0].spread
    return DeviceUse(
        mesh=tuple(chunks[0].mesh.devices.shape),
        microbatch=part_size(program.batch_size, spread.parts, spread.data),
        child=child_memory(program, spread.data, spread.model, spread.parts),
        at_once=min(layout.chunks_at_once * max(stacked.values()), held),
        held=held,
        num_waves=len(waves),
        batches=num_streams * segments + validation,
        resident=resident,
        refused=refused,
    )


def alike(experiment: Experiment, program: Signature, reserved: Reserved, count: int) -> list[StreamGroups]:
    """So many children of a generation in one program; in streams of their own where each of them may have one."""
    has_own = schedule.streams_per_child(experiment) or experiment.fidelity.data_settings == "child"
    sizes = [1] * count if has_own else [count]
    return [StreamGroups([grouping.Group(program, tuple(range(size)))], reserved) for size in sizes]


def stream_groups(
    plan: GenerationPlan, work: TaskWork, known: set[Signature], layout: DeviceLayout
) -> list[list[grouping.Group]]:
    """The groups of children of each stream of a generation that share a program.

    Args:
      plan: the generation.
      work: of its task.
      known: programs that are compiled already, which cost nothing more.
      layout: the devices.
    """
    return [
        grouping.group_children(
            [signature.of_child(child, work) for child in stream.children],
            steps=work.num_steps,
            known=known,
            model=layout.cost_model,
        )
        for stream in streams_of(plan, work)
    ]


def _first(chunk: Chunk) -> jax.Device:
    device: jax.Device = chunk.mesh.devices.flat[0]
    return device


def check_fits(config: Config, tasks: Sequence[TaskInfo], layout: DeviceLayout) -> str | None:
    """Whether the children of a run fit the devices, before any is trained; training images are not counted.

    Returns:
      A note if a child could become too large by mutation, else None.

    Raises:
      UserError: a child that trains all it can at the default image size fits nowhere.
    """
    experiment = config.experiment
    task = largest(tasks, experiment)
    validated = max(TaskWork.of(experiment, task).num_validated for task in tasks)
    if schedule.is_baseline(experiment):
        plan = next(iter(rehearsal.plans(experiment, [task])))
        streams = stream_groups(plan, TaskWork.of(experiment, task), set(), layout)
        programs = list(dict.fromkeys(group.signature for groups in streams for group in groups))
    else:
        programs = [full_training(experiment, task)]
    for program in programs:
        if refused := device_use(config, program, layout, num_validated=validated).refused:
            raise refused
    if schedule.is_baseline(experiment):
        return None
    refused = device_use(config, most_demanding(experiment, task), layout, num_validated=validated).refused
    return (
        f"A generation with the largest child that mutations can make would stop the run. {refused}"
        if refused
        else None
    )


@dataclass(frozen=True)
class ImagePlace:
    """Where a task's training images are while it trains, in bytes.

    Attributes:
      is_resident: whether they are on the device as a whole; else they are streamed to it.
      device, host: what they take there; on the host all splits count, as far as they are decoded.
    """

    is_resident: bool
    device: int
    host: int


def training_images(config: Config, task: Task, layout: DeviceLayout) -> ImagePlace:
    """Where the images of an opened task will be; of those that are streamed at most, with the smallest image size.

    Raises:
      DataError: they cannot be decoded.
    """
    experiment, info, images = config.experiment, task.info, task.split("train").images
    one = math.prod(images.shape[1:])
    held = 0 if isinstance(images, StreamedImages) else one * (info.num_train + info.num_validation + info.num_test)
    batch = TaskWork.of(experiment, info).batch_size
    size = min(experiment.search_space.image_size) if experiment.auto_tune else experiment.defaults.image_size
    segment = segment_size(config, batch, size, one)
    if is_resident(images, max_resident(config.runtime, layout)):
        return ImagePlace(True, device_memory.training_bytes(info.num_train, segment * batch, one), held)
    feed = host_bytes(
        StreamedImages.of_array(images) if isinstance(images, np.ndarray) else images,
        request_size=batch,
        requests_in_use=2 * segment,
        ahead=segment,
        num_threads=config.runtime.decoding_threads,
    )
    return ImagePlace(False, device_memory.training_bytes(0, segment * batch, one), held + feed)


def full_training(experiment: Experiment, task: TaskInfo, image_size: int = 0, adapter_dim: int = 0) -> Signature:
    """The program in which every layer trains; at the default image size unless told otherwise."""
    work = TaskWork.of(experiment, task)
    return Signature(
        variant=experiment.variant,
        num_blocks=experiment.num_blocks,
        first_trainable=INPUT_LEVEL,
        adapter_dim=adapter_dim,
        image_size=image_size or experiment.defaults.image_size,
        batch_size=work.batch_size,
        head_size=signature.head_size(task.num_classes),
        dtype=work.dtype,
    )


def most_demanding(experiment: Experiment, task: TaskInfo) -> Signature:
    """The program that needs most memory of all that mutations can lead to: every layer trains, as wide as can be."""
    space, defaults = experiment.search_space, experiment.defaults
    size, dim, rank = defaults.image_size, defaults.adapter_dim, defaults.lora_rank
    if experiment.auto_tune:
        size, dim, rank = max(space.image_size), max(space.adapter_dim), max(space.lora_rank)
    return replace(
        full_training(experiment, task),
        image_size=size,
        adapter_dim=signature.adapter_bucket(dim) if "adapter" in insertions(experiment) else 0,
        lora_rank=signature.lora_bucket(rank) if "lora" in insertions(experiment) else 0,
    )


def guessed(uri: str, experiment: Experiment) -> TaskInfo:
    """A task that cannot be opened, or is not to be: as large as the settings allow, with 100 classes."""
    cycle = experiment.batch_size * experiment.max_batches_per_cycle
    validated = experiment.batch_size * experiment.max_validation_batches
    classes = tuple(map(str, range(GUESSED_CLASSES)))
    return TaskInfo(f"~ {uri.partition('?')[0]}", uri, "", classes, cycle, validated, validated)


def largest(tasks: Sequence[TaskInfo], experiment: Experiment) -> TaskInfo:
    """The task whose children need most memory: by batch, then by classes."""
    return max(tasks, key=lambda task: (TaskWork.of(experiment, task).batch_size, task.num_classes))
