"""A second work directory made of a first one: the same journal, one more entry. It is there wholly or not at all.

Files that never change are hard links where the file system has them, and else share their blocks where it can do
that (reflinks), so that a copy of a large system takes no room.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from munet.errors import UserError
from munet.store.folders import is_remote
from munet.store.local import TEMPORARY_PREFIX, make_directory
from munet.store.new_directory import check_new_directory, new_directory
from munet.store.store import Store
from munet.types import ComponentId, ComponentRecord, CompressionEntry, ExtendEntry
from munet.vit.init import FlatArrays

_WRITTEN_ONCE = ("journal", "snapshots")


def check_places(workdir: str, to: str, what: str = "compressed") -> None:
    """Refuses places that cannot be used, before anything is worked out.

    Args:
      workdir: of the first one.
      to: of the second one.
      what: the system becomes, in a word.

    Raises:
      UserError: what is wrong with them.
    """
    if not to:
        raise UserError(f"--to is missing: give a new or empty directory for the {what} system.")
    for option, place in (("workdir", workdir), ("to", to)):
        if is_remote(place):
            raise UserError(f"--{option}={place}: a system is {what} from one local directory into another.")
    check_new_directory("to", to, workdir)


def write(
    store: Store,
    to: str,
    kept: set[ComponentId],
    published: Mapping[ComponentId, tuple[ComponentRecord, FlatArrays]],
    entry: CompressionEntry | ExtendEntry,
    length: int | None = None,
    *,
    with_baselines: bool = False,
) -> None:
    """Writes the directory.

    Args:
      store: of the old one.
      to: its place, checked.
      kept: components of the old one that the new one needs.
      published: new components.
      entry: that goes behind the journal.
      length: entries of the journal that it follows on; None: all.
      with_baselines: also the runs that the old one was compared with.

    Raises:
      WorkdirError: something else has come to be there meanwhile, or the place cannot be written.
      DiskFullError: nothing is left behind.
    """
    with new_directory("to", to) as place:
        old = Path(store.path)
        for folder in _WRITTEN_ONCE:
            for file in sorted((old / folder).glob("*.json")):
                _link(file, place / folder / file.name)
        for identity in sorted(kept):
            name = f"{identity}.safetensors"
            _link(old / "components" / name, place / "components" / name)
        if (log := old / "log.jsonl").exists():
            _copy(log, place / log.name)  # no link: a later start adds to it
        if with_baselines:
            _link_baselines(old, place)
        new = Store(place)
        for identity, (record, arrays) in published.items():
            if new.components.put(record, arrays) != identity:
                raise ValueError(f"component {record.name} has another id than {identity}")
        new.journal.append(entry, at=len(store.journal) if length is None else length)


def _link_baselines(old: Path, new: Path) -> None:
    """The runs that the first one is compared with, each a work directory of its own."""
    for baseline in sorted((old / "baselines").glob("*")):
        for folder in ("components", *_WRITTEN_ONCE):
            for file in sorted((baseline / folder).glob("*")):
                if not file.name.startswith(TEMPORARY_PREFIX):
                    _link(file, new / "baselines" / baseline.name / folder / file.name)
        if (log := baseline / "log.jsonl").exists():
            _copy(log, new / "baselines" / baseline.name / log.name)


def _link(file: Path, target: Path) -> None:
    make_directory(target.parent)
    try:
        os.link(file, target)
    except OSError:  # another file system, or one without links
        _copy(file, target)


def _copy(file: Path, target: Path) -> None:
    """Copies a file; within a file system that can do so, it gets the same blocks until one of the two is written."""
    make_directory(target.parent)
    try:
        with file.open("rb") as source, target.open("wb") as made:
            while os.copy_file_range(source.fileno(), made.fileno(), 1 << 30):
                pass
    except (OSError, AttributeError):  # from one to another, or where the system has no such call
        shutil.copyfile(file, target)
