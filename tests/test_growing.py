"""`munet.extend`, as notebooks call it: what the command does, also for tasks from arrays."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import munet
from munet.errors import ConfigError, UserError
from tests import tiny_run
from tests.python_calls import IMAGES, arguments, birds


@pytest.fixture(scope="module")
def begun(data: Path, tmp_path_factory: pytest.TempPathFactory) -> munet.System:
    """A system of one task from arrays; whoever changes it takes a copy."""
    return munet.evolve(birds(), workdir=str(tmp_path_factory.mktemp("run") / "mine"), **arguments(data))


@pytest.fixture
def system(begun: munet.System, tmp_path: Path) -> munet.System:
    """A copy of the system."""
    return munet.open(str(shutil.copytree(begun.workdir, tmp_path / "mine")))


def where(data: Path, **changes: Any) -> dict[str, Any]:
    return {"quiet": True, "settings": {"cache_dir": str(data / "cache"), "checkpoint_minutes": -1.0}, **changes}


def fish(images: np.ndarray = IMAGES) -> munet.Task:
    return munet.Task("fish", images ^ 7, np.arange(len(images)) % 2, class_names=["carp", "pike"])


def test_a_task_from_arrays_is_added(system: munet.System, data: Path) -> None:
    grown = munet.extend(system, fish(), **where(data))
    assert [*grown.models] == ["birds", "fish"]
    assert [*system.models] == ["birds"]  # as it was when it was opened
    assert grown.model("birds") == system.model("birds")
    assert grown.predict("fish", IMAGES).names
    assert munet.extend(grown, fish(), **where(data)).models == grown.models
    assert munet.verify(grown, [birds(), fish()]).is_sound
    with pytest.raises(UserError, match="is not the data that the run used"):
        munet.extend(grown, iterations={"fish": 1}, arrays=[fish(IMAGES[::-1] ^ 1)], **where(data))
    longer = munet.extend(grown, iterations={"fish": 1}, arrays=[fish()], **where(data))
    assert [phase.iteration for phase in longer.plan.phases] == [0, 0, 1]


def test_a_copy_is_extended_where_that_is_asked_for(system: munet.System, data: Path, tmp_path: Path) -> None:
    before = tiny_run.results(Path(system.workdir))
    grown = munet.extend(system.workdir, [fish()], to=str(tmp_path / "new"), **where(data))
    assert grown.workdir == str(tmp_path / "new")
    assert [*grown.models] == ["birds", "fish"]
    assert tiny_run.results(Path(system.workdir)) == before


def test_what_cannot_be_is_refused(system: munet.System, data: Path) -> None:
    with pytest.raises(ConfigError, match=r"seed: 0 -> 1: a run keeps its seed"):
        munet.extend(system, fish(), seed=1, **where(data))
    with pytest.raises(ConfigError, match="called 'birds' already"):
        munet.extend(system, birds(), **where(data))
    with pytest.raises(ConfigError, match="no task 'cats'"):
        munet.extend(system, fish(), iterations={"cats": 1}, **where(data))
    with pytest.raises(ConfigError, match="num_generation"):
        munet.extend(system, fish(), num_generation=1, **where(data))
