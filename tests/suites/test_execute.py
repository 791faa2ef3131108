"""Worker processes: disjoint places, failures that stop nothing, and an end of all when the suite ends; without JAX."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from munet.config import Config
from munet.errors import UserError
from munet.suites import worker
from munet.suites.execute import Outcome, Workers
from munet.suites.plan import Run
from munet.suites.suite import Method

# Does what the last part of its work directory says.
STUB = """
import json, os, signal, sys, time
from pathlib import Path
workdir = Path(json.loads(sys.stdin.readline())["workdir"])
def tell(**message):
    print(json.dumps(message), flush=True)
tell(say=f"place {os.environ['PLACE']}")
(workdir.parent / f"{workdir.name}.pid").write_text(str(os.getpid()))
if workdir.name.startswith("fails"):
    tell(error="no such data")
    sys.exit(2)
if workdir.name.startswith("dies"):
    os.kill(os.getpid(), signal.SIGKILL)
if workdir.name.startswith("hangs"):
    time.sleep(60)
time.sleep(0.3)
"""


def runs(folder: Path, *names: str) -> list[Run]:
    return [Run(Method(name, "demo"), 0, Config(), str(folder / name)) for name in names]


def workers(places: int) -> tuple[Workers, list[str], list[Outcome]]:
    said: list[str] = []
    ended: list[Outcome] = []
    environments = [{"PLACE": str(index)} for index in range(places)]
    return Workers(environments, said.append, ended.append, command=(sys.executable, "-c", STUB)), said, ended


def test_failures_are_reported_and_the_others_go_on(tmp_path: Path) -> None:
    pool, said, ended = workers(1)
    pool.run(runs(tmp_path, "fails", "dies", "works"))
    assert [(outcome.run.method.name, outcome.error) for outcome in ended] == [
        ("fails", "no such data"),
        ("dies", "killed by SIGKILL (out of memory?); start the suite again"),
        ("works", ""),
    ]
    assert said[0] == f"[1/3] fails, seed 0: starts, in {tmp_path / 'fails'}"
    assert "  fails, seed 0: place 0" in said
    assert said[-1].startswith("works, seed 0: done in ")


def test_workers_share_the_runs_each_in_its_place(tmp_path: Path) -> None:
    pool, said, ended = workers(3)
    names = [f"works{index}" for index in range(6)]
    pool.run(runs(tmp_path, *names))
    assert sorted(outcome.run.method.name for outcome in ended) == names
    assert {line.rpartition(" ")[2] for line in said if ": place " in line} == {"0", "1", "2"}


def test_an_interrupted_suite_ends_its_workers(tmp_path: Path) -> None:
    pool, _, ended = workers(2)

    def interrupt() -> None:
        while len(list(tmp_path.glob("*.pid"))) < 2:
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt).start()
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        pool.run(runs(tmp_path, "hangs1", "hangs2", "works"))
    assert time.monotonic() - started < 40
    assert ended == []
    for path in tmp_path.glob("*.pid"):
        with pytest.raises(ProcessLookupError):
            os.kill(int(path.read_text()), 0)
    assert not (tmp_path / "works.pid").exists()


def test_what_the_caller_raises_ends_everything(tmp_path: Path) -> None:
    def fail(_: Outcome) -> None:
        raise OSError("disk full")

    pool = Workers([{"PLACE": "0"}, {"PLACE": "1"}], lambda _: None, fail, command=(sys.executable, "-c", STUB))
    with pytest.raises(OSError, match="disk full"):
        pool.run(runs(tmp_path, "works", "hangs"))


def test_places_are_disjoint_gpus_or_the_one_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "_devices", lambda: ("gpu", 4))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert worker.places(0) == [{"CUDA_VISIBLE_DEVICES": str(index)} for index in range(4)]
    assert worker.places(3) == [{"CUDA_VISIBLE_DEVICES": ids} for ids in ("0,3", "1", "2")]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5,7,8,9")
    assert worker.places(2) == [{"CUDA_VISIBLE_DEVICES": ids} for ids in ("5,8", "7,9")]
    with pytest.raises(UserError, match="--workers=5, but JAX sees 4 GPU"):
        worker.places(5)
    monkeypatch.setattr(worker, "_devices", lambda: ("tpu", 8))
    assert worker.places(0) == [{}]
    eight = worker.places(8)
    assert [place["TPU_VISIBLE_CHIPS"] for place in eight] == [str(chip) for chip in range(8)]
    assert {place["TPU_CHIPS_PER_PROCESS_BOUNDS"] for place in eight} == {"1,1,1"}
    assert len({place["TPU_PROCESS_PORT"] for place in eight}) == 8
    two = worker.places(2)
    assert [place["TPU_VISIBLE_CHIPS"] for place in two] == ["0,1,2,3", "4,5,6,7"]
    assert {(place["TPU_CHIPS_PER_PROCESS_BOUNDS"], place["TPU_PROCESS_BOUNDS"]) for place in two} == {
        ("2,2,1", "1,1,1")
    }
    with pytest.raises(
        UserError, match=r"--workers=3: the 8 chips of this TPU cannot be shared out so. Valid: 8, 2, 1"
    ):
        worker.places(3)
    with pytest.raises(UserError, match="--workers=-1: expected 0"):
        worker.places(-1)


def test_workers_on_a_cpu_get_as_many_cores_each(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many, since a run is repeatable on one number of cores only."""
    monkeypatch.setattr(worker, "_devices", lambda: ("cpu", 1))
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {2, 3, 4, 6, 7}, raising=False)
    name = "MUNET_WORKER_CORES"
    assert worker.places(0) == worker.places(1) == [{}]
    assert worker.places(2) == [{name: "2,3"}, {name: "4,6"}]
    assert worker.places(6) == [{}] * 6
    kept: list[set[int]] = []
    monkeypatch.setattr(os, "sched_setaffinity", lambda _, cores: kept.append(cores), raising=False)
    worker.keep_to_own_cores()
    monkeypatch.setenv(name, "4,6")
    worker.keep_to_own_cores()
    assert kept == [{4, 6}]
