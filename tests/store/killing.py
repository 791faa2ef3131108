"""A program that runs a little store-writing run in forked processes, kills them, and checks what they leave behind.

    python -m tests.store.killing EMPTY_DIRECTORY every          # at every single system call, before and amid it
    python -m tests.store.killing EMPTY_DIRECTORY random ROUNDS  # from outside, at seeded random moments

It is a program of its own because it forks, which a process that has loaded JAX should not do, and because a fork is a
hundred times faster than starting Python anew. It prints how many kills it did; any property that fails ends it.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from munet.errors import WorkdirError
from munet.store import Store
from tests.store.samples import entry, put_published, records_of

NUM_ENTRIES = 2
# Everything the store does to a disk goes through these.
PLACES = ("open", "write", "fsync", "replace", "link", "mkdir", "unlink", "ftruncate", "rmdir")
REAL_WRITE = os.write

State = dict[str, bytes]


def run(workdir: Path, num_entries: int, acknowledge: Callable[[], None] = lambda: None) -> None:
    """Starts a run, or goes on with one: components first, then the entry; then a snapshot; one at the start too."""
    store = Store.create_or_open(workdir)
    with store.lock():
        if not len(store.journal):
            store.snapshots.save(0, "", {"entries": 0})
        for index in range(len(store.journal), num_entries):
            put_published(store.components, index)
            store.journal.append(entry(index))
            acknowledge()
            store.snapshots.save(index + 1, store.journal.head_hash, {"entries": index + 1})


def check(workdir: Path, acknowledged: int) -> None:
    """What must hold after a kill at any instruction."""
    found = check_readable(workdir)
    assert found >= acknowledged, f"{acknowledged} entries were acknowledged, {found} are there"
    store = Store.create_or_open(workdir)
    with store.lock():
        assert not list(workdir.rglob(".tmp-*")), "leftovers survive the lock"
        snapshot = store.snapshots.latest(store.journal)
        assert snapshot is None or snapshot == (snapshot[0], {"entries": snapshot[0]})


def check_readable(workdir: Path) -> int:
    """That a reader finds a prefix of the run and all components it names; its length."""
    try:
        store = Store.open(workdir)
    except WorkdirError as error:
        message = str(error)
        found = []
    else:
        message = ""
        found = list(store.journal.entries())
    assert not message or message.startswith("There is no run"), message
    assert found == [entry(index) for index in range(len(found))], "not a prefix of what was appended"
    for value in found:
        for identity, record in records_of(value).items():
            assert store.components.get(identity)[0] == record
    return len(found)


def contents(workdir: Path) -> State:
    """Every file of the journal and every component, with its bytes (which snapshots are left depends on the kills)."""
    files = [path for name in ("components", "journal") for path in (workdir / name).iterdir()]
    return {str(path.relative_to(workdir)): path.read_bytes() for path in files}


def kill_ourselves() -> None:
    """The power goes out, for this process."""
    os.kill(os.getpid(), signal.SIGKILL)


@contextlib.contextmanager
def watched(target: int, when: str) -> Iterator[list[str]]:
    """Counts the calls in `PLACES` and kills this process at number `target`, `when` being before or amid.

    Nothing is really brought to the disk meanwhile: a kill does not lose what the kernel has.
    """
    calls: list[str] = []
    real = {name: getattr(os, name) for name in PLACES}

    def wrap(name: str) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            calls.append(name)
            is_target = len(calls) == target
            if is_target and when == "before":
                kill_ourselves()
            if is_target and when == "amid" and name == "write":
                real[name](args[0], bytes(args[1])[: len(args[1]) // 2])
                kill_ourselves()
            return None if name == "fsync" else real[name](*args, **kwargs)

        return call

    for name in PLACES:
        setattr(os, name, wrap(name))
    try:
        yield calls
    finally:
        for name in PLACES:
            setattr(os, name, real[name])


def fork(body: Callable[[Callable[[], None]], None]) -> tuple[int, int]:
    """Runs `body` in a child; its process id, and the end of a pipe that gets one byte for each acknowledgement."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writer)
        return pid, reader
    try:
        body(lambda: void(REAL_WRITE(writer, b".")))
    except BaseException as error:
        print(f"the run failed: {error!r}", flush=True)
        os._exit(1)
    os._exit(0)


def void(_: object) -> None:
    """Nothing."""


def collect(pid: int, reader: int) -> tuple[bool, int]:
    """Waits for a child: whether it was killed, and how many entries it acknowledged."""
    _, status = os.waitpid(pid, 0)
    acknowledged = len(os.read(reader, 1 << 16))
    os.close(reader)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, "the run failed"
    return os.WIFSIGNALED(status), acknowledged


def undisturbed(base: Path, num_entries: int) -> tuple[State, list[str]]:
    """What an undisturbed run leaves, and its system calls."""
    with watched(0, "never") as calls:
        run(base / "undisturbed", num_entries)
    return contents(base / "undisturbed"), calls


def kill_everywhere(base: Path) -> int:
    """One run for each system call and moment; every one killed there, checked and finished."""
    expected, calls = undisturbed(base, NUM_ENTRIES)
    assert {"open", "write", "fsync", "replace", "link", "mkdir", "unlink"} <= set(calls)
    kills = 0
    for number, name in enumerate(calls, 1):
        for when in ("before", "amid") if name == "write" else ("before",):
            workdir = base / f"{number}-{when}"

            def body(acknowledge: Callable[[], None], number: int = number, when: str = when) -> None:
                with watched(number, when):
                    run(base / f"{number}-{when}", NUM_ENTRIES, acknowledge)

            was_killed, acknowledged = collect(*fork(body))
            assert was_killed
            with watched(0, "never"):
                check(workdir, acknowledged)
                run(workdir, NUM_ENTRIES)
            assert contents(workdir) == expected, f"killed {when} call {number} ({name}): the finished run differs"
            kills += 1
    return kills


def kill_at_random(base: Path, rounds: int) -> int:
    """One run, killed again and again from outside while a reader looks on, until it is done."""
    num_entries, workdir = 10 * rounds, base / "run"
    expected, _ = undisturbed(base, num_entries)
    generator, kills, acknowledged = random.Random(0), 0, 0
    for _ in range(rounds):
        pid, reader = fork(lambda acknowledge: run(workdir, num_entries, acknowledge))
        end = time.monotonic() + generator.uniform(0.0, 0.1)
        while time.monotonic() < end:
            check_readable(workdir)
        os.kill(pid, signal.SIGKILL)
        was_killed, new = collect(pid, reader)
        kills, acknowledged = kills + was_killed, acknowledged + new
        check(workdir, acknowledged)
    run(workdir, num_entries)
    assert contents(workdir) == expected, "the finished run differs"
    return kills


def main() -> None:
    """See the module's docstring."""
    base, mode = Path(sys.argv[1]), sys.argv[2]
    print(kill_everywhere(base) if mode == "every" else kill_at_random(base, int(sys.argv[3])))


if __name__ == "__main__":
    main()
