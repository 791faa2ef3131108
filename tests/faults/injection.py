"""Fails every system call of every operation of the store, with every error: once, or from then on.

Whatever happens then, one of these must be true: the operation gives what it would have given; or it is refused in a
message that names the cause. And afterwards, when nothing fails any more, it gives what it would have given, and leaves
the same files. Everything else is a fault, and is listed.
"""

from __future__ import annotations

import errno
import gc
import os
import shutil
import warnings
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from munet import system_faults
from tests.faults.operations import OPERATIONS, Operation
from tests.store import system_calls

ERRNOS = tuple(
    getattr(errno, name)
    for name in (
        "EIO", "ENOSPC", "EDQUOT", "EROFS", "EACCES", "EPERM", "EFBIG", "EMFILE", "ENFILE", "ENOMEM", "ESTALE",
        "ETIMEDOUT", "ENODEV",
    )
)  # fmt: skip
FEW_ERRNOS = (errno.EIO, errno.ENOSPC, errno.EACCES)
SHORT = 0  # no error: a write that writes one byte only
_NAMES = system_calls.WRITES + system_calls.READS


@dataclass
class Outcomes:
    """How often what came of an error, and the faults."""

    counts: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    def add(self, outcome: str, what: str) -> None:
        """Counts an outcome; any but the first two is a fault."""
        self.counts[outcome] += 1
        if outcome not in ("same", "refused"):
            self.faults.append(f"{what}: {outcome}")

    def __str__(self) -> str:
        told = ", ".join(f"{name} {count:,}" for name, count in sorted(self.counts.items()))
        return f"{sum(self.counts.values()):,} injections: {told}; {len(self.faults)} faults"


def inject(place: Path, errnos: Iterable[int], names: Iterable[str] = OPERATIONS) -> Outcomes:
    """Injects every error at every call of every operation; `place` is an empty folder."""
    outcomes = Outcomes()
    for name in names:
        operation = OPERATIONS[name]
        base, sound = place / "prepared", place / "sound"
        base.mkdir()
        operation.prepare(base)
        shutil.copytree(base, sound)
        operation.do(sound)  # what a process does only once, as finding out its own name, is no call of what follows
        shutil.rmtree(sound)
        shutil.copytree(base, sound)
        with system_calls.watched(lambda *_: None, _NAMES) as calls:
            expected = operation.do(sound)
        files = contents(sound)
        for number, call in enumerate(list(calls), 1):
            for error in (*errnos, *([SHORT] if call == "write" else [])):
                for lasts in (False, True):
                    what = f"{name}, call {number} ({call}), {errno.errorcode.get(error, 'short')}, lasts={lasts}"
                    workdir = place / "run"
                    shutil.copytree(base, workdir)
                    outcomes.add(one(operation, workdir, (number, error, lasts), expected, files), what)
                    shutil.rmtree(workdir)
        shutil.rmtree(base)
        shutil.rmtree(sound)
    return outcomes


def one(
    operation: Operation, workdir: Path, fault: tuple[int, int, bool], expected: object, files: dict[str, bytes]
) -> str:
    """What came of one error: "same", "refused", or the fault that it showed."""
    before = _open_files()
    outcome = "same"
    try:
        with system_calls.watched(failing(*fault), _NAMES):
            given = operation.do(workdir)
        if given != expected:
            return f"DIFFERENT: {str(given)[:200]}"
    except Exception as error:
        if not (isinstance(error, operation.ours) or system_faults.explained(error)):
            return f"a raw {type(error).__name__}: {str(error)[:200]}"
        outcome = "refused"
    gc.collect(0)
    if (left := _open_files() - before) > 0:
        return f"{left} files left open"
    try:
        if operation.do(workdir) != expected:
            return "DIFFERENT when it is done again"
    except Exception as error:
        return f"cannot be done again: {type(error).__name__}: {str(error)[:200]}"
    return outcome if contents(workdir) == files else "DIFFERENT files when it is done again"


def failing(target: int, error: int, lasts: bool) -> system_calls.Hook:
    """A hook that fails call `target`; `lasts`: and all later ones of its name."""
    failed: list[str] = []

    def hook(name: str, number: int, real: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        if number == target:
            failed.append(name)
        if not (number == target or (lasts and name in failed)):
            return None
        if error == SHORT:
            return real(args[0], bytes(args[1])[:1]) if name == "write" else None
        raise OSError(error, os.strerror(error), *(str(arg) for arg in args[:1] if isinstance(arg, str | Path)))

    return hook


def contents(place: Path) -> dict[str, bytes]:
    """Every file that matters: neither the lock, which says who had it, nor leftovers, nor snapshots."""
    return {
        str(file.relative_to(place)): file.read_bytes()
        for file in sorted(place.rglob("*"))
        if file.is_file()
        and file.name != "lock"
        and file.parent.name != "snapshots"
        and not file.name.startswith(".tmp-")
    }


def _open_files() -> int:
    with warnings.catch_warnings(action="ignore"):
        return len(os.listdir("/proc/self/fd"))  # noqa: PTH208
