"""Tasks that are called as the user says, and stay the same ones as long as their data is."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import munet
from munet.config import Config
from munet.data import uris
from munet.data.tasks import load_task
from munet.errors import DataError, WorkdirError
from munet.report.data.to_folder import write_folder
from munet.run import runs
from tests import tiny_run


def config(data: Path, *tasks: str) -> Config:
    """Of a run of one generation."""
    settings = tiny_run.config(data)
    settings.experiment.num_task_iterations = settings.experiment.num_generations = 1
    settings.experiment.tasks = tasks
    return settings


@pytest.fixture
def folders(data: Path, tmp_path: Path) -> tuple[Path, Path]:
    """Two folders called `images` with the same content, apart from each other."""
    task = load_task(f"npz:{data}/left.npz", cache_dir="off")
    for name in ("a", "b"):
        write_folder(task, tmp_path / name / "images", lambda _: None)
    return tmp_path / "a" / "images", tmp_path / "b" / "images"


def test_two_tasks_of_one_set_have_names_of_their_own(data: Path, tmp_path: Path) -> None:
    same = f"npz:{data}/left.npz"
    with pytest.raises(DataError, match=r"called 'left' is there already.*another name: left2=npz:"):
        runs.evolve(config(data, same, f"npz:{data}/../{data.name}/left.npz"), str(tmp_path / "run"), lambda _: None)
    tasks = (same, f"mine too={same}")
    runs.evolve(config(data, *tasks), str(tmp_path / "run"), lambda _: None)
    system = munet.open(str(tmp_path / "run"))
    assert [*system.models] == ["left", "mine too"]
    assert system.tasks[0].fingerprint == system.tasks[1].fingerprint
    runs.evolve(config(data, *tasks), str(tmp_path / "run"), lambda _: None)
    with pytest.raises(WorkdirError, match="tasks: left, mine too -> left, other"):
        runs.evolve(config(data, same, f"other={same}"), str(tmp_path / "run"), lambda _: None)


def test_a_link_is_called_as_it_is_written_and_may_lead_elsewhere(
    folders: tuple[Path, Path], data: Path, tmp_path: Path
) -> None:
    link = tmp_path / "photos"
    link.symlink_to(folders[0])
    settings = config(data, f"folder:{link}", f"others=folder:{folders[1]}")
    runs.evolve(settings, str(tmp_path / "run"), lambda _: None)
    assert [*munet.open(str(tmp_path / "run")).models] == ["photos", "others"]
    link.unlink()
    shutil.copytree(folders[0], tmp_path / "copy")
    link.symlink_to(tmp_path / "copy")
    runs.evolve(settings, str(tmp_path / "run"), lambda _: None)


def test_a_run_from_when_links_were_called_as_they_lead_goes_on(
    folders: tuple[Path, Path], data: Path, tmp_path: Path
) -> None:
    link = tmp_path / "photos"
    link.symlink_to(folders[0])
    before = config(data, f"images=folder:{link}")  # what `folder:photos` meant
    runs.evolve(before, str(tmp_path / "run"), lambda _: None)
    runs.evolve(config(data, f"folder:{link}"), str(tmp_path / "run"), lambda _: None)
    assert uris.as_begun(f"folder:{link}", "images") == f"images=folder:{link}"
    assert uris.as_begun(f"folder:{link}", "other") == f"folder:{link}"
    assert uris.as_begun("builtin:digits", "other") == "builtin:digits"
