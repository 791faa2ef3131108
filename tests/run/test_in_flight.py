"""The run loop saves the generation in training: in any work directory, until its entry is written, never fatally."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from orbax.checkpoint import v1 as ocp

import munet
from munet.progress import events
from munet.run import runs
from munet.run.publishing import Publisher
from munet.training.measure import latency
from tests import tiny_run


class _Stop(Exception):
    """Ends a run from its listener, as a signal would."""


def one_generation(data: Path, workdir: str, checkpoint_minutes: float = 0) -> list[events.Event]:
    """What a run tells until its first generation is over."""
    settings = tiny_run.config(data, checkpoint_minutes)
    told: list[events.Event] = []

    def listen(event: events.Event) -> None:
        told.append(event)
        if isinstance(event, events.GenerationEnded):
            raise _Stop

    with pytest.raises(_Stop):
        runs.evolve(settings, workdir, listen)
    return told


def notes(told: list[events.Event]) -> list[str]:
    return [event.text for event in told if isinstance(event, events.Note)]


def test_a_relative_work_directory_is_as_good(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also for Orbax, which saves the first generation after its first cycle."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(latency, "measure", lambda *_: pytest.fail("nothing is measured where latency does not count"))
    told = one_generation(data, "run")
    assert not notes(told)
    assert isinstance(told[0], events.RunStarted)
    assert told[0].workdir == str(tmp_path / "run")
    assert len(munet.open("run").store.journal) == 2


def test_a_save_that_fails_is_noted_once(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise ValueError("RESOURCE_EXHAUSTED: no space")

    monkeypatch.setattr(ocp, "save_async", full)
    told = notes(one_generation(data, str(tmp_path / "run")))
    assert len(told) == 1
    assert "RESOURCE_EXHAUSTED" in told[0]


def test_a_stale_save_goes_also_where_nothing_is_saved(data: Path, tmp_path: Path) -> None:
    stale = tmp_path / "run" / "in_flight" / "0123456789abcdef-000001"
    stale.mkdir(parents=True)
    one_generation(data, str(tmp_path / "run"), checkpoint_minutes=-1)
    assert not stale.parent.exists()


def test_the_save_stays_until_the_entry_is_written(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kill while components are published must find the generation still saved."""
    seen: list[bool] = []
    publish = Publisher.publish

    def spy(self: Publisher, *arguments: Any) -> Any:
        seen.append((tmp_path / "run" / "in_flight").exists())
        return publish(self, *arguments)

    monkeypatch.setattr(Publisher, "publish", spy)
    one_generation(data, str(tmp_path / "run"))
    assert seen == [True]
    assert not (tmp_path / "run" / "in_flight").exists()


def test_a_complete_run_leaves_nothing_in_training(
    finished: tuple[Path, list[events.Event]], data: Path, tmp_path: Path
) -> None:
    """Also what a save left that failed while something else still wrote to its folder."""
    workdir = tmp_path / "run"
    shutil.copytree(finished[0], workdir)
    stale = workdir / "in_flight" / "0123456789abcdef-000001.orbax-checkpoint-tmp"
    stale.mkdir(parents=True)
    runs.evolve(tiny_run.config(data), str(workdir), lambda _: None)
    assert not stale.parent.exists()


def test_what_a_save_leaves_after_the_last_phase_goes(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stale = tmp_path / "run" / "in_flight" / "0123456789abcdef-000001.orbax-checkpoint-tmp"

    def collect(*_: Any) -> None:
        """The last that a phase does."""
        stale.mkdir(parents=True, exist_ok=True)

    monkeypatch.setattr(Publisher, "collect", collect)
    settings = tiny_run.config(data, checkpoint_minutes=0)
    settings.experiment.tasks = settings.experiment.tasks[:1]
    settings.experiment.num_task_iterations = settings.experiment.num_generations = 1
    runs.evolve(settings, str(tmp_path / "run"), lambda _: None)
    assert not stale.parent.exists()
