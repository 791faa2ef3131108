"""The population engine: trains the children of a generation side by side (DESIGN section 4).

    groups  = children by static signature         (grouping.py)
    chunks  = groups on devices                     (placement.py)
    state   = parameters, momentum, best-so-far     (chunk_run.py)
    for each cycle: for each segment of batches: every chunk trains on it; then every chunk validates

Programs are compiled side by side, before training. On a CPU as many chunks are at work as there are cores; elsewhere
work is dispatched in order, and the devices do it meanwhile. Batches are made once and shared by all chunks; the host
hears once a cycle. Children that do not share batches (replicas of a baseline, data settings drawn for every child) are
trained stream by stream.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import groupby
from typing import TypeVar

from munet import rng
from munet.config import Config
from munet.data import loader
from munet.data.augment import AugmentSettings
from munet.data.tasks import Task
from munet.evolution import schedule
from munet.evolution.search_space import DATA_SETTINGS
from munet.threads import in_threads
from munet.training.assemble import FlatArrays
from munet.training.batches.resident import ResidentImages, is_resident, max_resident
from munet.training.batches.stream import Segment, TrainStream
from munet.training.chunk_training import ChunkRun, Load, compile_ahead
from munet.training.in_flight import InFlight, SaveKey
from munet.training.measure.validation import Validation
from munet.training.placement import grouping, input_memory, out_of_memory
from munet.training.placement.chunks import Chunk
from munet.training.placement.devices import DeviceLayout, place
from munet.training.program import precision, programs, signature
from munet.training.program.signature import Signature
from munet.types import (
    ChildCost,
    ChildPlan,
    ComponentName,
    CycleQualities,
    GenerationPlan,
    ModelId,
    Quality,
)
from munet.vit import architecture

Result = TypeVar("Result")
OnCycle = Callable[[int, Mapping[ModelId, Quality], int, float], None]


@dataclass(frozen=True)
class TrainedChild:
    """What training one child gave.

    Attributes:
      training: the quality of each cycle.
      best: unpadded arrays of its trainable components at its best cycle.
      cost: for the journal.
    """

    training: CycleQualities
    best: Mapping[ComponentName, FlatArrays]
    cost: ChildCost


class Population:
    """Trains generations of one run.

    Args:
      config: the run's settings.
      layout: its devices.
      load: arrays of published components.
      in_flight: where a generation in training is saved, until who commits it clears that; None to save nothing.
    """

    def __init__(self, config: Config, layout: DeviceLayout, load: Load, in_flight: InFlight | None = None):
        self._config, self._experiment = config, config.experiment
        self._variant = architecture.get_variant(config.experiment.variant)
        self._layout = layout
        self._load = load
        self._in_flight = in_flight
        self._resident = ResidentImages(max_resident(config.runtime, layout))

    def train(
        self, plan: GenerationPlan, task: Task, known: Collection[Signature], on_cycle: OnCycle
    ) -> dict[ModelId, TrainedChild]:
        """Trains every child of a generation and returns them by id.

        Args:
          plan: the children.
          task: the active task.
          known: programs that the run has used before (they decide the grouping, see `grouping`).
          on_cycle: called after each cycle with (cycle, qualities, image steps, seconds).
        """
        trained: dict[ModelId, TrainedChild] = {}
        if self._in_flight:
            self._in_flight.begin()
        waves = [
            (path, children, chunks)
            for path, children in self._streams(plan)
            for chunks in self._waves(children, task, known)
        ]
        for index, (path, children, chunks) in enumerate(waves):
            with closing(self._batches(path, children, task)) as stream:
                is_last = index + 1 == len(waves)
                trained |= self._train_wave(stream, path, children, chunks, task, on_cycle, is_last)
        return trained

    def num_programs(self, plan: GenerationPlan, task: Task, known: Collection[Signature]) -> int:
        """How many train programs the generation runs in, all streams together; arguments as for `train`."""
        streams = [children for _, children in self._streams(plan)]
        return len({group.signature for children in streams for group in self._groups(children, task, known)})

    def _groups(self, children: Sequence[ChildPlan], task: Task, known: Collection[Signature]) -> list[grouping.Group]:
        """The programs that the children of one stream will run in."""
        batch_size = loader.effective_batch_size(task.info.num_train, self._experiment)
        steps = loader.steps_per_cycle(task.info.num_train, self._experiment)
        return grouping.group_children(
            [
                signature.of_child(
                    child,
                    self._variant,
                    batch_size=batch_size,
                    num_classes=task.info.num_classes,
                    dtype=precision.compute_dtype(self._experiment),
                )
                for child in children
            ],
            steps=steps * schedule.cycles_per_child(self._experiment),
            known=known,
            model=self._layout.cost_model,
        )

    def _streams(self, plan: GenerationPlan) -> list[tuple[rng.Path, list[ChildPlan]]]:
        """Children that see the same batches, with the key of those batches."""
        position, seed = plan.position, self._experiment.seed
        path: rng.Path = (seed, position.task_iteration, plan.task, position.generation, "batches")
        if schedule.streams_per_child(self._experiment):
            return [((*path, "child", index), [child]) for index, child in enumerate(plan.children)]
        streams: dict[tuple[object, ...], list[ChildPlan]] = {}
        for child in plan.children:
            streams.setdefault(tuple(child.hyperparameters[name] for name in DATA_SETTINGS), []).append(child)
        return [(path, children) for children in streams.values()]

    def _waves(self, children: Sequence[ChildPlan], task: Task, known: Collection[Signature]) -> list[list[Chunk]]:
        """Chunks that fit the devices together; those that do not see the same batches one after the other."""
        image_size = int(children[0].hyperparameters["image_size"])
        chunks = place(self._groups(children, task, known), self._layout, self._reserved(task, image_size))
        return [list(wave) for _, wave in groupby(chunks, key=lambda chunk: chunk.wave)]

    def _reserved(self, task: Task, image_size: int) -> int:
        """Bytes of each device that batches, validation images and training images take."""
        batch_size = loader.effective_batch_size(task.info.num_train, self._experiment)
        validated = loader.num_validated(task.info.num_validation, self._experiment)
        images = task.split("train").images
        one = math.prod(images.shape[1:])
        resident = len(images) if is_resident(images, self._resident.limit) else 0
        segment = self._segment_size(task, image_size) * batch_size
        return input_memory.batch_bytes(
            self._config, batch_size, image_size, validated, one
        ) + input_memory.training_bytes(resident, segment, one)

    def _segment_size(self, task: Task, image_size: int) -> int:
        """Steps in a segment of batches."""
        batch_size = loader.effective_batch_size(task.info.num_train, self._experiment)
        return input_memory.segment_size(
            self._config, batch_size, image_size, math.prod(task.split("train").images.shape[1:])
        )

    def _batches(self, path: rng.Path, children: list[ChildPlan], task: Task) -> TrainStream:
        """The batches of one stream."""
        experiment = self._experiment
        image_size = int(children[0].hyperparameters["image_size"])
        train = task.split("train")
        return TrainStream(
            self._resident.of(train.images),
            train.labels,
            AugmentSettings.from_hyperparameters(children[0].hyperparameters),
            path,
            batch_size=loader.effective_batch_size(task.info.num_train, experiment),
            segment_size=self._segment_size(task, image_size),
            image_size=image_size,
            antialias=experiment.antialias,
            class_balanced=experiment.class_balanced,
            num_steps=loader.steps_per_cycle(task.info.num_train, experiment) * schedule.cycles_per_child(experiment),
            decoding_threads=self._config.runtime.decoding_threads,
        )

    def _train_wave(
        self,
        stream: TrainStream,
        path: rng.Path,
        children: list[ChildPlan],
        chunks: Sequence[Chunk],
        task: Task,
        on_cycle: OnCycle,
        is_last: bool,
    ) -> dict[ModelId, TrainedChild]:
        started = time.perf_counter()
        experiment = self._experiment
        steps = loader.steps_per_cycle(task.info.num_train, experiment)
        num_cycles = schedule.cycles_per_child(experiment)
        runs = [self._start(chunk, children, task, steps, num_cycles) for chunk in chunks]
        children = [children[index] for index in sorted(index for chunk in chunks for index in chunk.members)]
        image_size = int(children[0].hyperparameters["image_size"])
        batch_size = chunks[0].group.signature.batch_size
        validation = Validation(task, experiment, image_size)
        qualities: dict[ModelId, list[Quality]] = {child.id: [] for child in children}
        diverged: dict[ModelId, int] = {}
        ids = tuple(child.id for child in children)
        what = SaveKey(path, ids, tuple(map(str, runs)), validation.num_strata)
        first_cycle = self._restore(what, runs, qualities, diverged)
        if first_cycle < num_cycles:
            compile_ahead(runs, stream.segment_shape, [piece.images.shape for piece in validation.pieces])
        for cycle in range(first_cycle, num_cycles):
            cycle_started = time.perf_counter()
            for first, length in stream.segments(cycle * steps, steps):
                with out_of_memory.explained("preparing batches for", chunks[0]):
                    segment = stream.segment(first, length)
                _train(runs, segment, self._layout.at_once)
            results = _evaluate(runs, validation, self._layout.at_once)
            for run, result in zip(runs, results, strict=True):
                run.keep_best(result, validation, cycle, qualities, diverged)
            # A stream that is over is not trained again after a kill in one that follows.
            self._save(what, cycle, runs, qualities, diverged, ends_stream=cycle + 1 == num_cycles and not is_last)
            image_steps = steps * batch_size * len(children)
            latest = {child.id: qualities[child.id][-1] for child in children}
            on_cycle(cycle, latest, image_steps, time.perf_counter() - cycle_started)
        image_steps = steps * batch_size * num_cycles
        seconds = self._attribute(chunks, time.perf_counter() - started)
        return {
            child.id: TrainedChild(
                CycleQualities(tuple(qualities[child.id]), diverged.get(child.id)),
                best,
                ChildCost(image_steps, seconds[run.chunk.group.signature], str(run.chunk.group.signature)),
            )
            for run in runs
            for child, best in zip(run.children, run.best_arrays(), strict=True)
        }

    def _start(self, chunk: Chunk, children: Sequence[ChildPlan], task: Task, steps: int, num_cycles: int) -> ChunkRun:
        return ChunkRun.start(
            chunk,
            [children[index] for index in chunk.members],
            num_classes=task.info.num_classes,
            seed=self._experiment.seed,
            clip_norm=self._experiment.clip_norm,
            steps_per_cycle=steps,
            num_cycles=num_cycles,
            load=self._load,
        )

    def _attribute(self, chunks: Sequence[Chunk], seconds: float) -> dict[Signature, float]:
        """Shares the time that a wave took among its children by their programs' estimated cost."""
        used = [chunk.group.signature for chunk in chunks]
        weights = {program: grouping.step_seconds(program, self._layout.cost_model) for program in used}
        total = sum(weights[chunk.group.signature] * len(chunk.members) for chunk in chunks)
        return {program: seconds * weight / total for program, weight in weights.items()}

    def _save(
        self,
        what: SaveKey,
        cycle: int,
        runs: list[ChunkRun],
        qualities: Mapping[ModelId, list[Quality]],
        diverged: Mapping[ModelId, int],
        ends_stream: bool,
    ) -> None:
        if self._in_flight:
            self._in_flight.save(what, cycle, [run.state for run in runs], qualities, diverged, ends_stream)

    def _restore(
        self,
        what: SaveKey,
        runs: list[ChunkRun],
        qualities: dict[ModelId, list[Quality]],
        diverged: dict[ModelId, int],
    ) -> int:
        """Continues inside a generation that was saved; returns the first cycle to train."""
        saved = self._in_flight.restore(what, [run.state for run in runs]) if self._in_flight else None
        if saved is None:
            return 0
        for run, state in zip(runs, saved.states, strict=True):
            run.state = state
        qualities |= saved.qualities
        diverged |= saved.diverged
        return saved.cycle + 1


def _train(runs: Sequence[ChunkRun], segment: Segment, at_once: int) -> list[programs.ChildState]:
    """Every chunk trains on a segment of batches; their states."""
    return _side_by_side(lambda run: run.train(segment), runs, at_once)


def _evaluate(runs: Sequence[ChunkRun], validation: Validation, at_once: int) -> list[list[programs.Evaluation]]:
    """What the children of every chunk say of each piece, still on the devices."""
    return _side_by_side(lambda run: run.evaluate(validation), runs, at_once)


def _side_by_side(work: Callable[[ChunkRun], Result], runs: Sequence[ChunkRun], at_once: int) -> list[Result]:
    """Dispatches the work of all chunks; with several at_once, so many at a time, and waits for it."""
    if at_once == 1 or len(runs) == 1:
        return [work(run) for run in runs]
    return list(in_threads(lambda run: run.wait_for(work(run)), runs, at_once))
