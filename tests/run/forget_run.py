"""Forgets a task of a stored run in forked processes killed at every system call; a program, as `store.killing` is."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from munet.run.forget import forget, plan_forgetting
from tests.report.stored_run import write_run
from tests.store.killing import collect, contents, fork, watched

TASK = "task0"


def write(workdir: Path) -> None:
    """A complete run of three tasks that share layers."""
    write_run(workdir, num_classes=(3, 5, 7), mutation_probability=0.4, scale_factor=0.5)


def forget_all(workdir: Path) -> None:
    """As the command does it, without asking."""
    for planned in plan_forgetting(str(workdir), TASK):
        forget(planned)


def main(base: Path) -> None:
    """After each kill the task is forgotten or it is not, and the same call ends the same."""
    write(base / "run")
    before = contents(base / "run")
    shutil.copytree(base / "run", base / "undisturbed")
    with watched(0, "never") as calls:
        forget_all(base / "undisturbed")
    expected = contents(base / "undisturbed")
    kills = 0
    for number in range(1, len(calls) + 1):
        workdir = base / f"run-{number}"
        shutil.copytree(base / "run", workdir)

        def body(acknowledge: Callable[[], None], number: int = number, workdir: Path = workdir) -> None:
            with watched(number, "before"):
                forget_all(workdir)

        was_killed, _ = collect(*fork(body))
        assert was_killed
        found = {name: data for name, data in contents(workdir).items() if ".tmp-" not in name}
        journal = {name: data for name, data in found.items() if name.startswith("journal")}
        assert journal.items() <= expected.items(), f"killed at call {number}: another journal"
        assert found.keys() >= expected.keys() - {f"journal/{len(journal):08d}.json"}
        assert all(before.get(name, data) == data for name, data in found.items())
        forget_all(workdir)
        assert contents(workdir) == expected, f"killed at call {number}: the next try differs"
        assert not list(workdir.rglob(".tmp-*")), f"killed at call {number}: leftovers"
        kills += 1
    print(kills)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
