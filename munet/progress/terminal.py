"""The live display on a terminal: finished generations scroll by, one line a child, the current one is redrawn."""

from __future__ import annotations

import time
from typing import TextIO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from munet.consoles import PrintableConsole
from munet.progress import wording
from munet.progress.events import (
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
    RunStarted,
    TrainingEnded,
    TrainingStarted,
)
from munet.progress.tracker import Tracker
from munet.text import duration, percent
from munet.types import ChildEntry, ChildPlan, GenerationEntry, GenerationPlan, Quality

KEPT, PRUNED, QUIET, TITLE, GAIN = "green", "yellow", "bright_black", "bold", "cyan"


class LiveDisplay:
    """A rich display of the run; `close` leaves the terminal as it was found."""

    def __init__(self, stream: TextIO, console: Console | None = None, tracker: Tracker | None = None):
        self._console = console or PrintableConsole(file=stream, highlight=False)
        self._tracker = tracker or Tracker()
        self._since = time.monotonic()
        self._live = Live(console=self._console, get_renderable=self.render, refresh_per_second=4, transient=True)

    def __call__(self, event: Event) -> None:
        """Shows what the event says."""
        self._tracker(event)
        run, console = self._tracker.run, self._console
        match event:
            case RunStarted():
                console.print(Text(wording.describe_run(event), TITLE))
                self._live.start()
            case PhaseStarted():
                console.print()
                console.print(Text(wording.describe_phase(event, run), TITLE))
            case GenerationStarted():
                self._since = time.monotonic()
            case Compiling() | CycleEnded():
                self._live.refresh()
            case GenerationEnded():
                console.print(_finished(event, run, has_room=console.width >= 90))
            case PhaseEnded():
                console.print(Text("  = " + wording.describe_phase_end(event), GAIN))
            case Note():
                console.print(Text(event.text))
            case TrainingStarted():
                console.print(Text(wording.describe_training(event), TITLE))
                self._live.start()
            case Measured():
                console.print(Text("  " + wording.describe_measured(event, self._tracker.training)))
            case Decided():
                console.print(Text("  " + wording.describe_decided(event, self._tracker.training), QUIET))
            case RunEnded() | TrainingEnded():
                self._live.stop()
                state = "complete" if event.is_complete else "interrupted"
                console.print()
                console.print(Text(f"{state} after {duration(event.seconds)}", TITLE))

    def close(self) -> None:
        """Stops redrawing and shows the cursor again."""
        self._live.stop()

    def render(self) -> RenderableType:
        """The redrawn part: the children in training, and the bar of the whole run."""
        generation, tracker = self._tracker.generation, self._tracker
        parts: list[RenderableType] = []
        if generation is not None:
            parts += [Text(), self._heading(generation), *_data(generation.plan), self._children(generation)]
        if tracker.run is not None or tracker.training is not None:
            parts += [Text(), self._bar()]
        return Group(*parts)

    def _heading(self, generation: GenerationStarted) -> Text:
        elapsed = duration(time.monotonic() - self._since)
        what = wording.describe_generation(generation, self._tracker.run)
        return Text("  ", overflow="ellipsis", no_wrap=True).append(elapsed, GAIN).append(f" in {what}")

    def _children(self, generation: GenerationStarted) -> Table:
        table = Table(box=None, padding=(0, 2, 0, 0), header_style=QUIET, pad_edge=False, expand=True)
        table.add_column("    child", no_wrap=True)
        table.add_column("from", no_wrap=True)
        table.add_column("mutations", ratio=1)
        table.add_column("validation % by cycle", no_wrap=True)
        for child in generation.plan.children:
            table.add_row(*self._child_row(child))
        return table

    def _child_row(self, child: ChildPlan) -> tuple[RenderableType, ...]:
        qualities = self._tracker.qualities.get(child.id, [])
        generation = self._tracker.generation
        waiting = (generation.num_cycles - len(qualities)) if generation else 0
        cells = _qualities(qualities, max(qualities, key=lambda q: q.ratio, default=None))
        return (
            Text("    " + wording.model_name(child.id)),
            Text(wording.model_name(child.parent), QUIET),
            Text(wording.describe_mutations(child)),
            cells.append(" ...." * max(waiting, 0) if qualities else " ...."[1:] + " ...." * (waiting - 1), QUIET),
        )

    def _bar(self) -> Table:
        tracker = self._tracker
        table = Table.grid(padding=(0, 1), expand=False)
        if tracker.compiling is None:
            rate = wording.describe_rate(tracker.images_per_second, tracker.seconds_left, tracker.example) or "starting"
        else:
            rate = wording.describe_compiling(tracker.compiling, tracker.compiling_seconds)
        bar = ProgressBar(total=1.0, completed=tracker.fraction, width=30, complete_style=GAIN, finished_style=GAIN)
        table.add_row(Text(" "), bar, Text(f"{tracker.fraction:4.0%}"), Text(rate, QUIET))
        return table


def _qualities(qualities: list[Quality], best: Quality | None) -> Text:
    text = Text()
    is_first = True
    for quality in qualities:
        is_best = best is not None and is_first and quality == best
        text.append(("" if not text else " ") + f"{percent(quality):>4}", TITLE if is_best else "")
        is_first = is_first and not is_best
    return text


def _finished(event: GenerationEnded, run: RunStarted | None, has_room: bool) -> RenderableType:
    """One line a child (more, where the mutations need them), which stays on the screen."""
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0), pad_edge=False, expand=True)
    for width in (9, 9, 6, 15):  # the same columns in every generation
        table.add_column(no_wrap=True, min_width=width)
    table.add_column(ratio=1)
    for child in event.entry.children:
        cells = _finished_row(child)
        table.add_row(*(cells if has_room else cells[:-1]))
    of = f"/{run.num_generations}" if run else ""
    number = event.entry.position.generation + 1
    heading = Text(f"  generation {number}{of}, {duration(event.seconds)}", QUIET)
    return Group(heading, *_data(event.entry), table)


def _data(generation: GenerationPlan | GenerationEntry) -> list[Text]:
    """The line under a generation's heading that tells what changed in the data settings, if anything did."""
    data = wording.describe_data(generation.data_mutations)
    return [Text("    " + data, overflow="ellipsis", no_wrap=True)] if data else []


def _finished_row(child: ChildEntry) -> tuple[Text, ...]:
    plan, verdict = child.plan, child.verdict
    style = KEPT if verdict.is_kept else PRUNED
    return (
        Text("    " + wording.model_name(plan.id)),
        Text("from " + wording.model_name(plan.parent), QUIET),
        Text("kept" if verdict.is_kept else "pruned", style),
        Text(wording.short_verdict(verdict), style),
        Text(wording.describe_mutations(plan)),
        Text(wording.describe_qualities(child.training, verdict.best_cycle), QUIET, no_wrap=True),
    )
