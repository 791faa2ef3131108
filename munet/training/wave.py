"""Trains a wave of children, cycle by cycle, and goes on inside one that was saved (DESIGN section 4).

    for each cycle: for each segment of batches: every chunk trains on it; then every chunk validates

Programs are compiled side by side, before training. On a CPU as many chunks work at a time as there are cores;
elsewhere work is dispatched in order, and the devices do it meanwhile. Batches are made once and shared by all chunks;
the host hears once a cycle.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from munet.threads import in_threads
from munet.training.assemble import Load
from munet.training.batches.stream import Segment, TrainStream
from munet.training.chunk_training import ChunkTraining, compile_ahead
from munet.training.in_flight import InFlight, SaveKey
from munet.training.measure.validation import CycleScores, Validation
from munet.training.placement import grouping, out_of_memory
from munet.training.placement.chunks import Chunk, Wave
from munet.training.placement.devices import DeviceLayout
from munet.training.program import programs
from munet.training.program.signature import Signature
from munet.training.trainer import OnCycle, TrainedChild
from munet.training.work import TaskWork
from munet.types import ChildCost, ModelId

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

    def train(
        self, wave: Wave, work: TaskWork, stream: TrainStream, validation: Validation, on_cycle: OnCycle
    ) -> dict[ModelId, TrainedChild]:
        """Trains the children of a wave and returns them by id.

        Args:
          wave: where they train.
          work: what each of them is.
          stream: their batches.
          validation: the images that their qualities are counted on.
          on_cycle: told after each cycle.
        """
        started = time.perf_counter()
        chunks = [ChunkTraining.start(chunk, wave.of(chunk), work, self._load) for chunk in wave.chunks]
        ids = tuple(child.id for child in wave.trained)
        key = SaveKey(wave.path, ids, tuple(map(str, chunks)), validation.num_strata)
        first, scores = self._restored(key, chunks)
        if first < work.num_cycles:
            compile_ahead(chunks, stream.segment_shape, [piece.images.shape for piece in validation.pieces])
        for cycle in range(first, work.num_cycles):
            cycle_started = time.perf_counter()
            scores = self._train_cycle(cycle, chunks, stream, validation, scores)
            if self._in_flight:
                # A stream that is over is not trained again after a kill in one that follows.
                ends_stream = cycle + 1 == work.num_cycles and not wave.is_last
                self._in_flight.save(key, cycle, [chunk.state for chunk in chunks], scores, ends_stream)
            image_steps = work.image_steps_per_cycle * len(ids)
            on_cycle(cycle, scores.latest, image_steps, time.perf_counter() - cycle_started)
        seconds = self._attributed(wave.chunks, time.perf_counter() - started)
        image_steps = work.image_steps_per_cycle * work.num_cycles
        return {
            child.id: TrainedChild(
                scores.of(child.id), best, ChildCost(image_steps, seconds[chunk.program], str(chunk.program))
            )
            for chunk in chunks
            for child, best in zip(chunk.children, chunk.best_arrays(), strict=True)
        }

    def _train_cycle(
        self,
        cycle: int,
        chunks: Sequence[ChunkTraining],
        stream: TrainStream,
        validation: Validation,
        scores: CycleScores,
    ) -> CycleScores:
        """One cycle of every chunk: its steps, then its validation; the scores after it."""
        steps = chunks[0].work.steps_per_cycle
        for first, length in stream.segments(cycle * steps, steps):
            with out_of_memory.explained("preparing batches for", chunks[0].chunk):
                segment = stream.segment(first, length)
            self._train_on(segment, chunks)
        answers = self._evaluate_on(validation, chunks)
        for chunk, answer in zip(chunks, answers, strict=True):
            scores = chunk.keep_best(cycle, answer, validation, scores)
        return scores

    def _train_on(self, segment: Segment, chunks: Sequence[ChunkTraining]) -> None:
        """Every chunk trains on a segment of batches."""
        self._side_by_side(lambda chunk: chunk.train(segment), chunks)

    def _evaluate_on(self, validation: Validation, chunks: Sequence[ChunkTraining]) -> list[list[programs.Evaluation]]:
        """What the children of every chunk say of each piece, still on the devices."""
        return self._side_by_side(lambda chunk: chunk.evaluate(validation), chunks)

    def _side_by_side(self, work: Callable[[ChunkTraining], Result], chunks: Sequence[ChunkTraining]) -> list[Result]:
        """Dispatches the work of all chunks; where several work at a time, waits for it."""
        at_once = self._layout.at_once
        if at_once == 1 or len(chunks) == 1:
            return [work(chunk) for chunk in chunks]
        return list(in_threads(lambda chunk: chunk.wait_for(work(chunk)), chunks, at_once))

    def _attributed(self, chunks: Sequence[Chunk], seconds: float) -> dict[Signature, float]:
        """Shares the time that a wave took among its children by their programs' estimated cost."""
        used = [chunk.group.signature for chunk in chunks]
        weights = {program: grouping.step_seconds(program, self._layout.cost_model) for program in used}
        total = sum(weights[chunk.group.signature] * len(chunk.members) for chunk in chunks)
        return {program: seconds * weight / total for program, weight in weights.items()}

    def _restored(self, key: SaveKey, chunks: Sequence[ChunkTraining]) -> tuple[int, CycleScores]:
        """Goes on inside a wave that was saved; the first cycle to train, and the scores before it."""
        saved = self._in_flight.restore(key, [chunk.state for chunk in chunks]) if self._in_flight else None
        if saved is None:
            return 0, CycleScores.before(key.ids)
        for chunk, state in zip(chunks, saved.states, strict=True):
            chunk.state = state
        return saved.cycle + 1, saved.scores
