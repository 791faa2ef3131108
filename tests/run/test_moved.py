"""A work directory that is deleted, moved or replaced under a run is noticed within a cycle."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from munet.errors import WorkdirError
from munet.progress import events
from munet.progress.jsonl import JsonLines
from munet.run import runs
from tests import tiny_run


def deleted(workdir: Path) -> None:
    shutil.rmtree(workdir)


def moved(workdir: Path) -> None:
    workdir.rename(workdir.with_name("elsewhere"))


def replaced(workdir: Path) -> None:
    shutil.copytree(workdir, workdir.with_name("copy"))
    workdir.rename(workdir.with_name("elsewhere"))
    workdir.with_name("copy").rename(workdir)


@pytest.mark.parametrize("minutes", [-1, 0])
@pytest.mark.parametrize("change", [deleted, moved, replaced])
def test_it_is_noticed_within_a_cycle(
    change: Callable[[Path], None], minutes: float, data: Path, tmp_path: Path
) -> None:
    workdir, told = tmp_path / "run", list[events.Event]()
    log = JsonLines()

    def listen(event: events.Event) -> None:
        log(event)
        told.append(event)
        if isinstance(event, events.GenerationStarted):
            change(workdir)

    settings = tiny_run.config(data, minutes)
    with pytest.raises(WorkdirError, match="was deleted, moved or replaced while this process used it"):
        runs.evolve(settings, str(workdir), listen)
    assert not [event for event in told if isinstance(event, events.CycleEnded | events.GenerationEnded)]
    assert workdir.exists() == (change is replaced), "nothing is made anew where the directory was"
    if change is moved and minutes < 0:
        place = workdir.with_name("elsewhere")
        runs.evolve(settings, str(place), lambda _: None)
        assert len(list((place / "journal").iterdir())) == 13
