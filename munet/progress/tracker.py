"""What the displays know: a fold over the events, with the running rate and the time left."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from munet.progress.events import (
    Advanced,
    Compiling,
    CycleEnded,
    Event,
    GenerationEnded,
    GenerationStarted,
    PhaseStarted,
    RunStarted,
    TrainingStarted,
)
from munet.types import ModelId, Quality

MEMORY_SECONDS = 90.0  # how far back the rate looks: long enough to average tasks, short enough to follow them


class Tracker:
    """Where the run is, as the events told.

    Attributes:
      run, phase, generation: the latest event of their kind; `generation` is None between generations.
      training: the same of a joint training, which has none of these.
      round: of the training, at which it is.
      compiling: the latest `Compiling` as long as not all of its programs are ready, else None.
      qualities: validation quality of every finished cycle of the current children.
      image_steps: training images seen since the first start of the run, all children together.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic):
        self._clock = clock
        self.run: RunStarted | None = None
        self.phase: PhaseStarted | None = None
        self.training: TrainingStarted | None = None
        self.round = 0
        self.generation: GenerationStarted | None = None
        self.compiling: Compiling | None = None
        self._compiling_since = self._last_compiled = 0.0
        self.qualities: dict[ModelId, list[Quality]] = {}
        self.image_steps = self._steps_before = 0
        self._rate_steps = self._rate_seconds = 0.0
        self._last = clock()
        self._has_compiled = False
        # What the first cycle after a compilation counted for: small programs are compiled, caches filled, inside it.
        self._cold: tuple[float, float] | None = None

    def __call__(self, event: Event) -> None:
        """Takes an event in."""
        match event:
            case RunStarted():
                self.run, self.phase, self.generation, self.compiling = event, None, None, None
                self.image_steps = event.image_steps_done
                self._last = self._clock()
            case TrainingStarted():
                self.training, self.round = event, event.rounds_done
                self.image_steps = event.rounds_done * event.images_per_round
                self._last = self._clock()
            case Advanced() if self.training is not None:
                images = (event.round - self.round) * self.training.images_per_round
                self.round = event.round
                self.image_steps += images
                self._count(images)
            case PhaseStarted():
                self.phase, self.generation = event, None
            case GenerationStarted():
                self.generation, self._steps_before = event, self.image_steps
                self.qualities = {child.id: [] for child in event.plan.children}
            case Compiling():
                self._compile(event)
            case CycleEnded():
                for model, quality in event.qualities.items():
                    self.qualities.setdefault(model, []).append(quality)
                self.image_steps += event.image_steps
                self._count(event.image_steps)
            case GenerationEnded():
                if self.generation is not None:  # that of a `compress` stage never started: it trains nothing
                    # Exact again: cycles that an earlier start trained were not reported to this one.
                    spent = sum(child.cost.image_steps for child in event.entry.children)
                    self.image_steps = self._steps_before + spent
                self.generation = None
            case _:
                pass

    def _compile(self, event: Compiling) -> None:
        """Keeps the time that compilation takes out of the rate, and so out of the time left."""
        now = self._clock()
        if self.compiling is None:
            self._compiling_since = now
        self.compiling = event if event.done < event.total else None
        if self.compiling is None:
            self._has_compiled = True
            self._last, self._last_compiled = self._last + now - self._compiling_since, now

    def _count(self, image_steps: int) -> None:
        now = self._clock()
        seconds, self._last = now - self._last, now
        keep = math.exp(-seconds / MEMORY_SECONDS)
        if self._cold is not None:  # the next cycle knows better
            self._rate_steps, self._rate_seconds = self._rate_steps - self._cold[0], self._rate_seconds - self._cold[1]
        self._cold = (image_steps * 1.0, seconds) if self._has_compiled else None
        self._rate_steps = self._rate_steps * keep + image_steps
        self._rate_seconds = self._rate_seconds * keep + seconds
        self._has_compiled = False

    @property
    def images_per_second(self) -> float | None:
        """Training images a second of wall time, evaluation included, compilation not; None before the first cycle."""
        return self._rate_steps / self._rate_seconds if self._rate_seconds > 0 else None

    @property
    def compiling_seconds(self) -> float:
        """How long the programs at hand have been, or had been, compiled."""
        return (self._clock() if self.compiling else self._last_compiled) - self._compiling_since

    @property
    def seconds_left(self) -> float | None:
        """Estimated wall time to the end of the run; None as long as nothing is known."""
        rate = self.images_per_second
        if not rate or not self._total:
            return None
        return max(self._total - self.image_steps, 0) / rate

    @property
    def fraction(self) -> float:
        """Share of the run's training done, in [0, 1]."""
        return min(self.image_steps / self._total, 1.0) if self._total else 0.0

    @property
    def example(self) -> str:
        """What batches are of."""
        return self.training.example if self.training else "image"

    @property
    def _total(self) -> int:
        if self.training is not None:
            return self.training.num_rounds * self.training.images_per_round
        return self.run.image_steps_total if self.run else 0
