"""A run that is interrupted, by whatever, ends as an undisturbed one; or stops where it was told to."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import pytest

import munet
from munet.errors import WorkdirError
from munet.progress import events
from munet.report.verify.verify import remeasure, verify
from munet.run import runs
from munet.run.deadline import Deadline
from munet.store import Store
from munet.training.measure import trunk_fit
from munet.types import GenerationEntry, SeedsEntry
from tests import tiny_run
from tests.interrupted import Stop, partial, until
from tests.store import journal_files


def test_an_interrupted_run_ends_as_an_undisturbed_one(
    finished: tuple[Path, list[events.Event]], data: Path, tmp_path: Path
) -> None:
    for kind in (events.CycleEnded, events.GenerationEnded, events.PhaseEnded, events.PhaseStarted):
        with pytest.raises(Stop):
            runs.evolve(tiny_run.config(data, checkpoint_minutes=0), str(tmp_path / "run"), until(kind))
    runs.evolve(tiny_run.config(data), str(tmp_path / "run"), lambda _: None)
    assert tiny_run.results(tmp_path / "run") == tiny_run.results(finished[0])


@pytest.mark.slow
def test_seed_parents_chosen_by_fit_are_measured_once_and_journalled(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = tiny_run.config(data)
    settings.experiment.seed_choice = "fit"
    measured: list[dict[int, float]] = []
    whole = trunk_fit.measure

    def remember(*arguments: Any) -> tuple[dict[int, float], int]:
        fits, images = whole(*arguments)
        measured.append(fits)
        return fits, images

    monkeypatch.setattr(trunk_fit, "measure", remember)
    told: list[events.Event] = []
    runs.evolve(settings, str(tmp_path / "whole"), told.append)
    fits = [entry.fits for entry in Store.open(tmp_path / "whole").journal.entries() if isinstance(entry, SeedsEntry)]
    # Of the first task's first phase the root alone is a candidate; of every other the root and one model.
    assert fits == measured
    assert [len(each) for each in fits] == [2, 2, 2]
    notes = [event.text for event in told if isinstance(event, events.Note) and "seed parents by fit" in event.text]
    assert len(notes) == 3
    assert all("of 2 models" in note for note in notes)
    assert not verify(str(tmp_path / "whole"), remeasure(cache_dir=str(data / "cache"))).problems
    taken = [
        [child.plan.parent for child in entry.children if child.plan.is_seed]
        for entry in Store.open(tmp_path / "whole").journal.entries()
        if isinstance(entry, GenerationEntry) and entry.position.generation == 0
    ]
    assert taken == [[0], *([max(each, key=lambda model: (each[model], model))] for each in fits)]

    measured.clear()

    def stop(event: events.Event) -> None:
        is_due = isinstance(event, events.GenerationStarted | events.GenerationEnded) or (
            isinstance(event, events.Note) and "seed parents by fit" in event.text
        )
        if is_due and len(measured) == 1:
            raise Stop

    for _ in range(3):  # right after the choice, then in the first generation that it decides, every time again
        with pytest.raises(Stop):
            runs.evolve(settings, str(tmp_path / "stopped"), stop)
    runs.evolve(settings, str(tmp_path / "stopped"), lambda _: None)
    assert measured == fits
    assert tiny_run.results(tmp_path / "stopped") == tiny_run.results(tmp_path / "whole")


@pytest.fixture
def jax_config() -> Iterator[Any]:
    """JAX's configuration, as it was when the test is over."""
    names = (
        "jax_enable_x64",
        "jax_threefry_partitionable",
        "jax_numpy_dtype_promotion",
        "jax_default_matmul_precision",
    )
    before = {name: getattr(jax.config, name) for name in names}
    yield jax.config
    for name, value in before.items():
        jax.config.update(name, value)


def test_settings_of_jax_that_change_results_are_set_aside_or_told(
    finished: tuple[Path, list[events.Event]], data: Path, tmp_path: Path, jax_config: Any
) -> None:
    partial(data, tmp_path / "run")
    jax_config.update("jax_enable_x64", True)
    jax_config.update("jax_threefry_partitionable", False)
    jax_config.update("jax_numpy_dtype_promotion", "strict")
    jax_config.update("jax_default_matmul_precision", "highest")  # on a CPU no other than the default
    told: list[events.Event] = []
    runs.evolve(tiny_run.config(data), str(tmp_path / "run"), told.append)
    assert tiny_run.results(tmp_path / "run") == tiny_run.results(finished[0])
    notes = [event.text for event in told if isinstance(event, events.Note)]
    (aside,) = [note for note in notes if "set to its own" in note]
    for change in (
        "jax_enable_x64: True -> False",
        "partitionable: False -> True",
        "promotion: 'strict' -> 'standard'",
    ):
        assert change in aside
    (layout,) = [note for note in notes if "not be bit for bit" in note]
    assert layout.endswith("jax.jax_default_matmul_precision: None -> 'highest'")


def _without(name: str, content: dict[str, Any]) -> None:
    del content["entry"]["experiment"][name]


def test_a_run_from_before_the_choice_goes_on_as_it_was(
    finished: tuple[Path, list[events.Event]], data: Path, tmp_path: Path
) -> None:
    partial(data, tmp_path / "run")
    first = tmp_path / "run" / "journal" / "00000000.json"
    for name in ("seed_choice", "compute_dtype"):
        journal_files.edit(first, functools.partial(_without, name))
    journal_files.as_old_format(first.parent)
    settings = tiny_run.config(data)
    settings.experiment.seed_choice = "fit"  # as `base` has it by now
    told: list[events.Event] = []
    runs.evolve(settings, str(tmp_path / "run"), told.append)
    assert tiny_run.results(tmp_path / "run")["models"] == tiny_run.results(finished[0])["models"]
    notes = [event.text for event in told if isinstance(event, events.Note)]
    for changed in ("compute_dtype: 'auto' -> 'float32'", "seed_choice: 'fit' -> 'newest'"):
        assert any(changed in note for note in notes)
    runs.evolve(settings, str(tmp_path / "run"), lambda _: None)  # complete: only says so
    partial(data, tmp_path / "newer")
    with pytest.raises(WorkdirError, match="seed_choice: 'newest' -> 'fit'"):
        runs.evolve(settings, str(tmp_path / "newer"), lambda _: None)


def test_a_run_that_stops_at_its_time_ends_as_an_undisturbed_one(
    finished: tuple[Path, list[events.Event]], data: Path, tmp_path: Path
) -> None:
    """Every start does one cycle, which it saves although no save is due, and says that it is not complete."""
    settings = tiny_run.config(data)
    settings.runtime.max_hours = 1e-9
    settings.runtime.compare = ("multi_head",)
    starts, cycles = 0, 0
    while True:
        told: list[events.Event] = []
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Deadline, "check", lambda self: None)  # which would stop before the first cycle
            is_complete = runs.evolve(settings, str(tmp_path / "run"), told.append)
        starts += 1
        assert isinstance(told[-1], events.RunEnded)
        assert told[-1].is_complete == is_complete
        cycles += sum(isinstance(event, events.CycleEnded) for event in told)
        if is_complete or (tmp_path / "run" / "baselines").exists():
            break
        assert any("max_hours = 1e-09 have passed" in event.text for event in told if isinstance(event, events.Note))
        assert not munet.open(str(tmp_path / "run")).is_complete
    whole = [event for event in finished[1] if isinstance(event, events.CycleEnded)]
    assert starts >= len(whole) / 2
    assert cycles <= len(whole) + 2  # hardly any cycle was trained twice
    assert tiny_run.results(tmp_path / "run") == tiny_run.results(finished[0])


def test_a_run_that_does_not_save_generations_stops_between_them(data: Path, tmp_path: Path) -> None:
    settings = tiny_run.config(data)
    settings.runtime.checkpoint_minutes = -1
    now = 0.0

    def listen(event: events.Event) -> None:
        nonlocal now
        told.append(event)
        now += 3600 * isinstance(event, events.CycleEnded)

    told: list[events.Event] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("munet.run.runs.Deadline", lambda hours: Deadline(hours, lambda: now))
        settings.runtime.max_hours = 1
        assert runs.evolve(settings, str(tmp_path / "run"), listen) is False
    kinds = [type(event).__name__ for event in told]
    assert kinds.count("GenerationEnded") == 1
    assert kinds.count("CycleEnded") >= settings.experiment.cycles_per_child
    assert runs.evolve(settings, str(tmp_path / "run"), lambda _: None)
