"""The loop of a pre-training: steps, measurements of the validation splits, saves."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jax.sharding import NamedSharding, PartitionSpec

from munet.data import loader
from munet.errors import DivergedError
from munet.joint.held_out import mean_quality, measure
from munet.joint.preparation import JointSetup
from munet.joint.saving import JointSaves
from munet.joint.workdir import CurvePoint, Workdir
from munet.methods.pretraining import card, recipe
from munet.methods.pretraining.recipe import JointState, Set
from munet.report import curve
from munet.text import duration

Say = Callable[[str], None]

_STRIDE = 10  # steps between two looks at the clock: so far, at most, the host runs ahead of the devices
_PROGRESS_SECONDS = 60.0  # a line tells how far training is at least this often


@dataclass(frozen=True)
class Trained:
    """The end of a training: its state, and the seconds that it took, all starts together."""

    state: JointState
    seconds: float


class Training:
    """One start of a training.

    Args:
      setup: what is trained on what.
      place: where the curve and the saves go; its lock is held.
      saving: the saves.
      say: told how it goes, a line each time.
    """

    def __init__(self, setup: JointSetup, place: Workdir, saving: JointSaves, say: Say):
        self._setup, self._place, self._saving, self._say = setup, place, saving, say
        self._recipe = setup.config.experiment
        epoch = -(-setup.num_images // setup.batch_size)
        self._interval = setup.config.runtime.validate_every or epoch
        self._everywhere = NamedSharding(setup.mesh, PartitionSpec())
        self._cut = NamedSharding(setup.mesh, PartitionSpec("data"))
        self._seconds_before, self._started = 0.0, time.monotonic()
        self._points: list[CurvePoint] = []

    def run(self) -> Trained:
        """From wherever training is to the last step.

        Raises:
          DivergedError: the loss is no longer finite.
        """
        setup, step = self._setup, 0
        state = jax.device_put(
            recipe.initial_state(self._recipe, setup.examples.num_classes, setup.num_steps), self._everywhere
        )
        if (saved := self._saving.restore(state)) is not None:
            step, state, self._seconds_before = saved.step, saved.state, saved.seconds
            self._points = [point for point in self._place.curve() if point.step <= step]
            self._say(f"going on after step {step:,}")
        self._started = time.monotonic()
        try:
            state = self._steps(state, step)
        finally:
            self._saving.wait()  # an interrupted training leaves a whole save behind, not half of one
        return Trained(state, self._seconds)

    @property
    def _seconds(self) -> float:
        return self._seconds_before + time.monotonic() - self._started

    def _steps(self, state: JointState, first: int) -> JointState:
        setup, path = self._setup, recipe.rng_path(self._recipe)
        images = Set(*jax.device_put((setup.examples.images, setup.examples.labels), self._everywhere))
        program = recipe.train_step(self._recipe, setup.examples.num_classes, setup.num_steps, setup.mesh)
        told = time.monotonic()
        timed: tuple[float, int] | None = None  # since when, from which step on: the first window compiles
        for start, stop in self._windows(first):
            batches = loader.batch_indices(path, setup.num_images, setup.batch_size, start, stop - start)
            for step, batch in enumerate(batches, start):
                words = jax.device_put(recipe.step_words(self._recipe, step), self._everywhere)
                state = program(state, images, jax.device_put(batch, self._cut), words)
            self._check(float(state.loss_sum), stop)  # waits for the steps
            news = f"step {stop:,} of {setup.num_steps:,}"
            is_point = stop % self._interval == 0 or stop == setup.num_steps
            if is_point:
                state = self._measure(state, stop)
                news += f": {_describe(self._points[-1])}"
            now = time.monotonic()
            if is_point or now - told > _PROGRESS_SECONDS:
                self._say(
                    news + ("" if timed is None else f"; {self._pace(stop, (stop - timed[1]) / (now - timed[0]))}")
                )
                told = now
            timed = timed or (now, stop)
            self._place.check_held()  # or hours would be trained for a directory that is gone
            if stop < setup.num_steps:
                self._saving.save_if_due(state, stop, self._seconds)
        return state

    def _windows(self, first: int) -> Iterator[tuple[int, int]]:
        """Steps in windows (first, end) of at most `_STRIDE`, which end wherever the curve has a point."""
        while first < self._setup.num_steps:
            next_point = (first // self._interval + 1) * self._interval
            stop = min(first + _STRIDE, next_point, self._setup.num_steps)
            yield first, stop
            first = stop

    def _measure(self, state: JointState, step: int) -> JointState:
        """Adds a point to the curve; the sum of losses begins anew."""
        setup = self._setup
        measured = {
            name: measure(self._recipe, state.params, split) for name, split in setup.examples.validation.items()
        }
        counted = sum(one.quality.counted for one in measured.values())
        loss = sum(one.loss * one.quality.counted for one in measured.values()) / counted
        self._check(loss, step)
        before = self._points[-1].step if self._points else 0
        point = CurvePoint(
            step=step,
            epoch=step * setup.batch_size / setup.num_images,
            learning_rate=float(recipe.learning_rate(self._recipe, setup.num_steps)(step - 1)),
            training_loss=float(state.loss_sum) / (step - before),
            validation_loss=loss,
            validation={name: one.quality for name, one in measured.items()},
            seconds=self._seconds,
        )
        self._points.append(point)
        title = f"Pre-training of {card.file_name(self._recipe)}"
        self._place.write_curve(self._points, curve.to_svg(self._points, setup.num_steps, title))
        return state._replace(loss_sum=jax.device_put(jnp.float32(0), self._everywhere))

    def _check(self, loss: float, step: int) -> None:
        if not math.isfinite(loss):
            raise DivergedError(
                f"Training diverged: at step {step:,} of {self._setup.num_steps:,} the loss is {loss}. Lower "
                f"experiment.learning_rate (now {self._recipe.learning_rate:g}), or raise experiment.warmup_ratio (now "
                f"{self._recipe.warmup_ratio:g}), in another --workdir: nothing in {self._place.path} is of use."
            )

    def _pace(self, step: int, rate: float) -> str:
        left = (self._setup.num_steps - step) / rate
        return f"{rate * self._setup.batch_size:,.0f} images/s" + (f", {duration(left)} left" if left else "")


def _describe(point: CurvePoint) -> str:
    of = f" (mean of {len(point.validation)} tasks)" if len(point.validation) > 1 else ""
    return (
        f"epoch {point.epoch:.1f}, training loss {point.training_loss:.3f}, "
        f"validation {mean_quality(point.validation):.2%}{of}"
    )
