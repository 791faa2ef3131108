"""Everything that the store does, each with what it needs to be there, and what it gives where nothing fails.

An operation can be done again after it failed: then it must give what it would have given.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from etils import epath

from munet.data.cache import cached_arrays
from munet.errors import UserError
from munet.store import ComponentStore, Store, component_id
from munet.training import save_manifest
from tests.store import killing
from tests.store.samples import component, published


@dataclass(frozen=True)
class Operation:
    """One of them.

    Attributes:
      prepare: makes what it needs, in an empty folder.
      do: does it; what it gives is compared.
      ours: what it may raise beside what names the system's error: whoever calls it tells that.
    """

    prepare: Callable[[Path], object]
    do: Callable[[Path], object]
    ours: tuple[type[Exception], ...] = (UserError,)


def _nothing(place: Path) -> None:
    """An empty folder is all."""


def _one_entry(place: Path) -> None:
    killing.run(place / "run", 1)


def _three_entries(place: Path) -> None:
    killing.run(place / "run", 3)


def _leftovers(place: Path) -> None:
    _one_entry(place)
    for name in ("", "components", "journal", "snapshots"):
        (place / "run" / name / ".tmp-1-0123-x").write_bytes(b"half")


def _damaged(place: Path) -> None:
    _three_entries(place)
    newest = max((place / "run" / "journal").iterdir())
    newest.write_bytes(newest.read_bytes().replace(b"entry", b"entri", 1))


def _saved(place: Path) -> None:
    (place / "save" / "d").mkdir(parents=True)
    (place / "save" / "d" / "data").write_bytes(bytes(range(200)))
    (place / "save" / "metadata").write_bytes(b"{}")


def _saved_whole(place: Path) -> None:
    _saved(place)
    save_manifest.write(epath.Path(place / "save"))


def _append(place: Path) -> object:
    killing.run(place / "run", 2)
    return _entries(place)


def _entries(place: Path) -> object:
    return list(Store.open(place / "run").journal.entries())


def _put(place: Path) -> object:
    return ComponentStore(place / "run" / "components").put(*component(77))


def _put_again(place: Path) -> object:
    store = ComponentStore(place / "run" / "components")
    return [store.put(*one) for one in published(0)]


def _get(place: Path) -> object:
    store = ComponentStore(place / "run" / "components")
    return [(store.get(one)[0], store.record(one), sorted(store.load(one))) for one in sorted(store.ids())]


def _delete(place: Path) -> object:
    store = Store.open(place / "run")
    with store.lock():
        store.components.delete(component_id(*one) for one in published(0))
    return sorted(Store.open(place / "run").components.ids())


def _snapshot(place: Path) -> object:
    store = Store.open(place / "run")
    with store.lock():
        store.snapshots.save(3, store.journal.head_hash, {"entries": 3, "again": True})
    return _latest(place)


def _latest(place: Path) -> object:
    store = Store.open(place / "run")
    return store.snapshots.latest(store.journal)


def _lock(place: Path) -> object:
    with Store.create_or_open(place / "run").lock():
        return _entries(place)


def _drop(place: Path) -> object:
    store = Store(place / "run")
    with store.lock():
        if len(store.journal) == 3:
            store.journal.drop_last()
    return _entries(place)


def _write_manifest(place: Path) -> object:
    save_manifest.write(epath.Path(place / "save"))
    return _check_manifest(place)


def _check_manifest(place: Path) -> object:
    save_manifest.check(epath.Path(place / "save"))
    return save_manifest.is_there(epath.Path(place / "save"))


def _cache(place: Path) -> object:
    found = cached_arrays(str(place / "cache"), "0123", lambda: {"a": np.arange(50, dtype=np.uint8)})
    return found["a"].tolist()


OPERATIONS: dict[str, Operation] = {
    "begin a run": Operation(_nothing, _append),
    "append": Operation(_one_entry, _append),
    "read entries": Operation(_three_entries, _entries),
    "publish a component": Operation(_one_entry, _put),
    "publish one that is there": Operation(_one_entry, _put_again),
    "read components": Operation(_one_entry, _get),
    "remove components": Operation(_three_entries, _delete),
    "save a snapshot": Operation(_three_entries, _snapshot),
    "read a snapshot": Operation(_three_entries, _latest),
    "lock a run with leftovers": Operation(_leftovers, _lock),
    "drop a damaged entry": Operation(_damaged, _drop),
    "write a manifest": Operation(_saved, _write_manifest, (OSError, ValueError)),
    "check a manifest": Operation(_saved_whole, _check_manifest, (OSError, ValueError)),
    "fill the cache": Operation(_nothing, _cache),
    "read the cache": Operation(_cache, _cache),
}
