"""Writes a compressed system in forked processes killed at every system call; a program, as `store.killing` is."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from tests.compression.compressed_run import compressed, write, write_smooth_run
from tests.store.killing import collect, contents, fork, watched


def main(base: Path) -> None:
    """After each kill there is nothing at the place, or all; the next try has all."""
    system = write_smooth_run(base / "run")
    found = compressed(system)
    before = contents(base / "run")
    with watched(0, "never") as calls:
        write(system, found, base / "undisturbed")
    expected = contents(base / "undisturbed")
    kills = 0
    for number in range(1, len(calls) + 1):
        to = base / "small"

        def body(acknowledge: Callable[[], None], number: int = number, to: Path = to) -> None:
            with watched(number, "before"):
                write(system, found, to)

        was_killed, _ = collect(*fork(body))
        assert was_killed
        if to.exists():
            assert contents(to) == expected, f"killed at call {number}: half of it is there"
        else:
            with watched(0, "never"):
                write(system, found, to)
            assert contents(to) == expected, f"killed at call {number}: the next try differs"
        assert not list(base.glob(".tmp-*")), f"killed at call {number}: leftovers"
        assert contents(base / "run") == before
        to.rename(base / f"done-{number}")
        kills += 1
    print(kills)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
