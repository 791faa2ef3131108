"""The one loop of every joint training: blocks of rounds, measurements, decisions, saves."""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from munet.errors import DivergedError
from munet.joint.best import Leaders
from munet.joint.held_out import Measured, mean_quality, predict
from munet.joint.job import Job
from munet.joint.learner import Place, StreamName
from munet.joint.program import Carried, Programs, mesh_of
from munet.joint.records import CurvePoint, Decision
from munet.joint.rounds import Picked, Rounds
from munet.joint.saving import JointSaves
from munet.joint.workdir import Workdir
from munet.progress import events
from munet.progress.events import Notify
from munet.progress.wording import describe_rate
from munet.report import curve
from munet.run.deadline import Deadline, TimeIsUpError
from munet.training.pace import Pace, Seldom
from munet.types import TaskName

_PROGRESS_SECONDS = 60.0  # a line tells how far training is at least this often
_WRITING_SHARE = 0.05  # of the time that writing the curve may take, which grows with every point


@dataclass(frozen=True)
class Trained:
    """The end of a training: its states on the devices, and the seconds that it took, all starts together.

    Attributes:
      state: the version that counts.
      last: after all rounds.
      best: the best one of the rounds before any final ones; None if none is kept.
    """

    state: Any
    last: Any
    best: Any
    programs: Programs
    points: tuple[CurvePoint, ...]
    seconds: float


@dataclass(frozen=True)
class _Kept:
    """What is saved: what training goes on from, and the best version so far."""

    carried: Carried
    best: Any = None


jax.tree_util.register_dataclass(_Kept, ["carried", "best"], [])


class Training:
    """One start of a training.

    Args:
      job: what is trained on what.
      place: where the curve and the saves go; its lock is held.
      saving: the saves.
      notify: told everything that happens.
      deadline: of this start.
    """

    def __init__(self, job: Job, place: Workdir, saving: JointSaves, notify: Notify, deadline: Deadline | None = None):
        self._job, self._place, self._saving, self._notify = job, place, saving, notify
        self._deadline = deadline or Deadline()
        self._mesh = mesh_of(job.layout, len(job.seeds))
        self._programs = Programs(job.learner, len(job.seeds), self._mesh)
        self._seconds_before, self._started = 0.0, time.monotonic()
        self._points: list[CurvePoint] = []
        self._decisions: list[Decision] = []
        self._writes = Seldom(_WRITING_SHARE)
        self._leaders = Leaders(job.learner.groups, job.keeps_best or "loss", len(job.seeds))

    def run(self) -> Trained:
        """From wherever training is to the last round.

        Raises:
          DivergedError: a loss is no longer finite.
          TimeIsUpError: the deadline has passed; what can be is saved.
        """
        job, step = self._job, 0
        carried = self._programs.initial(job.seeds, [stream.name for stream in job.streams])
        # A copy, because either of them is donated while the other lives.
        kept = _Kept(carried, jax.tree.map(jnp.copy, carried.state) if job.keeps_best else None)
        if (saved := self._saving.restore(kept)) is not None:
            step, kept, self._seconds_before = saved.step, saved.state, saved.seconds
            self._points = [point for point in self._place.curve() if point.step <= step]
            self._decisions = [decision for decision in self._place.decisions() if decision.round <= step]
            if job.keeps_best:
                self._leaders.add(self._points)
        self._tell_start(step)
        self._started = time.monotonic()
        rounds = Rounds(
            job.streams,
            job.seeds,
            size=job.length.block,
            num_rounds=job.length.total,
            mesh=self._mesh,
            limit=job.free.max_resident,
            num_threads=job.free.decoding_threads,
        )
        try:
            with self._saving.signals.held() if self._saving.is_wanted else nullcontext():
                kept = self._blocks(kept, rounds, step)
        finally:
            rounds.close()
            self._saving.wait()  # an interrupted training leaves a whole save behind, not half of one
        is_best = job.keeps_best and not job.length.final_rounds
        state = kept.best if is_best else kept.carried.state
        return Trained(state, kept.carried.state, kept.best, self._programs, tuple(self._points), self._seconds)

    @property
    def _seconds(self) -> float:
        return self._seconds_before + time.monotonic() - self._started

    def _tell_start(self, step: int) -> None:
        job = self._job
        self._notify(
            events.TrainingStarted(
                workdir=self._place.path,
                title=job.words.title,
                task_names=tuple(task.info.name for task in job.tasks),
                num_rounds=job.length.total,
                images_per_round=job.images_per_round * len(job.seeds),
                rounds_done=step,
                unit=job.words.unit,
                example=job.example,
            )
        )

    def _blocks(self, kept: _Kept, rounds: Rounds, first: int) -> _Kept:
        job, length, signals = self._job, self._job.length, self._saving.signals
        pace = Pace(length.block)
        began = told = time.monotonic()
        windows = length.windows(first, lambda: pace.steps)
        window = next(windows, None)
        following = _drawn(rounds, window)
        while window is not None:
            (start, stop), picked = window, following
            if start == first:
                with signals.let_through():  # nothing is to be saved
                    kept = replace(kept, carried=self._compiled(kept.carried, picked, rounds))
                began = time.monotonic()
            pace.begin()
            kept = replace(kept, carried=self._programs.run(kept.carried, picked, rounds.sets, stop - start))
            window = next(windows, None)  # drawn while the devices are at work; as long as the turns before say
            following = _drawn(rounds, window)
            self._check_losses(kept.carried, stop)  # waits for the rounds
            pace.dispatched(stop - start, [])
            self._notify(events.Advanced(stop))
            now, is_point = time.monotonic(), length.is_point(stop)
            if is_point:
                kept = self._measure(kept, stop)
            elif now - told > _PROGRESS_SECONDS:
                self._notify(events.Note(self._progress(stop, (stop - first) / (now - began))))
            told = now if is_point or now - told > _PROGRESS_SECONDS else told
            if stop == length.num_rounds and length.final_rounds and job.keeps_best:
                kept = replace(kept, carried=kept.carried._replace(state=jax.tree.map(jnp.copy, kept.best)))
            if length.decide_every and stop % length.decide_every == 0:
                if stop < length.total:
                    kept = replace(kept, carried=self._decide(kept.carried, stop))
                elif length.asks_at_end:
                    self._decide(kept.carried, stop)
            self._place.check_held()  # or hours would be trained for a directory that is gone
            if stop < length.total:
                self._save(kept, stop)
                signals.check()
        self._write()
        return kept

    def _compiled(self, carried: Carried, picked: Mapping[StreamName, Picked], rounds: Rounds) -> Carried:
        """The same, after the program has been compiled by training no round."""
        self._notify(events.Compiling(0, 1))
        carried = jax.block_until_ready(self._programs.run(carried, picked, rounds.sets, 0))
        self._notify(events.Compiling(1, 1))
        return carried

    def _save(self, kept: _Kept, step: int) -> None:
        """Saves if it is time to.

        Raises:
          TimeIsUpError: the deadline has passed; what can be is saved.
        """
        if self._deadline.is_over():
            self._write()
            self._saving.save(kept, step, self._seconds)
            self._saving.wait()
            raise TimeIsUpError(is_saved=not self._saving.has_failed)
        if self._saving.is_due:
            self._write()  # who goes on from a save finds all lines up to it
            self._saving.save_if_due(kept, step, self._seconds)

    def _write(self) -> None:
        """The curve, its picture and all decisions, each as a whole."""
        if self._points:
            job = self._job
            shown = [point for point in self._points if point.replica == 0]
            self._place.write_curve(self._points, curve.to_svg(shown, job.length.total, job.words.picture))
        if self._decisions:
            self._place.write_decisions(self._decisions)

    def _measure(self, kept: _Kept, step: int) -> _Kept:
        """Adds a point to the curve, of every replica; the sums of losses begin anew."""
        job, state = self._job, kept.carried.state
        measured = self._validated(state)
        sums = self._programs.taken(kept.carried.loss_sums)
        since = step - (self._points[-1].step if self._points else 0)
        for replica in range(len(job.seeds)):
            own = {name: found[replica] for name, found in measured.items()}
            training = {name: float(total) / since for name, total in sums[replica].items()}
            point = CurvePoint(
                step=step,
                epoch=step * job.images_per_round / job.num_images,
                learning_rate=job.learner.learning_rate(step - 1),
                training_loss=math.fsum(training.values()) / len(training),
                validation_loss=self._validation_loss(own.values()),
                validation={name: one.quality for name, one in own.items() if one.quality is not None},
                seconds=self._seconds,
                replica=replica,
                training_losses=training,
                validation_losses={name: one.loss for name, one in own.items()},
            )
            for name, loss in point.validation_losses.items():
                self._check(loss, step, replica, name)
            self._points.append(point)
        latest = self._points[-len(job.seeds) :]
        self._writes(self._write)
        if job.length.is_told(step, job.length.validate_every):
            means = tuple(mean_quality(point.validation) for point in latest) if latest[0].validation else ()
            losses, first = tuple(point.validation_loss for point in latest), latest[0]
            self._notify(events.Measured(step, first.epoch, first.training_loss, first.validation, means, losses))
        if job.keeps_best and step <= job.length.num_rounds:
            kept = replace(kept, best=self._programs.keep(kept.best, state, self._leaders.add(latest)))
        return replace(kept, carried=self._programs.without_sums(kept.carried))

    def _validated(self, state: Any) -> Mapping[TaskName, Sequence[Measured]]:
        job = self._job
        if job.measure_all is not None:
            return job.measure_all(self._programs, state, "validation")
        return {
            name: [one.of(split.labels) for one in predict(self._programs, state, name, split, job.resize[name])]
            for name, split in job.validation.items()
        }

    def _validation_loss(self, measured: Collection[Measured]) -> float:
        """Over the images of all tasks; where tasks are of any kind the mean over tasks, which the best version has."""
        if self._job.measure_all is not None:
            return math.fsum(one.loss for one in measured) / len(measured)
        return sum(one.loss * one.counted for one in measured) / sum(one.counted for one in measured)

    def _decide(self, carried: Carried, step: int) -> Carried:
        """Asks the learner, replica by replica, and keeps what it says."""
        job, states, is_new = self._job, [], False
        before = self._programs.views(carried.state)
        for seed, given in zip(job.seeds, before, strict=True):
            state, record = job.learner.decide(given, Place(seed, step, job.length.total))
            states.append(state)
            if record is not None:
                self._decisions.append(Decision(step, seed, record))
                if state is not given and job.length.is_told(step, job.length.decide_every):  # else it is only kept
                    self._notify(events.Decided(step, seed, record))
                is_new = True
        if is_new:
            self._writes(self._write)
        if all(one is other for one, other in zip(states, before, strict=True)):
            return carried
        return carried._replace(state=self._programs.put_changed(carried.state, before, states))

    def _check_losses(self, carried: Carried, step: int) -> None:
        for name, sums in carried.loss_sums.items():
            for replica, loss in enumerate(np.atleast_1d(np.asarray(sums))):
                self._check(float(loss), step, replica, name)

    def _check(self, loss: float, step: int, replica: int, name: str) -> None:
        if math.isfinite(loss):
            return
        job = self._job
        self._write()  # how it came to this is in the curve
        of = f" of {name}" if len(job.streams) > 1 else ""
        by = f" (seed {job.seeds[replica]})" if len(job.seeds) > 1 else ""
        raise DivergedError(
            f"Training diverged: at {job.words.unit} {step:,} of {job.length.total:,} the loss{of}{by} is {loss}. "
            f"{job.words.advice}, in another --workdir: nothing in {self._place.path} is of use."
        )

    def _progress(self, step: int, rate: float) -> str:
        job = self._job
        speed = describe_rate(
            rate * job.images_per_round * len(job.seeds), (job.length.total - step) / rate, job.example
        )
        return f"{job.words.unit} {step:,} of {job.length.total:,}; {speed}"


def _drawn(rounds: Rounds, window: tuple[int, int] | None) -> Mapping[StreamName, Picked]:
    """The batches of the rounds of a window; of none if there is none."""
    return rounds.block(window[0], window[1] - window[0]) if window else {}
