"""Checks what a work directory holds beside journal and components: snapshots, the save in flight, baselines.

No run needs the first two: what is damaged is left aside, and made again. They are checked all the same: a disk that
alters one file alters others.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from etils import epath

from munet.report.verify.problems import VerifyReport
from munet.store import Store
from munet.system.baselines import baselines
from munet.training import save_manifest

IN_FLIGHT = "in_flight"
_LOOKS, _PAUSE = 3, 0.2  # at a save that a run may just be removing; seconds
_NOT_NEEDED = "Delete it: it only saves time."
_TRAINED_AGAIN = "The run leaves it aside when it goes on, and trains that generation again; or delete the folder."


def check_snapshots(store: Store, report: VerifyReport) -> None:
    """Every snapshot is what was written, by its own hash."""
    for name, is_sound in store.snapshots.sound().items():
        report.num_snapshots += 1
        if not is_sound:
            report.add(f"{store.snapshots.path}/{name}", "It is not what was written (SHA-256).", _NOT_NEEDED)


def check_in_flight(store: Store, report: VerifyReport) -> None:
    """Every file of the saves of a generation in training is what its manifest says."""
    for saved in _saves(f"{store.path.rstrip('/')}/{IN_FLIGHT}"):
        problem, is_checked = _problem(saved)
        report.num_saves += is_checked
        if problem:
            report.add(str(saved), f"It is not what was saved: {problem}.", _TRAINED_AGAIN)
        elif not is_checked and saved.exists():
            report.notes.append(f"{saved} has no manifest to be checked against: it goes unchecked.")


def check_baselines(store: Store, report: VerifyReport, verify: Callable[[str], VerifyReport]) -> None:
    """The runs that this one is compared with are work directories of their own."""
    for kind, workdir in baselines(store.path).items():
        report.baselines[kind] = verify(workdir)


def _saves(folder: str) -> Iterator[epath.Path]:
    """The saves in a folder that are whole, by name; those that are being written have a dot in theirs."""
    try:
        place = epath.Path(folder)
    except KeyError:  # a place at which nothing can be saved (see `saves.py`)
        return
    if place.is_dir():
        yield from sorted(item for item in place.iterdir() if "." not in item.name and item.is_dir())


def _problem(saved: epath.Path) -> tuple[str, bool]:
    """What is wrong with a save ("": nothing, or it has gone), and whether it could be checked."""
    problem = ""
    for look in range(_LOOKS):
        if look:
            time.sleep(_PAUSE)
        try:
            if not save_manifest.is_there(saved):
                return "", False
            save_manifest.check(saved)
        except (OSError, ValueError) as error:
            problem = str(error)
        else:
            return "", True
    return (problem, True) if saved.exists() else ("", False)
