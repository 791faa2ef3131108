"""What a suite's directory remembers: suite.json, the methods that have run there and how often.

A changed suite adds to it; what has run before stays in the results. The runs themselves refuse other settings.
"""

from __future__ import annotations

import contextlib
import json
import shlex
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from munet.errors import CorruptionError, WorkdirError
from munet.store import codec, keeper, lease, lock
from munet.store.folders import is_remote, open_folder
from munet.suites.plan import seeds_folder
from munet.suites.suite import Suite

FILE = "suite.json"
FORMAT, FORMAT_VERSION = "munet-suite", 1
_PATIENCE = 10.0  # seconds; the workers of a suite that was killed end within moments of it


@dataclass(frozen=True)
class KnownMethod:
    """A method as it was last run here."""

    name: str
    config: str
    settings: Mapping[str, object] = field(default_factory=dict)  # the suite's and its own
    label: str = ""
    curve: str = ""
    together: int = field(default=1, metadata={"omit_default": True})  # seeds that are replicas of one training
    # (in records of older versions 1 also where all seeds of a method are one training)


@dataclass(frozen=True)
class Record:
    """The content of suite.json.

    Attributes:
      suite: `FILE[:VARIANT]`, as given last.
      repeats: the most seeds that were asked for.
      overrides: of the command line, as given last.
      methods: of the suite in its order, then those of earlier ones.
    """

    suite: str
    repeats: int
    overrides: tuple[str, ...] = ()
    methods: tuple[KnownMethod, ...] = ()
    format: str = FORMAT
    format_version: int = FORMAT_VERSION

    @property
    def made_by(self) -> str:
        """The command that made what is made of the runs, for a page."""
        command = ["munet", "benchmark", f"--suite={self.suite}", f"--repeats={self.repeats}", *self.overrides]
        return f"Made by `{shlex.join(command)}`"

    @property
    def titles(self) -> dict[str, str]:
        """By name what people read, all different: a method of an earlier suite may be called as one of now."""
        titles = {method.name: method.label or method.name for method in self.methods}
        shared = Counter(titles.values())
        return {
            name: f"{title} ({name})" if shared[title] > 1 and title != name else title
            for name, title in titles.items()
        }

    def side_by_side(self, workdir: str, method: KnownMethod) -> list[str]:
        """Where a training of all seeds of a method may be, the first that is complete being the one that counts.

        That is the one that was asked for last. One of another number of seeds stays in the results until that is
        complete, the larger first.
        """
        counts = dict.fromkeys((method.together, *range(self.repeats, 0, -1)))
        return [seeds_folder(workdir, method.name, count) for count in counts]


def of_suite(
    suite: Suite,
    spec: str,
    repeats: int,
    overrides: tuple[str, ...],
    before: Record | None,
    together: Mapping[str, int],
) -> Record:
    """The record of a suite in a directory that held `before`.

    Args:
      suite, spec, repeats, overrides: as given.
      before: what the directory held.
      together: of each method that is run now, how many of its seeds are replicas of one training. The others stay as
        they were last run, but for what they are called.
    """
    known = {} if before is None else {method.name: method for method in before.methods}
    settings = dict(suite.settings) | ({"tasks": suite.tasks} if suite.tasks else {})
    methods = tuple(
        replace(known[method.name], label=method.label, curve=method.curve)
        if method.name in known and method.name not in together
        else KnownMethod(
            method.name,
            method.config,
            {name: _plain(value) for name, value in (settings | dict(method.settings)).items()},
            method.label,
            method.curve,
            together.get(method.name, 1),
        )
        for method in suite.methods
    )
    if before is None:
        return Record(spec, repeats, overrides, methods)
    earlier = tuple(method for method in before.methods if method.name not in suite.names)
    return Record(spec, max(repeats, before.repeats), overrides, methods + earlier)


def read(workdir: str) -> Record | None:
    """The record in a directory; None if there is none.

    Raises:
      WorkdirError: another format version, or the directory holds something else.
      CorruptionError: the file is damaged.
    """
    place = open_folder(workdir)
    if not place.exists(FILE):
        if not is_remote(workdir):
            lock.check_usable(Path(workdir), (), "suite")
        return None
    where = place.location(FILE)
    data = codec.loads(place.read(FILE), where)
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise CorruptionError(f"{where} is no record of a suite: give another --workdir.")
    if data.get("format_version") != FORMAT_VERSION:
        raise WorkdirError(
            f"{where} has format version {data.get('format_version')}, this munet reads and writes version "
            f"{FORMAT_VERSION}: go on with the munet that wrote it, or give another --workdir."
        )
    return codec.from_json(Record, data, where)


def write(workdir: str, record: Record) -> None:
    """Keeps the record, instead of an older one."""
    text = json.dumps(codec.to_json(record), indent=2, ensure_ascii=False) + "\n"
    open_folder(workdir).replace(FILE, text.encode())


@contextlib.contextmanager
def locked(workdir: str) -> Iterator[tuple[int, ...]]:
    """Keeps a second suite out of the directory; gives the descriptors that workers inherit.

    Workers hold the lock too, so that a suite whose parent was killed is not started again beside them.

    Raises:
      WorkdirError: a living suite holds it.
    """
    if is_remote(workdir):  # workers cannot hold a lease: those of a killed suite refuse theirs, run by run
        place = open_folder(workdir)
        with lease.held(open_folder(f"{workdir.rstrip('/')}/lease"), lambda: not place.exists(FILE)):
            yield ()
        return
    path = Path(workdir)
    path.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            held = lock.acquire(path)
            break
        except WorkdirError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
    try:
        open_folder(workdir).remove_leftovers()
        with keeper.beating(held.beat):
            yield (held.descriptor,)
        held.clear()
    finally:
        held.release()


def _plain(value: object) -> object:
    return list(value) if isinstance(value, (tuple, list)) else value
