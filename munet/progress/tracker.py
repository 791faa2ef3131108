"""What the displays know: a fold over the events, with the running rate and the time left."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from munet.progress.events import (
    Advanced,
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
        self.qualities: dict[ModelId, list[Quality]] = {}
        self.image_steps = self._steps_before = 0
        self._rate_steps = self._rate_seconds = 0.0
        self._last = clock()

    def __call__(self, event: Event) -> None:
        """Takes an event in."""
        match event:
            case RunStarted():
                self.run, self.phase, self.generation = event, None, None
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
            case CycleEnded():
                for model, quality in event.qualities.items():
                    self.qualities.setdefault(model, []).append(quality)
                self.image_steps += event.image_steps
                self._count(event.image_steps)
            case GenerationEnded():
                # Exact again: cycles that an earlier start trained were not reported to this one.
                self.image_steps = self._steps_before + sum(child.cost.image_steps for child in event.entry.children)
                self.generation = None
            case _:
                pass

    def _count(self, image_steps: int) -> None:
        now = self._clock()
        seconds, self._last = now - self._last, now
        keep = math.exp(-seconds / MEMORY_SECONDS)
        self._rate_steps = self._rate_steps * keep + image_steps
        self._rate_seconds = self._rate_seconds * keep + seconds

    @property
    def images_per_second(self) -> float | None:
        """Training images a second of wall time, compilation and evaluation included; None before the first cycle."""
        return self._rate_steps / self._rate_seconds if self._rate_seconds > 0 else None

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
    def _total(self) -> int:
        if self.training is not None:
            return self.training.num_rounds * self.training.images_per_round
        return self.run.image_steps_total if self.run else 0
