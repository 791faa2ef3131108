"""`munet tensorboard`: event files of one run or several, once or as they go on. The runs themselves are only read."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PurePosixPath

from munet.errors import UserError
from munet.evolution.controller import Controller
from munet.report.tensorboard.event_files import EventFiles
from munet.report.tensorboard.points import Fold
from munet.store import Store
from munet.system import joint
from munet.system.start_entry import read_experiment, read_start
from munet.text import count, say

_SECONDS = 1.0  # between two looks for new entries


@dataclass
class _Run:
    """A run that is written.

    Attributes:
      name: of its folder below the log directory.
      store: the run's.
      fold: of what was read.
      files: to which it is written.
      length: journal entries that were read.
    """

    name: str
    store: Store
    fold: Fold
    files: EventFiles
    length: int = 0

    def advance(self) -> int:
        """Writes what is new; gives how many journal entries that is."""
        before = self.length
        for entry in islice(self.store.journal.entries(before), len(self.store.journal) - before):
            self.files.write(self.fold.tell(entry))
            self.length += 1
        return self.length - before

    @property
    def is_complete(self) -> bool:
        return self.length > 0 and self.fold.controller.is_complete(self.fold.state)


def write(
    workdirs: Sequence[str], logdir: str, follow: bool = False, wait: Callable[[float], None] = time.sleep
) -> None:
    """Writes the event files.

    Args:
      workdirs: of runs, finished or not.
      logdir: for `tensorboard --logdir`; a folder for each run is made in it.
      follow: whether to go on until all runs are complete, or the user ends it.
      wait: between two looks.

    Raises:
      UserError: no run, nothing can be written, or `tensorboardX` is missing.
      CorruptionError: a journal is damaged.
    """
    if not logdir:
        raise UserError("--logdir=LOGS: say where the event files go.")
    with contextlib.ExitStack() as open_files:
        runs = []
        for name, place in _names(workdirs).items():
            store, controller = _opened(place)
            files = open_files.enter_context(EventFiles(Path(logdir) / name))
            runs.append(_Run(name, store, Fold(controller), files))
        for run in runs:
            say(f"{run.name}: {count(run.advance(), 'journal entry', 'journal entries')} written.")
        say(f"Look at them: tensorboard --logdir={logdir}")
        while follow and not all(run.is_complete for run in runs):
            wait(_SECONDS)
            for run in runs:
                if number := run.advance():
                    say(f"{run.name}: {count(number, 'journal entry', 'journal entries')} more.")


def _opened(workdir: str) -> tuple[Store, Controller]:
    if joint.is_joint(workdir):
        raise UserError(f"{workdir} holds a joint training, which has no journal: its curve is in curve.svg.")
    store = Store.open(workdir)
    start = read_start(store)
    return store, Controller(read_experiment(start), start.tasks)


def _names(workdirs: Sequence[str]) -> dict[str, str]:
    """Folders' names for work directories: their own, or, of equal ones, with those above."""
    found: dict[str, str] = {}
    for place in dict.fromkeys(place.rstrip("/") for place in workdirs):
        parts = [part for part in PurePosixPath(place).parts if part not in ("/", "..", ".")]
        length, name = 1, parts[-1] if parts else "run"
        while name in found and length < len(parts):
            length += 1
            name = "-".join(parts[-length:])
        while name in found:
            name += "-again"
        found[name] = place
    return found
