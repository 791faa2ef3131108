"""A generation that was saved goes on as if nothing had happened; a save that fails or does not fit costs no run."""

from __future__ import annotations

import logging
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from orbax.checkpoint import v1 as ocp

from munet import rng
from munet.errors import UserError
from munet.training import quiet, save_manifest
from munet.training.in_flight import InFlight, SaveKey
from munet.training.measure.validation import CycleScores
from munet.training.program.programs import ChildState, init_state
from munet.types import ChildPlan, Quality
from tests.training.children import config, random_child
from tests.training.children import train as trained_by_engine

CHILDREN = [random_child(seed, id=seed + 1, max_blocks=1, image_size=16) for seed in range(2)]
NUM_CYCLES = 3


class _Stop(Exception):
    """Stands for a kill between two cycles."""


def train(
    in_flight: InFlight | None,
    children: list[ChildPlan] = CHILDREN,
    on_cycle: Callable[..., None] = lambda *_: None,
    dispatch: int = 0,
    share: float = 0.25,
) -> Any:
    settings = config(cycles_per_child=NUM_CYCLES, max_batches_per_cycle=2)
    settings.runtime.children_per_dispatch, settings.runtime.resident_share = dispatch, share
    return trained_by_engine(settings, children, None, in_flight, on_cycle)


def stop(folder: Path, children: list[ChildPlan] = CHILDREN, after: int = 2, **options: Any) -> None:
    """Trains and saves until `after` cycles have ended, all waves together."""
    ended = 0

    def count(*_: Any) -> None:
        nonlocal ended
        ended += 1
        if ended == after:
            raise _Stop

    in_flight = InFlight(str(folder), minutes=0)
    with pytest.raises(_Stop):
        train(in_flight, children, count, **options)
    in_flight.wait()


def resume(folder: Path, children: list[ChildPlan] = CHILDREN, **options: Any) -> tuple[Any, list[int], list[str]]:
    """What a second start gives, the cycles it trained, and what it told."""
    cycles: list[int] = []
    told: list[str] = []
    in_flight = InFlight(str(folder), minutes=0, note=told.append)
    trained = train(in_flight, children, lambda cycle, *_: cycles.append(cycle), **options)
    in_flight.clear()
    assert not folder.exists()
    return trained, cycles, told


def assert_same(left: Any, right: Any) -> None:
    assert left.keys() == right.keys()
    for id, child in left.items():
        assert child.training == right[id].training
        for name, arrays in child.best.items():
            for path, array in arrays.items():
                assert array.tobytes() == right[id].best[name][path].tobytes(), (id, name, path)


@pytest.fixture(scope="module")
def whole() -> Any:
    return train(None)


def test_a_generation_goes_on_where_it_was_saved(whole: Any, tmp_path: Path) -> None:
    stop(tmp_path / "in_flight")
    trained, cycles, told = resume(tmp_path / "in_flight")
    assert (cycles, told) == ([2], [])
    assert_same(trained, whole)


def two_streams() -> list[ChildPlan]:
    """Two children of one architecture with data settings of their own."""
    left = random_child(0, id=1, max_blocks=1, image_size=16)
    right = ChildPlan(**{**vars(left), "id": 2, "hyperparameters": {**left.hyperparameters, "crop_area_min": 1.0}})
    return [left, right]


def test_waves_have_saves_of_their_own(tmp_path: Path) -> None:
    """Streams that train one after the other have one path: only the children's ids tell the saves apart."""
    stop(tmp_path / "in_flight", two_streams(), after=NUM_CYCLES + 1, share=0.0)
    trained, cycles, told = resume(tmp_path / "in_flight", two_streams(), share=0.0)
    assert (cycles, told) == ([1, 2], [])
    assert_same(trained, train(None, two_streams()))


def test_streams_beside_each_other_go_on_together(tmp_path: Path) -> None:
    """From one save that names them all, which neither of them alone takes for its own."""
    stop(tmp_path / "in_flight", two_streams())
    assert len(list((tmp_path / "in_flight").iterdir())) == 1
    began: list[int] = []
    for child in two_streams():
        train(InFlight(str(tmp_path / "in_flight"), minutes=60), [child], lambda cycle, *_: began.append(cycle))
    assert began == [0, 1, 2] * 2
    trained, cycles, told = resume(tmp_path / "in_flight", two_streams())
    assert (cycles, told) == ([2], [])
    assert_same(trained, train(None, two_streams()))


def test_a_save_of_one_stream_is_called_as_it_ever_was(tmp_path: Path) -> None:
    """So that what was in training before an update goes on."""
    stop(tmp_path / "in_flight")
    (saved,) = (path.name for path in (tmp_path / "in_flight").iterdir())
    path = (0, 0, "fake", 0, "batches")
    assert saved.startswith(rng.digest((*path, "children", 1, 2)).hex()[:16])


def test_a_save_of_other_chunks_is_told_and_left(whole: Any, tmp_path: Path) -> None:
    children = [random_child(0, id=id, max_blocks=1, image_size=16) for id in (1, 2)]
    stop(tmp_path / "in_flight", children)
    _, cycles, told = resume(tmp_path / "in_flight", children, dispatch=2)
    assert cycles == [0, 1, 2]
    assert len(told) == 1
    assert "grouped otherwise" in told[0]


def truncate(save: Path) -> None:
    victim = max((path for path in save.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)
    victim.write_bytes(victim.read_bytes()[:100])


def empty(save: Path) -> None:
    for path in save.rglob("*"):
        if path.is_file() and path.parent != save:
            path.unlink()


@pytest.mark.parametrize("damage", [truncate, empty])
def test_a_save_that_cannot_be_read_is_told_and_left(
    damage: Callable[[Path], None], whole: Any, tmp_path: Path
) -> None:
    stop(tmp_path / "in_flight")
    newest = max((tmp_path / "in_flight").iterdir())
    damage(newest)
    trained, cycles, told = resume(tmp_path / "in_flight")
    assert cycles == [0, 1, 2]
    assert len(told) == 1
    assert newest.name in told[0]
    assert "cannot be used" in told[0]
    assert_same(trained, whole)


def test_a_save_without_a_manifest_is_used_and_that_is_told(whole: Any, tmp_path: Path) -> None:
    """One of an older version, or of a process that was killed before it wrote the manifest."""
    stop(tmp_path / "in_flight")
    (newest,) = (tmp_path / "in_flight").iterdir()
    (newest / save_manifest.FILE).unlink()
    trained, cycles, told = resume(tmp_path / "in_flight")
    assert cycles == [2]
    assert len(told) == 1
    assert f"{newest.name} has no manifest" in told[0]
    assert_same(trained, whole)


def test_where_the_newest_save_is_damaged_the_one_before_is_used(tmp_path: Path) -> None:
    in_flight = InFlight(str(tmp_path), minutes=0)
    save(in_flight, 0)
    in_flight.wait()
    shutil.copytree(tmp_path / f"{WHAT.name}-000000", tmp_path / f"{WHAT.name}-000001")
    truncate(tmp_path / f"{WHAT.name}-000001")
    told: list[str] = []
    found = InFlight(str(tmp_path), minutes=0, note=told.append).restore(WHAT, [jax.device_put(small_state())])
    assert found is not None
    assert found.cycles == 1
    assert len(told) == 1
    assert "the save before it is tried" in told[0]


def small_state(value: float = 0.0) -> ChildState:
    return init_state({"head": {"kernel": np.full((2, 3), value, np.float32)}})


WHAT = SaveKey((0, "fake", 0), (1, 2), ("one chunk",))


def save(in_flight: InFlight, cycle: int, what: SaveKey = WHAT) -> None:
    scores = CycleScores({id: (Quality(0, 1),) * (cycle + 1) for id in what.ids})
    in_flight.save(what, cycle, [small_state(cycle)], scores)


def test_only_the_newest_complete_save_is_kept(tmp_path: Path) -> None:
    in_flight = InFlight(str(tmp_path), minutes=0)
    other = SaveKey(WHAT.path, (3,), WHAT.chunks)
    save(in_flight, 0, other)
    for cycle in range(3):
        save(in_flight, cycle)
        in_flight.wait()
    saves = {path.name for path in tmp_path.iterdir()}
    assert saves == {f"{other.name}-000000", f"{WHAT.name}-000002"}


def tree_of(states: list[ChildState], ids: list[int]) -> dict[str, Any]:
    row, table = np.zeros(len(ids), np.int64), np.zeros((len(ids), 2, 2), np.int64)
    return {
        "states": [state._asdict() for state in states],
        "ids": np.array(ids), "qualities": table, "diverged": row,
    }  # fmt: skip


def test_a_save_of_other_children_is_refused(tmp_path: Path) -> None:
    told: list[str] = []
    in_flight = InFlight(str(tmp_path), minutes=0, note=told.append)
    ocp.save(tmp_path / f"{WHAT.name}-000001", tree_of([small_state()], [8, 9]))
    state = jax.device_put(small_state())
    assert in_flight.restore(WHAT, [state]) is None
    assert "has no manifest" in told[0]  # as saves of older versions
    assert "[8, 9], not [1, 2]" in told[1]


@pytest.mark.parametrize("minutes", [0, 60])
def test_every_cycle_asks_whether_the_run_ends(minutes: float, tmp_path: Path) -> None:
    """Also one that is saved anyway: the run learns by being asked that its time is up."""
    asked: list[int] = []

    def is_last() -> bool:
        asked.append(len(asked))
        return asked == [0, 1]

    in_flight = InFlight(str(tmp_path), minutes=minutes, is_last=is_last)
    for cycle in range(2):
        save(in_flight, cycle)
    in_flight.wait()
    assert asked == [0, 1]
    assert [path.name for path in tmp_path.iterdir()] == [f"{WHAT.name}-000001"]


def test_short_generations_are_never_saved(tmp_path: Path) -> None:
    now = 0.0
    in_flight = InFlight(str(tmp_path / "in_flight"), minutes=2, clock=lambda: now)
    for _ in range(60):  # five minutes of generations of five seconds
        in_flight.begin()
        now += 5
        save(in_flight, 0)
    assert not (tmp_path / "in_flight").exists()
    now += 116
    save(in_flight, 1)
    in_flight.wait()
    assert len(list((tmp_path / "in_flight").iterdir())) == 1


def test_a_stream_that_is_over_is_saved_sooner(tmp_path: Path) -> None:
    """Streams of 15 seconds: none is old enough for a save within, but all are kept."""
    now = 0.0
    in_flight = InFlight(str(tmp_path / "in_flight"), minutes=2, clock=lambda: now)
    for stream in range(3):
        what = SaveKey((*WHAT.path, stream), WHAT.ids, WHAT.chunks)
        for cycle in range(3):
            now += 5
            ended = CycleScores({id: (Quality(1, 2),) * (cycle + 1) for id in WHAT.ids})
            in_flight.save(what, cycle, [small_state()], ended, ends_stream=cycle == 2)
    in_flight.wait()
    assert len(list((tmp_path / "in_flight").glob("*-000002"))) == len(list((tmp_path / "in_flight").iterdir())) == 3


class _Failing:
    def result(self) -> None:
        raise ValueError("RESOURCE_EXHAUSTED: No space left on device\nmore lines")


def fail_at_once(*_: Any, **__: Any) -> Any:
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("save_async", [fail_at_once, lambda *_, **__: _Failing()])
def test_a_save_that_fails_is_told_once_and_costs_nothing(
    save_async: Any, whole: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    in_flight = InFlight(str(tmp_path / "in_flight"), minutes=0, note=told.append)
    monkeypatch.setattr(ocp, "save_async", save_async)
    trained = train(in_flight)
    in_flight.clear()
    assert_same(trained, whole)
    assert len(told) == 1
    assert "No space left on device" in told[0]
    assert "\n" not in told[0]


def test_a_failed_save_leaves_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    in_flight = InFlight(str(tmp_path), minutes=0, note=lambda _: None)
    save(in_flight, 0)
    in_flight.wait()
    monkeypatch.setattr(ocp, "save_async", lambda *_, **__: _Failing())
    save(in_flight, 1)
    (tmp_path / f"{WHAT.name}-000001.orbax-checkpoint-tmp").mkdir()
    in_flight.wait()
    assert [path.name for path in tmp_path.iterdir()] == [f"{WHAT.name}-000000"]
    assert in_flight.has_failed
    monkeypatch.undo()
    save(in_flight, 1)
    in_flight.wait()
    assert not in_flight.has_failed


def test_places_that_orbax_does_not_know(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be saved at memory://"):
        InFlight("memory://run/in_flight", minutes=2)
    InFlight("memory://run/in_flight", minutes=-1).clear()


FULL = """
import gc, resource, sys, numpy as np, jax
from munet.training.in_flight import InFlight
from munet.training.measure.validation import CycleScores
from munet.training.program.programs import ChildState
from munet.quality import Quality
from tests.training.test_in_flight import WHAT, small_state
resource.setrlimit(resource.RLIMIT_FSIZE, (64, 64))
told = []
in_flight = InFlight(sys.argv[1], minutes=0, note=told.append)
scores = CycleScores({id: (Quality(1, 2),) for id in WHAT.ids})
for cycle in range(2):
    in_flight.save(WHAT, cycle, [jax.device_put(small_state())], scores)
    in_flight.wait()
    gc.collect()
assert len(told) == 1, told
"""


def test_a_save_that_fails_is_told_in_one_line(tmp_path: Path) -> None:
    """Not by Orbax's threads, too, nor by asyncio when it finds what nobody asked for: some 460 lines."""
    result = subprocess.run([sys.executable, "-c", FULL, str(tmp_path / "saves")], capture_output=True, text=True)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_failed_writes_of_tensorstore_are_no_news_and_others_are() -> None:
    def record(text: str) -> logging.LogRecord:
        error = ValueError(text)
        return logging.LogRecord("asyncio", 40, "", 0, "never retrieved", (), (ValueError, error, None))

    assert not quiet._is_news(record("OUT_OF_RANGE: Error writing /saves/a-000000.orbax-checkpoint-tmp/state/d/1"))
    assert quiet._is_news(record("somebody else's"))
