"""Plain lines for pipes and CI: one for every generation and child, complete, nothing redrawn."""

from __future__ import annotations

from typing import TextIO

from munet.progress import wording
from munet.progress.events import (
    Advanced,
    Compiling,
    CycleEnded,
    Decided,
    Event,
    GenerationEnded,
    GenerationStarted,
    Measured,
    Note,
    PhaseEnded,
    PhaseStarted,
    RunEnded,
    RunFailed,
    RunStarted,
    TrainingEnded,
    TrainingStarted,
)
from munet.progress.tracker import Tracker
from munet.text import count, duration, percent, printable
from munet.types import ChildEntry

_LONG = 1.0  # seconds of compilation that are worth a line


class PlainLines:
    """Writes one line an event; a child's line holds its parent, mutations, cycle qualities, score and verdict.

    With `children=False`, for notebooks, a whole generation is one line.
    """

    def __init__(self, stream: TextIO, tracker: Tracker | None = None, *, children: bool = True):
        self._stream = stream
        self._children = children
        self._tracker = tracker or Tracker()

    def __call__(self, event: Event) -> None:
        """Writes what the event says."""
        self._tracker(event)
        for line in self._lines(event):
            self._stream.write(printable(line, keep="\n") + "\n")
        self._stream.flush()

    def close(self) -> None:
        """Nothing to tidy up."""

    def _lines(self, event: Event) -> list[str]:
        run = self._tracker.run
        match event:
            case RunStarted():
                return [wording.describe_run(event)]
            case PhaseStarted():
                return ["", wording.describe_phase(event, run)]
            case GenerationStarted() | GenerationEnded() if not self._children:
                return [self._generation_line(event)] if isinstance(event, GenerationEnded) else []
            case GenerationStarted():
                data = wording.describe_data(event.plan.data_mutations)
                return ["  " + wording.describe_generation(event, run), *(["    " + data] if data else [])]
            case Compiling():
                return self._compiling_lines(event)
            case CycleEnded():
                return []  # the children's lines have every cycle
            case GenerationEnded():
                return [*_child_lines(event.entry.children), "    " + self._rate(event.seconds)]
            case PhaseEnded():
                return ["  " + wording.describe_phase_end(event)]
            case Note():
                return [event.text]
            case RunFailed():
                return []  # said on stderr, whole
            case TrainingStarted():
                return [wording.describe_training(event)]
            case Advanced():
                return []  # the trainer notes now and then how far it is
            case Measured():
                tracker = self._tracker
                rate = wording.describe_rate(tracker.images_per_second, tracker.seconds_left or None, tracker.example)
                return [wording.describe_measured(event, self._tracker.training) + (f"; {rate}" if rate else "")]
            case Decided():
                return [wording.describe_decided(event, self._tracker.training)]
            case RunEnded() | TrainingEnded():
                state = "complete" if event.is_complete else "interrupted"
                return ["", f"{state} after {duration(event.seconds)}"]

    def _compiling_lines(self, event: Compiling) -> list[str]:
        """`compiling 3 programs` when it begins, and if that took long, how long."""
        if event.done == 0:
            return [f"    compiling {count(event.total, 'program')}"]
        seconds = self._tracker.compiling_seconds
        is_worth_a_line = event.done == event.total and seconds >= _LONG
        return [f"    {count(event.total, 'program')} compiled in {duration(seconds)}"] if is_worth_a_line else []

    def _generation_line(self, event: GenerationEnded) -> str:
        """`generation 2/4: best 91.2 %, 2 of 4 children kept; 12 s, 5,600 images/s, 65 s left; 40% of the run`."""
        of = f"/{self._tracker.run.num_generations}" if self._tracker.run else ""
        children = event.entry.children
        kept = sum(child.verdict.is_kept for child in children)
        qualities = [
            child.training.qualities[child.verdict.best_cycle]
            for child in children
            if child.verdict.best_cycle is not None
        ]
        best = max(qualities, key=lambda quality: quality.value, default=None)
        return (
            f"  generation {event.entry.position.generation + 1}{of}: "
            f"{f'best {percent(best)} %, ' if best else ''}{kept} of "
            f"{count(len(children), 'child', 'children')} kept; {self._rate(event.seconds)}"
        )

    def _rate(self, seconds: float) -> str:
        tracker = self._tracker
        rate = wording.describe_rate(tracker.images_per_second, tracker.seconds_left)
        return f"{duration(seconds)}{', ' if rate else ''}{rate}; {tracker.fraction:.0%} of the run"


def _child_lines(children: tuple[ChildEntry, ...]) -> list[str]:
    """Columns as wide as this generation needs; the mutations, which vary most, come last."""
    rows = [_cells(child) for child in children]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)][:-1]
    return ["    " + "  ".join([*(c.ljust(w) for c, w in zip(row, widths, strict=False)), row[-1]]) for row in rows]


def _cells(child: ChildEntry) -> list[str]:
    plan, verdict = child.plan, child.verdict
    return [
        wording.model_name(plan.id),
        f"from {wording.model_name(plan.parent)}",
        wording.describe_qualities(child.training, verdict.best_cycle),
        f"score {'-' if verdict.score is None else wording.describe_score(verdict.score)}",
        wording.describe_verdict(verdict),
        wording.describe_mutations(plan),
    ]
