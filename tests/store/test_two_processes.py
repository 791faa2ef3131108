"""Two real processes that write to one work directory where no lock reaches: one goes on, or the next one does."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.store import shared_store
from tests.store.samples import assert_whole

ROOT = Path(__file__).parents[2]

# The body of a real process: goes on with a run, an entry every few moments until it is told to end; says what became
# of it. It is made to believe that it is alone on its machine; told so, it hangs before an entry, or within it.
WRITER = """
import fcntl, os, signal, sys, time
from pathlib import Path
from munet.errors import WorkdirError
from munet.store import Store, keeper, lease
from tests.faults import networks
from tests.store import shared_store
from tests.store.samples import entry, put_published
shared_store.register()
workdir, machine, end, hangs, seed = sys.argv[1], sys.argv[2], Path(sys.argv[3]), sys.argv[4], sys.argv[5]
if seed:
    shared_store.SharedStore.around = staticmethod(networks.slow(int(seed), 0.05))
keeper.beating.__wrapped__.__defaults__ = (0.1,)
keeper.shows_life.__defaults__ = lease.Lease.__init__.__defaults__ = (2.0, time.sleep)
keeper.boot = lambda: machine  # another kernel, which file locks do not reach
fcntl.flock = lambda *_: None
def hang(where):
    global hangs
    if hangs == where:
        hangs = ""
        os.kill(os.getpid(), signal.SIGSTOP)
try:
    store = Store.create_or_open(workdir)
    with store.lock():
        print("held", flush=True)
        index = len(store.journal)
        list(store.journal.entries())
        check = store.journal._check_held
        store.journal._check_held = lambda: (check(), index and hang("within"))
        while not end.exists():
            put_published(store.components, index)
            hang("before")
            store.journal.append(entry(index), at=index)
            print("appended", flush=True)
            index += 1
            time.sleep(0.05)
        unused = store.components.ids() - {id for e in store.journal.entries() for id in e.published}
        store.components.delete(unused)
        print("complete", flush=True)
except WorkdirError as error:
    print("refused", error, flush=True)
    sys.exit(2)
"""


Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def writer() -> Iterator[Start]:
    """Starts such a process; with a seed requests and their answers take up to 50 ms each. None outlives the test."""
    with contextlib.ExitStack() as stack:

        def start(workdir: str, machine: str, end: Path, hangs: str = "", seed: str = "") -> subprocess.Popen[str]:
            command = [sys.executable, "-c", WRITER, workdir, machine, str(end), hangs, seed]
            process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            stack.enter_context(process)
            stack.callback(process.kill)
            return process

        yield start


def says(process: subprocess.Popen[str], *lines: str) -> None:
    """Waits for what a writer says next."""
    assert process.stdout is not None
    assert [process.stdout.readline() for _ in lines] == [f"{line}\n" for line in lines]


def wait_until_it_hangs(process: subprocess.Popen[str]) -> None:
    for _ in range(1200):
        if status := os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WEXITED | os.WNOHANG | os.WNOWAIT):
            assert status.si_code == os.CLD_STOPPED, "it ended"
            return
        time.sleep(0.05)
    pytest.fail("it went on")


def refusal(process: subprocess.Popen[str]) -> str:
    """What a writer says that is refused."""
    out, errors = process.communicate(timeout=60)
    assert process.returncode == 2, errors
    return out.splitlines()[-1]


def places(tmp_path: Path) -> dict[str, str]:
    return {"shared": f"shared://{tmp_path}/run", "local": str(tmp_path / "run")}


SLOWLY = [pytest.param("shared", (str(2 * turn), str(2 * turn + 1)), marks=pytest.mark.slow) for turn in range(10)]


@pytest.mark.parametrize(("where", "seeds"), [("shared", ()), ("local", ()), *SLOWLY])
def test_of_two_processes_one_survives(where: str, seeds: tuple[str, ...], writer: Start, tmp_path: Path) -> None:
    workdir, end = places(tmp_path)[where], tmp_path / "end"
    machines = zip(("one", "two"), seeds or ("", ""), strict=True)
    processes = [writer(workdir, machine, end, seed=seed) for machine, seed in machines]
    while all(process.poll() is None for process in processes):
        time.sleep(0.05)
    end.touch()
    said = [process.communicate(timeout=60)[0] for process in processes]
    assert sorted(process.returncode for process in processes) == [0, 2], said
    refused = said[[process.returncode for process in processes].index(2)]
    assert "refused" in refused
    shared_store.register()
    assert_whole(workdir)


@pytest.mark.parametrize("hangs", ["before", "within"])
@pytest.mark.parametrize("where", ["shared", "local"])
def test_a_process_that_hangs_is_taken_over_from_and_then_stops(
    where: str, hangs: str, writer: Start, tmp_path: Path
) -> None:
    workdir, end = places(tmp_path)[where], tmp_path / "end"
    first = writer(workdir, "one", end, hangs)
    wait_until_it_hangs(first)
    second = writer(workdir, "two", end)
    says(second, "held", "appended")
    first.send_signal(signal.SIGCONT)
    what = "taken over|no longer" if hangs == "before" else "two runs share this work directory"
    assert re.match(f"refused .*({what})", refusal(first))
    end.touch()
    out, errors = second.communicate(timeout=60)
    assert (second.returncode, out.splitlines()[-1]) == (0, "complete"), errors
    shared_store.register()
    assert_whole(workdir)


@pytest.mark.parametrize("where", ["shared", "local"])
def test_where_one_that_hung_ends_its_entry_first_both_stop_and_the_next_goes_on(
    where: str, writer: Start, tmp_path: Path
) -> None:
    workdir, end = places(tmp_path)[where], tmp_path / "end"
    first = writer(workdir, "one", end, "within")
    wait_until_it_hangs(first)
    second = writer(workdir, "two", end, "before")
    wait_until_it_hangs(second)
    first.send_signal(signal.SIGCONT)
    assert re.match("refused .*(taken over|no longer)", refusal(first))
    second.send_signal(signal.SIGCONT)
    assert re.match("refused .*two runs share .*start this one again", refusal(second))
    end.touch()
    third = writer(workdir, "three", end)
    out, errors = third.communicate(timeout=60)
    assert (third.returncode, out.splitlines()[-1]) == (0, "complete"), errors
    shared_store.register()
    assert_whole(workdir)
