"""The one loop of every joint training: blocks of rounds, measurements, decisions, saves.

How a point of the curve is measured is in `measuring.py`; what was measured and decided so far, and its files, in
`course.py`; what is said of it in `telling.py`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from munet.joint import measuring, telling
from munet.joint.best import Leaders
from munet.joint.course import Course
from munet.joint.held_out import mean_quality
from munet.joint.job import Job
from munet.joint.learner import Place, StreamName
from munet.joint.program import Carried, Programs, mesh_of
from munet.joint.records import CurvePoint, Decision
from munet.joint.rounds import Picked, Rounds
from munet.joint.saving import JointSaves
from munet.joint.workdir import Workdir
from munet.progress import events
from munet.progress.events import Notify
from munet.run.deadline import Deadline, TimeIsUpError
from munet.training.pace import Pace

_PROGRESS_SECONDS = 60.0  # a line tells how far training is at least this often


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
        self._course = Course(job, place)
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
            self._course.restore(step)
            if job.keeps_best:
                self._leaders.add(self._course.points)
        self._notify(telling.started(job, self._place.path, step))
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
        return Trained(state, kept.carried.state, kept.best, self._programs, tuple(self._course.points), self._seconds)

    @property
    def _seconds(self) -> float:
        return self._seconds_before + time.monotonic() - self._started

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
                self._notify(events.Note(telling.progress(job, stop, (stop - first) / (now - began))))
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
        self._course.write()
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
            self._course.write()
            self._saving.save(kept, step, self._seconds)
            self._saving.wait()
            raise TimeIsUpError(is_saved=not self._saving.has_failed)
        if self._saving.is_due:
            self._course.write()  # who goes on from a save finds all lines up to it
            self._saving.save_if_due(kept, step, self._seconds)

    def _measure(self, kept: _Kept, step: int) -> _Kept:
        """Adds a point to the curve, of every replica; the sums of losses begin anew."""
        job, state = self._job, kept.carried.state
        measured = measuring.validate(job, self._programs, state)
        sums = self._programs.taken(kept.carried.loss_sums)
        latest: list[CurvePoint] = []
        for point in measuring.points(job, measured, sums, step, step - self._course.measured_at, self._seconds):
            for name, loss in point.validation_losses.items():
                self._check(loss, step, point.replica, name)
            self._course.points.append(point)
            latest.append(point)
        self._course.write_seldom()
        if job.length.is_told(step, job.length.validate_every):
            means = tuple(mean_quality(point.validation) for point in latest) if latest[0].validation else ()
            losses, first = tuple(point.validation_loss for point in latest), latest[0]
            self._notify(events.Measured(step, first.epoch, first.training_loss, first.validation, means, losses))
        if job.keeps_best and step <= job.length.num_rounds:
            kept = replace(kept, best=self._programs.keep(kept.best, state, self._leaders.add(latest)))
        return replace(kept, carried=self._programs.without_sums(kept.carried))

    def _decide(self, carried: Carried, step: int) -> Carried:
        """Asks the learner, replica by replica, and keeps what it says."""
        job, states, is_new = self._job, [], False
        before = self._programs.views(carried.state)
        for seed, given in zip(job.seeds, before, strict=True):
            state, record = job.learner.decide(given, Place(seed, step, job.length.total))
            states.append(state)
            if record is not None:
                self._course.decisions.append(Decision(step, seed, record))
                if state is not given and job.length.is_told(step, job.length.decide_every):  # else it is only kept
                    self._notify(events.Decided(step, seed, record))
                is_new = True
        if is_new:
            self._course.write_seldom()
        if all(one is other for one, other in zip(states, before, strict=True)):
            return carried
        return carried._replace(state=self._programs.put_changed(carried.state, before, states))

    def _check_losses(self, carried: Carried, step: int) -> None:
        for name, sums in carried.loss_sums.items():
            for replica, loss in enumerate(np.atleast_1d(np.asarray(sums))):
                self._check(float(loss), step, replica, name)

    def _check(self, loss: float, step: int, replica: int, name: str) -> None:
        if not math.isfinite(loss):
            self._course.write()  # how it came to this is in it
            raise telling.diverged(self._job, self._place.path, step, replica, name, loss)


def _drawn(rounds: Rounds, window: tuple[int, int] | None) -> Mapping[StreamName, Picked]:
    """The batches of the rounds of a window; of none if there is none."""
    return rounds.block(window[0], window[1] - window[0]) if window else {}
