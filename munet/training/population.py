"""The population engine: trains the children of a generation side by side.

    streams = children by the batches that they see            (placement/streams.py)
    groups  = children of a stream by static signature        (placement/grouping.py)
    chunks  = groups on devices, one dispatch each             (placement/placing.py)
    waves   = chunks that are on the devices at the same time  (placement/waves.py; wave.py trains them)

Children that do not share batches (replicas of a baseline, data settings drawn for every child) are streams that train
side by side. It is planned once: what the loop says of a generation is what will be trained.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack, closing, nullcontext
from dataclasses import replace
from itertools import groupby
from weakref import WeakValueDictionary

from munet import rng
from munet.config import Config
from munet.data.augment import AugmentSettings
from munet.data.splits import Split, SplitName
from munet.data.tasks import Task
from munet.training.assemble import Load
from munet.training.batches.resident import ResidentImages, is_resident, max_resident
from munet.training.batches.stream import Resize, StreamSettings, TrainStream, segment_size
from munet.training.in_flight import InFlight
from munet.training.measure.class_means import Heads
from munet.training.placement import device_memory, grouping
from munet.training.placement.chunks import Placed, Wave
from munet.training.placement.devices import DeviceLayout
from munet.training.placement.placing import StreamGroups, place_streams
from munet.training.placement.streams import Stream, streams_of
from munet.training.placement.waves import Reserved
from munet.training.program import signature
from munet.training.program.signature import Signature
from munet.training.trainer import OnCompiled, OnCycle, TrainedChild, tell_nobody
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
        for streams in self._beside_each_other(generation, work):
            placed = [
                StreamGroups(
                    self._groups(stream.children, work, programs),
                    self._reserved(generation.task, work, stream.image_size),
                )
                for stream in streams
            ]
            chunks = place_streams(placed, self._layout)
            for _, wave in groupby(chunks, key=lambda chunk: chunk.wave):
                waves.append(Wave(streams, tuple(wave)))
        return Placed(generation, work, (*waves[:-1], replace(waves[-1], is_last=True)))

    def train(
        self, placed: Placed, on_cycle: OnCycle, on_compiled: OnCompiled = tell_nobody
    ) -> dict[ModelId, TrainedChild]:
        """Trains the waves one after the other; see `Trainer.train`."""
        if self._in_flight:
            self._in_flight.begin()
        task, trained = placed.generation.task, dict[ModelId, TrainedChild]()
        with self._in_flight.signals.let_through() if self._in_flight else nullcontext():
            heads = self._heads(placed.generation, placed.work)
            starts = heads.of(placed.generation.children) if heads else {}
        for wave in placed.waves:
            with ExitStack() as stack:
                streams = {
                    index: stack.enter_context(closing(self._batches(wave, index, task, placed.work)))
                    for index in wave.by_stream
                }
                validation = self._split(task, "validation")
                trained |= self._waves.train(wave, placed.work, streams, validation, on_cycle, starts, on_compiled)
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

    def _beside_each_other(self, generation: GenerationPlan, work: TaskWork) -> list[tuple[Stream, ...]]:
        """The streams of a generation, those together that may train in one wave."""
        streams = streams_of(generation, work)
        if len(streams) == 1 or is_resident(self._split(generation.task, "train").images, self._resident.limit):
            return [tuple(streams)]
        # A streamed set decodes ahead for each stream, with threads for every core: several would share them, and hold
        # several times as much. Training waits for its input then anyway, so one follows the other.
        return [(stream,) for stream in streams]

    def _groups(
        self, children: Sequence[ChildPlan], work: TaskWork, known: Collection[Signature]
    ) -> list[grouping.Group]:
        """The programs that the children of one stream will run in."""
        own = [signature.of_child(child, work) for child in children]
        return grouping.group_children(own, steps=work.num_steps, known=known, model=self._layout.cost_model)

    def _reserved(self, task: TaskName, work: TaskWork, image_size: int) -> Reserved:
        """What batches, validation images and training images of a stream take; nothing where nobody counts."""
        if self._layout.memory is None:
            return Reserved()
        images = self._split(task, "train").images
        one = math.prod(images.shape[1:])
        resident = len(images) if is_resident(images, self._resident.limit) else 0
        segment = segment_size(self._config, work.batch_size, image_size, one) * work.batch_size
        gathered = segment * one
        return Reserved(
            training=device_memory.training_bytes(resident, segment, one) - gathered,
            batches=device_memory.batch_bytes(self._config, work.batch_size, image_size, 0, one) + gathered,
            validation=device_memory.image_bytes(work.num_validated, image_size),
        )

    def _batches(self, wave: Wave, index: int, task: TaskName, work: TaskWork) -> TrainStream:
        """The batches of a stream in a wave, made on the first device of the first chunk that trains on them.

        Where a wave has one stream they are made on the first device of all, which has the training images anyway.
        """
        stream, chunks = wave.streams[index], wave.by_stream
        device = chunks[index][0].mesh.devices.flat[0] if len(chunks) > 1 else self._layout.devices[0]
        train = self._split(task, "train")
        one = math.prod(train.images.shape[1:])
        settings = StreamSettings(
            batch_size=work.batch_size,
            segment_size=segment_size(self._config, work.batch_size, stream.image_size, one),
            resize=Resize(stream.image_size, work.antialias),
            class_balanced=work.class_balanced,
            num_steps=work.num_steps,
            decoding_threads=self._config.runtime.decoding_threads,
            laws=work.laws,
        )
        augmentation = AugmentSettings.from_hyperparameters(stream.children[0].hyperparameters)
        images = self._resident.of(train.images, None if device == self._layout.devices[0] else device)
        return TrainStream(images, train.labels, augmentation, stream.path, settings)


def _with_images(result: TrainedChild, images: int) -> TrainedChild:
    """What training a child gave, with what was done for its head."""
    return replace(result, cost=replace(result.cost, image_steps=result.cost.image_steps + images))
