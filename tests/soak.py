"""A tiny run of many generations, whose process must not grow: memory, time, open files and threads at each quarter.

Time is the processor's, since others may share the machine.

    python -m tests.soak --generations=1000 [--workdir=EMPTY_DIRECTORY] [--checkpoint_minutes=0]

It is a program of its own: what a process holds is looked at in a process that does nothing else. It ends with 1 where
the last quarter holds more than the second by what is allowed below (the first compiles programs and fills caches).
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from munet.config.checks import validate
from munet.progress import events
from munet.run import runs
from tests import tiny_run

PER_PHASE, NUM_TASKS = 5, 2
_MEGABYTE = 1e6
_ALLOWED = {"megabytes": 1.15, "seconds": 1.5, "files": 1.0, "threads": 1.0}  # last quarter / second one


@dataclass(frozen=True)
class Figures:
    """What the process holds at one moment, and the median processor seconds of a generation since the one before."""

    generations: int
    megabytes: float
    seconds: float
    files: int
    threads: int

    def __str__(self) -> str:
        return (
            f"{self.generations:>6} generations: {self.megabytes:7.1f} MB, {self.seconds:.3f} processor seconds a "
            f"generation, {self.files} open files, {self.threads} threads"
        )


@dataclass
class Watch:
    """A listener that takes figures each time that another quarter of the generations has ended."""

    total: int
    figures: list[Figures] = field(default_factory=list)
    _ended: int = 0
    _last: float = field(default_factory=time.process_time)
    _seconds: list[float] = field(default_factory=list)

    def __call__(self, event: events.Event) -> None:
        if not isinstance(event, events.GenerationEnded):
            return
        now = time.process_time()
        self._seconds.append(now - self._last)
        self._last = now
        self._ended += 1
        if 4 * self._ended // self.total > len(self.figures):
            self.figures.append(
                Figures(
                    self._ended,
                    _resident() / _MEGABYTE,
                    statistics.median(self._seconds),
                    len(list(Path("/proc/self/fd").iterdir())),
                    threading.active_count(),
                )
            )
            print(self.figures[-1], flush=True)
            self._seconds.clear()

    def grown(self) -> list[str]:
        """What grew more than is allowed between the second quarter and the last."""
        second, last = self.figures[1], self.figures[-1]
        return [
            f"{name}: {getattr(second, name):g} -> {getattr(last, name):g}"
            for name, allowed in _ALLOWED.items()
            if getattr(last, name) > allowed * getattr(second, name)
        ]


def soak(generations: int, workdir: Path, checkpoint_minutes: float) -> Watch:
    """Evolves for so many generations, rounded up to whole iterations over the tasks, in phases of five."""
    tiny_run.write_data(workdir / "data")
    config = tiny_run.config(workdir / "data")
    experiment = config.experiment
    experiment.num_generations, experiment.cycles_per_child = PER_PHASE, 1
    experiment.num_task_iterations = -(-generations // (PER_PHASE * NUM_TASKS))
    experiment.search_space.image_size = (32,)  # fewer programs to compile
    config.runtime.checkpoint_minutes = checkpoint_minutes
    watch = Watch(experiment.num_task_iterations * PER_PHASE * NUM_TASKS)
    runs.evolve(validate(config), str(workdir / "run"), watch)
    return watch


def _resident() -> int:
    """Bytes of this process that are in memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def main() -> int:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak")
    parser.add_argument("--generations", type=int, default=1000)
    parser.add_argument("--workdir", type=Path)
    parser.add_argument("--checkpoint_minutes", type=float, default=0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        grown = soak(given.generations, given.workdir or Path(place), given.checkpoint_minutes).grown()
    print("grew: " + "; ".join(grown) if grown else "flat")
    return bool(grown)


if __name__ == "__main__":
    sys.exit(main())
