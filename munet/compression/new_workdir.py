"""A second work directory made of a first one: the same journal, one more entry. It is there wholly or not at all.

Files that never change are hard links where the file system has them, so that a copy of a large system takes no room.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from munet.errors import UserError
from munet.store import Store
from munet.store.folders import is_remote
from munet.store.local import make_directory
from munet.store.new_directory import check_new_directory, new_directory
from munet.types import ComponentId, ComponentRecord, CompressionEntry
from munet.vit.init import FlatArrays

_WRITTEN_ONCE = ("journal", "snapshots")


def check_places(workdir: str, to: str) -> None:
    """Refuses places that cannot be used, before anything is worked out.

    Raises:
      UserError: what is wrong with them.
    """
    if not to:
        raise UserError("--to is missing: give a new or empty directory for the compressed system.")
    for option, place in (("workdir", workdir), ("to", to)):
        if is_remote(place):
            raise UserError(f"--{option}={place}: a system is compressed from one local directory into another.")
    check_new_directory("to", to, workdir)


def write(
    store: Store,
    to: str,
    kept: set[ComponentId],
    published: Mapping[ComponentId, tuple[ComponentRecord, FlatArrays]],
    entry: CompressionEntry,
) -> None:
    """Writes the directory.

    Args:
      store: of the old one.
      to: its place, checked.
      kept: components of the old one that the new one needs.
      published: new components.
      entry: that goes behind the journal.

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
            shutil.copyfile(log, place / log.name)  # no link: a later start adds to it
        new = Store(place)
        for identity, (record, arrays) in published.items():
            if new.components.put(record, arrays) != identity:
                raise ValueError(f"component {record.name} has another id than {identity}")
        new.journal.append(entry, at=len(store.journal))


def _link(file: Path, target: Path) -> None:
    make_directory(target.parent)
    try:
        os.link(file, target)
    except OSError:  # another file system, or one without links
        shutil.copyfile(file, target)
