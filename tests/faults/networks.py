"""Between a run and its object store lies a network: requests that never arrive, answers that get lost, and time.

A writer's whole life is done on a simulated store while one request of it fails. Then it is done again, undisturbed:
what is stored must be what it would have been, and whoever was told that something is stored must find it.
"""

from __future__ import annotations

import errno
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from random import Random
from typing import Any

from munet import system_faults
from munet.errors import UserError
from munet.store import Journal, Store
from tests.store.samples import entry, put_published, records_of
from tests.store.shared_store import SharedStore

NUM_ENTRIES = 2
Around = Callable[[str, Callable[[], Any]], Any]


def _unreachable() -> OSError:
    return TimeoutError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))


def never_arrives(request: Callable[[], Any]) -> Any:
    """Nothing is done, and an error comes back."""
    raise _unreachable()


def answer_gets_lost(request: Callable[[], Any]) -> Any:
    """It is done, and an error comes back."""
    with suppress(OSError):
        request()
    raise _unreachable()


def is_sent_again(request: Callable[[], Any]) -> Any:
    """It is done, its answer gets lost, and the client of the store sends it once more, as clients of stores do."""
    with suppress(OSError):
        request()
    return request()


FAULTS: dict[str, Callable[[Callable[[], Any]], Any]] = {
    "never arrives": never_arrives,
    "answer gets lost": answer_gets_lost,
    "is sent again": is_sent_again,
}


@contextmanager
def network(around: Around) -> Iterator[None]:
    """All requests of this process go through `around`."""
    before = SharedStore.around
    SharedStore.around = staticmethod(around)  # type: ignore[assignment]
    try:
        yield
    finally:
        SharedStore.around = before


def slow(seed: int, seconds: float) -> Around:
    """Requests and their answers take up to some seconds each."""
    random = Random(seed)

    def around(name: str, request: Callable[[], Any]) -> Any:
        time.sleep(random.uniform(0, seconds))
        try:
            return request()
        finally:
            time.sleep(random.uniform(0, seconds))

    return around


def live(url: str, acknowledge: Callable[[], None] = lambda: None) -> None:
    """A writer from its start to its end: goes on where the journal is, publishes, commits, collects, gives back."""
    store = Store.create_or_open(url)
    with store.lock():
        for index in range(len(store.journal), NUM_ENTRIES):
            put_published(store.components, index)
            store.journal.append(entry(index), at=index)
            acknowledge()
            store.snapshots.save(index + 1, store.journal.head_hash, {"entries": index + 1})
        named = {identity for value in store.journal.entries() for identity in records_of(value)}
        store.components.delete(store.components.ids() - named)


def stored(url: str) -> dict[str, bytes]:
    """Every object that matters: the entries and the components; each is read as a reader does, and checked."""
    store = Store.open(url)
    for value in store.journal.entries():
        for identity in records_of(value):
            store.components.verify(identity)
    root = Path(url.removeprefix("shared://"))
    files = [file for name in ("components", "journal") for file in (root / name).iterdir()]
    return {str(file.relative_to(root)): file.read_bytes() for file in files if not file.name.startswith(".")}


def count_requests(url: str) -> Counter[str]:
    """The requests of a whole life, by name."""
    seen: Counter[str] = Counter()

    def around(name: str, request: Callable[[], Any]) -> Any:
        seen[name] += 1
        return request()

    with network(around):
        live(url)
    return seen


def outcome(url: str, target: int, fault: str, expected: dict[str, bytes]) -> str:
    """What came of a fault at request `target`: "same", "refused" (and the same when done again), or what is wrong."""
    number = acknowledged = 0

    def around(name: str, request: Callable[[], Any]) -> Any:
        nonlocal number
        number += 1
        return FAULTS[fault](request) if number == target else request()

    def count() -> None:
        nonlocal acknowledged
        acknowledged += 1

    result = "same"
    try:
        with network(around):
            live(url, count)
    except Exception as error:
        if not (isinstance(error, UserError) or system_faults.explained(error)):
            return f"a raw {type(error).__name__}: {error}"
        result = "refused"
    if len(Journal(f"{url}/journal")) < acknowledged:
        return "an entry is lost"
    try:
        live(url)
        return result if stored(url) == expected else "DIFFERENT"
    except Exception as error:
        return f"cannot be done again: {type(error).__name__}: {error}"
