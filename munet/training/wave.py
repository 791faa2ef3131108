"""Trains a wave of children, cycle by cycle, and goes on inside one that was saved.

    for each cycle: for each turn of batches: every chunk trains on those of its stream; then every chunk validates

Programs are compiled side by side, before training. On a CPU as many chunks work at a time as there are cores;
elsewhere work is dispatched in order, and the devices do it meanwhile. Batches are made once and shared by all chunks
of their stream; the host hears once a cycle. Turns are short (pace.py), so that a run which is to end by a signal can
save what is in training and be gone in time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from types import MappingProxyType
from typing import TypeVar

from munet.data.splits import Split
from munet.stopping import Signals
from munet.threads import in_threads
from munet.training.assemble import FlatArrays, Load
from munet.training.batches.stream import Segment, TrainStream
from munet.training.chunk_training import ChunkTraining, compile_ahead
from munet.training.in_flight import InFlight, SaveKey
from munet.training.measure.validation import CycleScores, Validation
from munet.training.pace import Pace
from munet.training.placement import grouping, out_of_memory
from munet.training.placement.chunks import Chunk, Wave
from munet.training.placement.devices import DeviceLayout
from munet.training.program import programs
from munet.training.program.signature import Signature
from munet.training.trainer import OnCompiled, OnCycle, TrainedChild, tell_nobody
from munet.training.work import TaskWork
from munet.types import ChildCost, ModelId

Given = TypeVar("Given")
Result = TypeVar("Result")


class WaveTrainer:
    """Trains waves, one after the other.

    Args:
      layout: the devices.
      load: arrays of published components.
      in_flight: where a wave in training is saved; None to save nothing.
    """

    def __init__(self, layout: DeviceLayout, load: Load, in_flight: InFlight | None = None):
        self._layout, self._load, self._in_flight = layout, load, in_flight
        self._compiled: set[Hashable] = set()  # programs that earlier waves compiled
        self._signals = in_flight.signals if in_flight else Signals()

    def train(
        self,
        wave: Wave,
        work: TaskWork,
        streams: Mapping[int, TrainStream],
        validation_split: Split,
        on_cycle: OnCycle,
        heads: Mapping[ModelId, FlatArrays] = MappingProxyType({}),
        on_compiled: OnCompiled = tell_nobody,
    ) -> dict[ModelId, TrainedChild]:
        """Trains the children of a wave and returns them by id.

        Args:
          wave: where they train.
          work: what each of them is.
          streams: their batches, by the streams that its chunks index.
          validation_split: of their task; the images that qualities are counted on are its first.
          on_cycle: told after each cycle.
          heads: what new heads start from, where they are not drawn.
          on_compiled: told while programs are compiled.
        """
        started = time.perf_counter()
        with self._signals.let_through():
            trainings = [ChunkTraining.start(chunk, wave.of(chunk), work, self._load, heads) for chunk in wave.chunks]
            sizes = {training.program.image_size for training in trainings}
            validations = {size: Validation(validation_split, work, size) for size in sorted(sizes)}
            ids = tuple(child.id for child in wave.trained)
            num_strata = validations[min(sizes)].num_strata  # of labels, whatever the size
            key = SaveKey(wave.path, ids, tuple(map(str, trainings)), num_strata)
            first, steps, scores = self._restored(key, trainings)
            if first < work.num_cycles:
                shapes = {size: [piece.images.shape for piece in one.pieces] for size, one in validations.items()}
                compile_ahead(
                    trainings,
                    [streams[training.chunk.stream].segment_shape for training in trainings],
                    [shapes[training.program.image_size] for training in trainings],
                    self._compiled,
                    on_compiled,
                )
        pace = Pace()
        for cycle in range(first, work.num_cycles):
            cycle_started = time.perf_counter()
            for done in self._train_on(streams, cycle, steps if cycle == first else 0, trainings, pace):
                if self._in_flight and self._signals.is_requested:
                    self._in_flight.save_part(key, cycle, done, [training.state for training in trainings], scores)
                    self._signals.check()
            scores = self._validated(validations, cycle, trainings, scores)
            if self._in_flight:
                # A wave that is over is not trained again after a kill in one that follows.
                ends_stream = cycle + 1 == work.num_cycles and not wave.is_last
                self._in_flight.save(key, cycle, [training.state for training in trainings], scores, ends_stream)
            image_steps = work.image_steps_per_cycle * len(ids)
            on_cycle(cycle, scores.latest, image_steps, time.perf_counter() - cycle_started)
            self._signals.check()
        seconds = self._attributed(wave.chunks, time.perf_counter() - started)
        image_steps = work.image_steps_per_cycle * work.num_cycles
        return {
            child.id: TrainedChild(
                scores.of(child.id), best, ChildCost(image_steps, seconds[training.program], str(training.program))
            )
            for training in trainings
            for child, best in zip(training.children, training.best_arrays(), strict=True)
        }

    def _train_on(
        self,
        streams: Mapping[int, TrainStream],
        cycle: int,
        done: int,
        trainings: Sequence[ChunkTraining],
        pace: Pace,
    ) -> Iterator[int]:
        """Every chunk trains on the batches that its stream has for a cycle, in turns as long as the pace says.

        Args:
          streams, cycle, trainings: what is trained on what.
          done: steps of the cycle that are already done.
          pace: how long turns are.

        Yields:
          After each turn: the steps of the cycle that are done, by every chunk.
        """
        steps = trainings[0].work.steps_per_cycle
        longest = max(stream.segment_shape[0] for stream in streams.values())
        pace.begin()
        while done < steps:
            length = min(pace.steps, longest, steps - done)
            segments = {index: stream.segments(cycle * steps + done, length) for index, stream in streams.items()}
            for number in range(max(map(len, segments.values()))):  # large images come in more of them than small ones
                wanted = {index: own[number] for index, own in segments.items() if number < len(own)}
                self._dispatch_training(streams, wanted, trainings)
            done += length
            pace.dispatched(length, [training.state for training in trainings])
            yield done

    def _validated(
        self,
        validations: Mapping[int, Validation],
        cycle: int,
        trainings: Sequence[ChunkTraining],
        scores: CycleScores,
    ) -> CycleScores:
        """Every chunk is validated and keeps what is best of its children; the scores after the cycle."""
        answers = self._dispatch_evaluation(validations, trainings)
        for training, answer in zip(trainings, answers, strict=True):
            scores = training.keep_best(cycle, answer, validations[training.program.image_size], scores)
        return scores

    def _dispatch_training(
        self,
        streams: Mapping[int, TrainStream],
        wanted: Mapping[int, tuple[int, int]],
        trainings: Sequence[ChunkTraining],
    ) -> None:
        """Every chunk of some streams trains on a segment, given as the first of its steps and their number."""
        working = [training for training in trainings if training.chunk.stream in wanted]

        def with_segments() -> Iterator[tuple[ChunkTraining, Segment]]:
            # A segment is made when its first chunk is about to train (in threads a few chunks sooner, see
            # `in_threads`), and no longer held when its last one has: few are alive, however many streams there are.
            for index, own in groupby(working, key=lambda training: training.chunk.stream):
                first, *others = own
                with out_of_memory.explained("preparing batches for", first.chunk):
                    segment = streams[index].segment(*wanted[index])
                yield from ((training, segment) for training in (first, *others))

        self._side_by_side(ChunkTraining.train, with_segments(), len(working))

    def _dispatch_evaluation(
        self, validations: Mapping[int, Validation], trainings: Sequence[ChunkTraining]
    ) -> list[list[programs.Evaluation]]:
        """What the children of every chunk say of each piece, still on the devices."""
        each = ((training, validations[training.program.image_size]) for training in trainings)
        return self._side_by_side(ChunkTraining.evaluate, each, len(trainings))

    def _side_by_side(
        self, work: Callable[[ChunkTraining, Given], Result], each: Iterable[tuple[ChunkTraining, Given]], count: int
    ) -> list[Result]:
        """Dispatches the work of `count` chunks; where several work at a time, waits for it."""
        at_once = self._layout.chunks_at_once
        if at_once == 1 or count == 1:
            return [work(training, given) for training, given in each]
        return list(in_threads(lambda one: one[0].wait_for(work(*one)), each, at_once))

    def _attributed(self, chunks: Sequence[Chunk], seconds: float) -> dict[Signature, float]:
        """Shares the time that a wave took among its children by their programs' estimated cost."""
        used = [chunk.group.signature for chunk in chunks]
        weights = {program: grouping.step_seconds(program, self._layout.cost_model) for program in used}
        total = sum(weights[chunk.group.signature] * len(chunk.members) for chunk in chunks)
        return {program: seconds * weight / total for program, weight in weights.items()}

    def _restored(self, key: SaveKey, trainings: Sequence[ChunkTraining]) -> tuple[int, int, CycleScores]:
        """Goes on inside a wave that was saved; the cycle to train, its steps already done, the scores before it."""
        saved = self._in_flight.restore(key, [training.state for training in trainings]) if self._in_flight else None
        if saved is None:
            return 0, 0, CycleScores.before(key.ids)
        for training, state in zip(trainings, saved.states, strict=True):
            training.state = state
        return saved.cycles, saved.steps, saved.scores
