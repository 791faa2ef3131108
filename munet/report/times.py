"""Where the time of a run went, part by part, by its log: `log.jsonl`, or one `log-TIME.jsonl` a start in buckets."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from munet.config.evolve import BASELINES
from munet.store.folders import open_folder
from munet.system.view import RunView
from munet.text import count, duration


@dataclass(frozen=True)
class Times:
    """Seconds of wall time, of all starts together, baselines left out.

    Attributes:
      starts: of the run.
      cycles: training children and validating them.
      generations: the rest of the generations: compiling, saving, verdicts, publishing; all of a `compress` stage.
      between: the rest: reading data, choosing seed parents, measuring on test images; all of a generation that has
        not ended, or was broken off, but its cycles and what was compiled for them.
    """

    starts: int
    cycles: float
    generations: float
    between: float

    @property
    def total(self) -> float:
        """All of it."""
        return self.cycles + self.generations + self.between

    def describe(self) -> str:
        """In a sentence."""
        return (
            f"Wall time: {duration(self.total)} in {count(self.starts, 'start')}; {duration(self.cycles)} training and "
            f"validating, {duration(self.generations)} compiling, saving and compressing, {duration(self.between)} in "
            "between."
        )


def times(system: RunView) -> Times | None:
    """Of a run; None where no log says it, as of baselines, whose events are in the log of their run."""
    if system.joint is not None:
        return None
    folder = open_folder(system.workdir)
    logs = sorted(name for name in folder.names() if name.startswith("log") and name.endswith(".jsonl"))
    found = [part for name in logs for part in _starts(folder.read(name).decode(errors="replace").splitlines())]
    if not found:
        return None
    return Times(
        len(found),
        sum(part.cycles for part in found),
        sum(part.generations for part in found),
        sum(part.between for part in found),
    )


def _starts(lines: Iterable[str]) -> Iterator[Times]:
    """Each start of the run in a log, which has those of its baselines, too."""
    start: _Start | None = None
    for line in lines:
        event = _event(line)
        if event is None:
            continue
        if event["event"] == "RunStarted":
            if start is not None:
                yield start.times()
            run, _, kind = event["workdir"].rstrip("/").rpartition("/baselines/")
            start = None if run and kind in BASELINES else _Start(event["time"])
        elif start is not None:
            start.tell(event)
    if start is not None:
        yield start.times()


class _Start:
    """The events of a start, added up."""

    def __init__(self, time: datetime):
        self._began = self._last = time
        self._is_over = False
        self._cycles = self._in_cycles = self._rest = self._compiled = 0.0
        self._compiles = False

    def tell(self, event: dict[str, Any]) -> None:
        """One more event."""
        if event["event"] != "Note" and not self._is_over:
            if self._compiles:  # up to here
                self._compiled += (event["time"] - self._last).total_seconds()
            self._last = event["time"]
        self._is_over = self._is_over or event["event"] == "RunEnded"
        if event["event"] == "Compiling":
            self._compiles = event["done"] < event["total"]
        if event["event"] == "CycleEnded":
            self._in_cycles += event["seconds"]
        if event["event"] == "GenerationEnded":
            self._rest += max(event["seconds"] - self._in_cycles, 0.0)
            self._cycles += self._in_cycles
            self._in_cycles = self._compiled = 0.0  # the rest has what was compiled

    def times(self) -> Times:
        """What they come to."""
        cycles, rest = self._cycles + self._in_cycles, self._rest + self._compiled
        whole = (self._last - self._began).total_seconds()
        return Times(1, cycles, rest, max(whole - cycles - rest, 0.0))


def _event(line: str) -> dict[str, Any] | None:
    """An event with its time, and what of its fields is needed; None of a line that a killed process broke off.

    Events of generations are long, and there are many: they are not read as JSON.
    """
    head, _, rest = line.rstrip().partition('", "event": "')
    name, _, _ = rest.partition('"')
    try:
        found = {"event": name, "time": datetime.fromisoformat(head.removeprefix('{"time": "'))}
        if name == "RunStarted":
            found["workdir"] = str(json.loads(line)["workdir"])
        if name == "Compiling":
            found |= {part: int(json.loads(line)[part]) for part in ("done", "total")}
        if name in ("CycleEnded", "GenerationEnded"):  # in which they come last
            found["seconds"] = float(rest.rpartition('"seconds": ')[2].removesuffix("}"))
    except (ValueError, KeyError, TypeError):
        return None
    return found
