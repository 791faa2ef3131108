"""Two writers of one work directory where no lock reaches: exactly one goes on, and what is stored is whole."""

from __future__ import annotations

import functools
import itertools
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from munet.errors import WorkdirError
from munet.store import Journal, Store, keeper
from munet.store.folders import open_folder
from munet.store.lease import Lease, held
from tests.store.samples import assert_whole, entry, put_published

ROOT = Path(__file__).parents[2]
NUM_ENTRIES = 2


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A place of its own in the memory that all tests share."""
    return f"memory://{tmp_path}/run"


def steps_of_a_writer(workdir: str, writer: int) -> Iterator[str]:
    """A writer that goes on where the journal is, step by step; ends where it is done, or is refused."""
    store = Store.create_or_open(workdir)
    length = len(store.journal)
    list(store.journal.entries())
    yield "folded"
    while length < NUM_ENTRIES:
        mine = length + 100 * writer * (length > 0)  # times differ in reality, so entries do
        put_published(store.components, mine)
        yield "published"
        store.journal.append(entry(mine), at=length)
        length += 1
        yield "appended"


def in_order(order: tuple[int, ...], workdir: str) -> list[bool]:
    """Lets two writers take their steps in an order; which of them were not refused."""
    writers = [steps_of_a_writer(workdir, writer) for writer in range(2)]
    alive, open_ = [True, True], [True, True]
    for turn in (*order, *([0] * 20), *([1] * 20)):
        if open_[turn]:
            try:
                next(writers[turn])
            except StopIteration:
                open_[turn] = False
            except WorkdirError:
                open_[turn] = alive[turn] = False
    return alive


@pytest.mark.parametrize("where", ["memory", "local"])
def test_appends_of_two_writers_without_any_lock_in_every_order(where: str, url: str, tmp_path: Path) -> None:
    """By `at` and the conditional PUT (locally: the link) alone: whoever is refused has written nothing that stays."""
    both = 0
    for number, order in enumerate(orders(4 if where == "memory" else 3)):
        workdir = f"{url}/{number}" if where == "memory" else str(tmp_path / f"run{number}")
        alive = in_order(order, workdir)
        assert any(alive), order
        both += all(alive)
        assert_whole(workdir)
        assert len(Store.open(workdir).journal) == NUM_ENTRIES, order
    assert both < number / 2  # only where one began when the other had ended


class _Turns:
    """Lets two threads make requests of a store one at a time, in a given order; then whoever comes."""

    def __init__(self, order: tuple[int, ...]):
        self._order, self._taken, self._over = list(order), threading.Condition(), [False, False]

    def make(self, writer: int, request: Callable[[], object]) -> object:
        """Makes a request when its turn comes; no other is made meanwhile, as stores are atomic and memory is not."""
        with self._taken:
            self._taken.wait_for(lambda: not self._order or self._order[0] == writer or self._over[self._order[0]], 20)
            while self._order and self._over[self._order[0]]:
                self._order.pop(0)
            if self._order and self._order[0] == writer:
                self._order.pop(0)
            try:
                return request()
            finally:
                self._taken.notify_all()

    def end(self, writer: int) -> None:
        with self._taken:
            self._over[writer] = True
            self._taken.notify_all()


class _Stepping:
    """A folder whose every operation waits for its turn; nothing of it is replaced."""

    def __init__(self, path: str, make: Callable[[Callable[[], object]], object]):
        self._folder, self._make, self.path = open_folder(path), make, path

    def __getattr__(self, name: str) -> object:
        operation = getattr(self._folder, name)

        def call(*arguments: object) -> object:
            return self._make(lambda: operation(*arguments))

        return call


def acquire_in_order(order: tuple[int, ...], path: str) -> list[bool]:
    """Two leases are acquired, request by request in an order; which of them were."""
    turns, held = _Turns(order), [False, False]

    def body(writer: int) -> None:
        try:
            lease = Lease(_Stepping(path, functools.partial(turns.make, writer)), seconds=0.2)  # type: ignore[arg-type]
            lease.acquire()
            held[writer] = True
        except WorkdirError:
            pass
        finally:
            turns.end(writer)

    threads = [threading.Thread(target=body, args=(writer,)) for writer in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return held


def orders(length: int) -> Iterator[tuple[int, ...]]:
    """Every order of two writers' first steps, `length` of each."""
    for place in itertools.combinations(range(2 * length), length):
        yield tuple(0 if index in place else 1 for index in range(2 * length))


@pytest.fixture
def alive(monkeypatch: pytest.MonkeyPatch) -> None:
    """Holders show life whenever somebody looks: as in reality, where they beat all the time."""
    monkeypatch.setattr(keeper, "shows_life", lambda *_: True)


@pytest.mark.usefixtures("alive")
def test_a_new_lease_is_held_by_one_in_every_order_of_requests(url: str) -> None:
    for number, order in enumerate(orders(6)):
        assert sum(acquire_in_order(order, f"{url}/{number}/lease")) == 1, order


def test_a_dead_holders_lease_is_taken_over_by_one_in_every_order_of_requests(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first holder shows no life, whoever took over does."""
    for number, order in enumerate(orders(5)):
        path = f"{url}/{number}/lease"
        dead = Lease(open_folder(path))
        dead.acquire()
        was = open_folder(path).read("00000001.json")
        monkeypatch.setattr(keeper, "shows_life", lambda look, *_, was=was: look() != was)
        assert sum(acquire_in_order(order, path)) == 1, order
        with pytest.raises(WorkdirError, match=r"no longer holds the lease: process .* has taken over"):
            dead.check()
        dead.renew()  # does nothing
        dead.release()
        assert b"released" not in open_folder(path).read(max(open_folder(path).names()))


def test_a_lease_is_renewed_given_back_and_acquired_again(url: str) -> None:
    first = Lease(open_folder(f"{url}/lease"))
    first.acquire()
    before = open_folder(first._folder.path).read("00000001.json")
    first.renew()
    assert open_folder(first._folder.path).read("00000001.json") != before
    first.check()
    first.release()
    second = Lease(open_folder(f"{url}/lease"), sleep=lambda _: pytest.fail("nobody holds it"))
    second.acquire()
    assert open_folder(second._folder.path).names() == {"00000002.json"}


@pytest.mark.parametrize("error", [OSError("503"), Exception("503, as gcsfs says it")])
def test_a_lease_that_cannot_be_given_back_hides_nothing(url: str, error: Exception) -> None:
    """It expires by itself; what was done while it was held counts, and so does what went wrong meanwhile."""
    folder = open_folder(f"{url}/lease")

    def replace(name: str, data: bytes) -> None:
        raise error

    with held(folder, lambda: False):
        folder.replace = replace  # type: ignore[method-assign]

    def fail() -> None:
        folder = open_folder(f"{url}/other")
        with held(folder, lambda: False):
            folder.replace = replace  # type: ignore[method-assign]
            raise ValueError("the reason")

    with pytest.raises(ValueError, match="the reason"):
        fail()


def test_a_killed_holder_of_this_machine_is_not_waited_for(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    with monkeypatch.context() as patch:
        patch.setattr(os, "getpid", lambda: ended.pid)
        Lease(open_folder(f"{url}/lease")).acquire()
    Lease(open_folder(f"{url}/lease"), sleep=lambda _: pytest.fail("it is dead")).acquire()


def test_nothing_is_collected_without_the_lease(url: str) -> None:
    store = Store.create_or_open(url)
    with store.lock():
        put_published(store.components, 0)
        store.journal.append(entry(0), at=0)
        open_folder(f"{url}/lease").create("00000002.json", b"{}")  # another has taken over
        refusals: tuple[Callable[[], None], ...] = (
            lambda: store.components.delete(store.components.ids()),
            lambda: store.journal.append(entry(1), at=1),
        )
        for refused in refusals:
            with pytest.raises(WorkdirError, match="no longer holds the lease"):
                refused()
    assert len(store.components.ids()) == 2
    assert_whole(url)


def test_an_altered_newest_entry_is_not_appended_to(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    journal.append(entry(0), at=0)
    file = tmp_path / "journal" / "00000000.json"
    file.write_bytes(file.read_bytes().replace(b"zero", b"ZERO"))
    with pytest.raises(ValueError, match="no longer what this process read"):
        journal.append(entry(1), at=1)


def test_a_file_system_without_links_creates_once_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def link(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", link)
    place = open_folder(tmp_path)
    place.create("one", b"1")
    place.create("one", b"1")
    with pytest.raises(FileExistsError):
        place.create("one", b"2")
    assert [path.name for path in tmp_path.iterdir()] == ["one"]


def test_there_an_entry_that_another_is_about_to_write_is_its(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between its claim of the name and its renaming."""
    journal = Journal(tmp_path)
    real = os.replace

    def replace(source: Path, target: Path) -> None:
        monkeypatch.setattr(os, "replace", real)
        with pytest.raises(WorkdirError, match="two runs share this work directory"):
            Journal(tmp_path).append(entry(1), at=0)
        real(source, target)

    def link(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", link)
    monkeypatch.setattr(os, "replace", replace)
    journal.append(entry(0), at=0)
    assert list(Journal(tmp_path).entries()) == [entry(0)]


def test_a_file_that_another_took_for_left_over_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, link = open_folder(str(tmp_path / "run")), os.link

    def collected_before(source: Path, target: Path) -> None:
        folder.remove_leftovers()  # by another process, which took the lock while this one was stopped
        link(source, target)

    monkeypatch.setattr(os, "link", collected_before)
    with pytest.raises(WorkdirError, match="another process has taken over, and removed what it found half written"):
        folder.create("entry", b"1")
    assert folder.names() == set()
