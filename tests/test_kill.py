"""A run killed with SIGKILL at any moment goes on with the same command and ends as if nothing had happened."""

from __future__ import annotations

import random
import signal
import time
from pathlib import Path

import pytest

from tests import tiny_run
from tests.tiny_run import finish, start

NAMED_MOMENTS = (
    "components:5:after",  # the root's components are written, the journal is empty
    "journal:1:after",  # the first entry only
    "components:3:after",  # some components of a generation
    "journal:1:before",  # all of them, no entry
    "journal:1:after",  # an entry; the phase is not closed
    "snapshots:1:before",  # inside a snapshot
    "snapshots:1:after",  # between the snapshot and the collection
)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, object], float]:
    """Data, the results of a run that nobody killed, and about the seconds that a second one would take."""
    folder = tmp_path_factory.mktemp("undisturbed")
    tiny_run.write_data(folder / "data", has_bars=True)
    started = time.monotonic()
    finish(folder / "run", folder / "data")  # also fills the cache of compiled programs
    seconds = (time.monotonic() - started) / 2
    results = tiny_run.results(folder / "run")
    assert len(tiny_run.qualities(folder / "run")) >= 4  # other weights would have others
    return folder / "data", results, seconds


def test_killed_at_every_named_moment(undisturbed: tuple[Path, dict[str, object], float], tmp_path: Path) -> None:
    data, expected, _ = undisturbed
    for moment in NAMED_MOMENTS:
        process = start(tmp_path / "run", data, moment)
        _, errors = process.communicate(timeout=200)
        assert process.returncode == -signal.SIGKILL, (moment, errors.decode())
    finish(tmp_path / "run", data)
    assert tiny_run.results(tmp_path / "run") == expected
    leftovers = [path for path in (tmp_path / "run").rglob("*") if path.name.startswith(".tmp")]
    assert not leftovers
    assert not (tmp_path / "run" / "in_flight").exists()


@pytest.mark.slow
def test_killed_around_the_choice_of_seed_parents(
    undisturbed: tuple[Path, dict[str, object], float], tmp_path: Path
) -> None:
    data, _, _ = undisturbed
    for moment in (
        "journal:5:before",  # the first phase is closed, the fits of the second are measured but not written
        "journal:1:after",  # they are; no child is trained
        "journal:2:before",  # the first generation from the chosen seed parents is trained
    ):
        process = start(tmp_path / "killed", data, moment, "fit")
        _, errors = process.communicate(timeout=200)
        assert process.returncode == -signal.SIGKILL, (moment, errors.decode())
    finish(tmp_path / "killed", data, "fit")
    finish(tmp_path / "whole", data, "fit")
    assert tiny_run.results(tmp_path / "killed") == tiny_run.results(tmp_path / "whole")


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_killed_around_saves(undisturbed: tuple[Path, dict[str, object], float], tmp_path: Path) -> None:
    data, expected, _ = undisturbed
    for moment in (
        "in_flight:1:before",  # a save is written, but has not its name yet
        "in_flight:1:after",  # it has, and no manifest
        "in_flight:2:before",
        "in_flight:2:after",
        "journal:1:before",  # the generation that was saved is trained
    ):
        process = start(tmp_path / "run", data, moment)
        _, errors = process.communicate(timeout=200)
        assert process.returncode == -signal.SIGKILL, (moment, errors.decode())
    finish(tmp_path / "run", data)
    assert tiny_run.results(tmp_path / "run") == expected


def kill_at_random(seed: int, times: int, undisturbed: tuple[Path, dict[str, object], float], workdir: Path) -> None:
    data, expected, seconds = undisturbed
    moments = random.Random(seed)
    for _ in range(times):
        process = start(workdir, data)
        time.sleep(moments.uniform(0.3, 1.0) * seconds)
        process.kill()
        process.communicate()
    finish(workdir, data)
    assert tiny_run.results(workdir) == expected


@pytest.mark.slow
def test_killed_at_random_moments(undisturbed: tuple[Path, dict[str, object], float], tmp_path: Path) -> None:
    kill_at_random(0, 2, undisturbed, tmp_path / "run")


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("seed", range(1, 6))
def test_killed_at_twenty_random_moments(
    seed: int, undisturbed: tuple[Path, dict[str, object], float], tmp_path: Path
) -> None:
    kill_at_random(seed, 4, undisturbed, tmp_path / "run")
