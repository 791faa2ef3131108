"""The population engine: trains the children of a generation side by side (DESIGN section 4).

    streams = children by the batches that they see
    groups  = children of a stream by static signature        (placement/grouping.py)
    chunks  = groups on devices, one dispatch each             (placement/devices.py)
    waves   = chunks that are on the devices at the same time  (wave.py trains them)

Children that do not share batches (replicas of a baseline, data settings drawn for every child) are trained stream by
stream. It is planned once: what the loop says of a generation is what will be trained.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from itertools import groupby
from weakref import WeakValueDictionary, ref

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, UInt8

from munet import rng
from munet.config import Config
from munet.data.augment import AugmentSettings
from munet.data.splits import Images, Split, SplitName
from munet.data.streamed import StreamedImages
from munet.data.tasks import Task
from munet.evolution.search_space import DATA_SETTINGS
from munet.training.assemble import Load
from munet.training.batches.resident import is_resident, max_resident
from munet.training.batches.stream import Resize, StreamSettings, TrainStream, segment_size
from munet.training.in_flight import InFlight
from munet.training.measure.class_means import Heads
from munet.training.placement import device_memory, grouping
from munet.training.placement.chunks import Placed, Wave
from munet.training.placement.devices import DeviceLayout, place
from munet.training.program import signature
from munet.training.program.signature import Signature
from munet.training.trainer import OnCycle, TrainedChild
from munet.training.wave import WaveTrainer
from munet.training.work import TaskWork
from munet.types import ChildPlan, GenerationPlan, ModelId, TaskName


class Population:
    """Trains generations of one run on the devices of this machine; see `Trainer`.

    Args:
      config: the run's settings.
      layout: its devices.
      tasks: its tasks by name.
      load: arrays of published components.
      in_flight: where a generation in training is saved, until who commits it clears that; None to save nothing.
    """

    def __init__(
        self,
        config: Config,
        layout: DeviceLayout,
        tasks: Mapping[TaskName, Task],
        load: Load,
        in_flight: InFlight | None = None,
    ):
        self._config, self._layout, self._tasks = config, layout, tasks
        self._in_flight = in_flight
        self._resident = ResidentImages(max_resident(config.runtime, layout))
        self._load = load
        self._waves = WaveTrainer(layout, load, in_flight)
        self._splits = WeakValueDictionary[tuple[TaskName, SplitName], Split]()

    def plan(self, generation: GenerationPlan, work: TaskWork, known: Collection[str] = ()) -> Placed:
        """Groups the children and places them on the devices; see `Trainer.plan`."""
        programs = [Signature.parse(program) for program in known]
        waves: list[Wave] = []
        for path, children in self._streams(generation, work):
            groups = self._groups(children, work, programs)
            reserved = 0
            if self._layout.memory is not None:
                reserved = self._reserved(generation.task, work, int(children[0].hyperparameters["image_size"]))
            chunks = place(groups, self._layout, reserved)
            for _, wave in groupby(chunks, key=lambda chunk: chunk.wave):
                waves.append(Wave(path, tuple(children), tuple(wave)))
        return Placed(generation, work, (*waves[:-1], replace(waves[-1], is_last=True)))

    def train(self, placed: Placed, on_cycle: OnCycle) -> dict[ModelId, TrainedChild]:
        """Trains the waves one after the other; see `Trainer.train`."""
        if self._in_flight:
            self._in_flight.begin()
        task, trained = placed.generation.task, dict[ModelId, TrainedChild]()
        heads = self._heads(placed.generation, placed.work)
        starts = heads.of(placed.generation.children) if heads else {}
        for wave in placed.waves:
            with closing(self._batches(wave, task, placed.work)) as stream:
                validation = self._split(task, "validation")
                trained |= self._waves.train(wave, placed.work, stream, validation, on_cycle, starts)
        if not heads:
            return trained
        return {child: _with_images(result, heads.cost(child)) for child, result in trained.items()}

    def _heads(self, generation: GenerationPlan, work: TaskWork) -> Heads | None:
        """Where new heads come from; None: they are drawn."""
        if work.new_heads == "zeros":
            return None
        path: rng.Path = (work.seed, generation.position.task_iteration, generation.task)
        return Heads(work, self._split(generation.task, "train"), self._load, path)

    def _split(self, task: TaskName, name: SplitName) -> Split:
        """A split of a task; held weakly, so that what the loop releases is free at once."""
        split = self._splits.get((task, name))
        if split is None:
            split = self._splits[task, name] = self._tasks[task].split(name)
        return split

    def _streams(self, generation: GenerationPlan, work: TaskWork) -> list[tuple[rng.Path, list[ChildPlan]]]:
        """Children that see the same batches, with the key of those batches."""
        position = generation.position
        path: rng.Path = (work.seed, position.task_iteration, generation.task, position.generation, "batches")
        if work.has_own_batches:
            return [((*path, "child", index), [child]) for index, child in enumerate(generation.children)]
        streams: dict[tuple[object, ...], list[ChildPlan]] = {}
        for child in generation.children:
            streams.setdefault(tuple(child.hyperparameters[name] for name in DATA_SETTINGS), []).append(child)
        return [(path, children) for children in streams.values()]

    def _groups(
        self, children: Sequence[ChildPlan], work: TaskWork, known: Collection[Signature]
    ) -> list[grouping.Group]:
        """The programs that the children of one stream will run in."""
        own = [signature.of_child(child, work) for child in children]
        return grouping.group_children(own, steps=work.num_steps, known=known, model=self._layout.cost_model)

    def _reserved(self, task: TaskName, work: TaskWork, image_size: int) -> int:
        """Bytes of each device that batches, validation images and training images take."""
        images = self._split(task, "train").images
        one = math.prod(images.shape[1:])
        resident = len(images) if is_resident(images, self._resident.limit) else 0
        batches = device_memory.batch_bytes(self._config, work.batch_size, image_size, work.num_validated, one)
        segment = segment_size(self._config, work.batch_size, image_size, one) * work.batch_size
        return batches + device_memory.training_bytes(resident, segment, one)

    def _batches(self, wave: Wave, task: TaskName, work: TaskWork) -> TrainStream:
        """The batches of a wave."""
        train = self._split(task, "train")
        one = math.prod(train.images.shape[1:])
        settings = StreamSettings(
            batch_size=work.batch_size,
            segment_size=segment_size(self._config, work.batch_size, wave.image_size, one),
            resize=Resize(wave.image_size, work.antialias),
            class_balanced=work.class_balanced,
            num_steps=work.num_steps,
            decoding_threads=self._config.runtime.decoding_threads,
        )
        augmentation = AugmentSettings.from_hyperparameters(wave.children[0].hyperparameters)
        return TrainStream(self._resident.of(train.images), train.labels, augmentation, wave.path, settings)


def _with_images(result: TrainedChild, images: int) -> TrainedChild:
    """What training a child gave, with what was done for its head."""
    return replace(result, cost=replace(result.cost, image_steps=result.cost.image_steps + images))


class ResidentImages:
    """The training images of the task in training, on the device; kept from generation to generation.

    Args:
      limit: bytes; more than these stay where they are.
    """

    def __init__(self, limit: float = math.inf) -> None:
        self.limit = limit
        self._held: tuple[ref[Images], jax.Array | StreamedImages] | None = None

    def of(self, images: Images) -> UInt8[Array, "n h w c"] | StreamedImages:
        """`images` on the device, or as what streams to it. Others that are there make room first."""
        if self._held is None or self._held[0]() is not images:
            self._held = None
            self._held = ref(images), self._placed(images)
        return self._held[1]

    def _placed(self, images: Images) -> jax.Array | StreamedImages:
        if isinstance(images, np.ndarray):
            return jnp.asarray(images) if is_resident(images, self.limit) else StreamedImages.of_array(images)
        return images
