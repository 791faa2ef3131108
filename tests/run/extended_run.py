"""The tiny run of one iteration and one task, extended by the other; as a script it kills itself where it is told to.

`python -m tests.run.extended_run WORKDIR DATA [WHERE:COUNT:WHEN [TO]]`, as `tests.tiny_run`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from munet.config import Config
from munet.run import extend as extending
from munet.run.extension import Request
from munet.types import ExtendEntry
from tests import tiny_run


def config(data: Path, *names: str) -> Config:
    """Of a run of one iteration of these tasks; none: both."""
    settings = tiny_run.config(data)
    settings.experiment.num_task_iterations = 1
    if names:
        settings.experiment.tasks = tuple(f"npz:{data}/{name}.npz" for name in names)
    return settings


def request(
    data: Path,
    *names: str,
    iterations: Mapping[str, int] | None = None,
    again: bool = False,
    checkpoint_minutes: float = 60,
    **changes: Any,
) -> Request:
    """For these tasks, with other values for some fields of the experiment."""

    def configure(given: Config) -> Config:
        given.experiment.tasks = tuple(f"npz:{data}/{name}.npz" for name in names)
        for name, value in changes.items():
            setattr(given.experiment, name, value)
        given.runtime = tiny_run.config(data, checkpoint_minutes).runtime
        return given

    return Request(configure, iterations or {}, again)


def extend(
    workdir: Path,
    data: Path,
    listener: Callable[[Any], None] = lambda _: None,
    to: Path | None = None,
    checkpoint_minutes: float = 60,
) -> Config | None:
    """Extends the run by its second task; `checkpoint_minutes` are those of `tiny_run.config`."""
    asked = request(data, "right", checkpoint_minutes=checkpoint_minutes)
    return extending.extend(str(workdir), asked, listener, to=str(to or ""))


def results(workdir: Path) -> dict[str, object]:
    """As `tiny_run.results`, without what says that the run was extended, and without the first entry's tasks."""
    found = tiny_run.results(workdir)
    entries = found["entries"]
    assert isinstance(entries, list)
    return {**found, "entries": [entry for entry in entries[1:] if not isinstance(entry, ExtendEntry)]}


def main(workdir: str, data: str, moment: str = "", to: str = "") -> None:
    if moment:
        where, count, when = moment.split(":")
        tiny_run.kill_at(where, int(count), when)
    extend(Path(workdir), Path(data), to=Path(to) if to else None, checkpoint_minutes=0 if moment else 60)


if __name__ == "__main__":
    main(*sys.argv[1:])
