"""A save in the background whose work directory is deleted, moved or replaced leaves nothing where that was."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from orbax.checkpoint import v1 as ocp

from munet.training.saves import Saves, Subject

TREE = {"array": np.arange(6.0)}


def deleted(workdir: Path) -> None:
    shutil.rmtree(workdir)


def moved(workdir: Path) -> None:
    workdir.rename(workdir.with_name("elsewhere"))


def replaced(workdir: Path) -> None:
    moved(workdir)
    workdir.mkdir()
    (workdir / "another").write_text("kept")


@pytest.fixture
def workdir(tmp_path: Path) -> Path:
    path = tmp_path / "run"
    path.mkdir()
    (path / "lock").touch()
    return path


def saves_in(workdir: Path, told: list[str]) -> Saves:
    return Saves(str(workdir / "saves"), 0, Subject("The state", "the run"), note=told.append)


@pytest.mark.parametrize("change", [deleted, moved, replaced])
def test_what_orbax_makes_where_the_directory_was_is_removed(
    change: Callable[[Path], None], workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = list[str]()
    begun = saves_in(workdir, told)

    class Written:
        """Orbax at work while the directory goes; it makes all that it misses. (What it does itself is a race.)"""

        def result(self) -> None:
            change(workdir)
            target = workdir / "saves" / "step-1"
            target.mkdir(parents=True)
            (target / "array").write_bytes(b"123456")

    monkeypatch.setattr(ocp, "save_async", lambda *_, **__: Written())
    begun.save("step", "step-1", TREE)
    begun.wait()
    assert begun.has_failed
    assert not told, "who holds the lock of the directory says what has happened"
    assert workdir.exists() == (change is replaced)
    assert change is not replaced or [item.name for item in workdir.iterdir()] == ["another"]


def test_where_there_is_no_directory_none_is_made(workdir: Path) -> None:
    told = list[str]()
    begun = saves_in(workdir, told)
    moved(workdir)
    begun.save("step", "step-1", TREE)
    begun.wait()
    assert begun.has_failed
    assert "The state cannot be saved; the run goes on without: FileNotFoundError" in told[0]
    assert not workdir.exists()


def test_a_save_replaces_its_familys_others_only(workdir: Path) -> None:
    told = list[str]()
    begun = saves_in(workdir, told)
    for family, name in [("step", "step-1"), ("other", "other-1"), ("step", "step-2")]:
        begun.save(family, name, TREE)
    begun.wait()
    assert not begun.has_failed
    assert not told
    assert sorted(item.name for item in (workdir / "saves").iterdir()) == ["other-1", "step-2"]
