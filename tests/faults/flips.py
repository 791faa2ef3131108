"""Flips single bits in every kind of file of a work directory, and says what came of each when the run is used.

    python -m tests.faults.flips [--flips=200]

"refused": a message; "rebuilt": what was wanted is there, and it was told that something was made anew or left aside;
"same": as if nothing had been; "DIFFERENT": something else came out without a word, which fails. What whole runs make
of flipped saves is in `tests/training/test_save_flips.py`.
"""

from __future__ import annotations

import argparse
import hashlib
import logging
import random
import shutil
import sys
import tempfile
from collections import Counter
from pathlib import Path

from etils import epath

from munet.data.cache import cached_arrays
from munet.errors import UserError
from munet.report.verify.verify import verify
from munet.system import view
from munet.training import save_manifest
from munet.types import Position
from tests.report.stored_run import write_run
from tests.training.flips import flips

KINDS = {
    "journal": "run/journal",
    "components": "run/components",
    "snapshots": "run/snapshots",
    "saves in flight": "run/in_flight",
    "baselines": "run/baselines",
    "lock": "run/lock_alone",
    "cache": "cache",
}


def write(place: Path) -> None:
    """A run in its second iteration, as it lies on disk, and a cache entry."""
    run = place / "run"
    write_run(run, until=Position(1, 0, 1))
    write_run(run / "baselines" / "full", num_task_iterations=1)
    saved = run / "in_flight" / "0123-4567-000001"
    (saved / "d").mkdir(parents=True)
    for number, name in enumerate(("manifest.ocdbt", "d/0a1b", "metadata")):
        (saved / name).write_bytes(random.Random(number).randbytes(200))
    save_manifest.write(epath.Path(saved))
    (run / "lock_alone").mkdir()
    (run / "lock_alone" / "lock").write_text("1 host 01234567-0123 0123456789abcdef\n")
    _cached(place)


def used(place: Path) -> str:
    """All that a run and its cache give, as a hash: entries, models, every array.

    Raises:
      UserError: it is refused.
    """
    hasher = hashlib.sha256()
    if (lock := place / "run" / "lock_alone" / "lock").exists():
        shutil.copy(lock, place / "run" / "lock")
    for workdir in (place / "run", place / "run" / "baselines" / "full"):
        opened = view.open(str(workdir))
        hasher.update(repr((list(opened.store.journal.entries()), opened.run_state.length, opened.models)).encode())
        for task in opened.models:
            for identity in sorted(opened.models[task].components.values()):
                for path, array in sorted(opened.store.components.load(identity).items()):
                    hasher.update(path.encode() + array.tobytes())
    hasher.update(_cached(place))
    return hasher.hexdigest()


def outcome(place: Path, expected: str) -> str:
    """What came of a flip: one of the four words."""
    told = _Told()
    logging.getLogger("munet").addHandler(told)
    try:
        found = used(place)
    except UserError:
        return "refused"
    finally:
        logging.getLogger("munet").removeHandler(told)
    if found != expected:
        return "DIFFERENT"
    return "rebuilt" if told.count or not verify(str(place / "run")).is_sound else "same"


def flip_all(kind: str, count: int) -> Counter[str]:
    """Flips bits of one kind of file, one at a time; how often what came of it."""
    outcomes: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        place, kept = Path(folder) / "place", Path(folder) / "kept"
        write(place)
        expected = used(place)
        shutil.copytree(place / "cache", kept)
        for _ in flips(place / KINDS[kind], count):
            outcomes[outcome(place, expected)] += 1
            shutil.rmtree(place / "cache")
            shutil.copytree(kept, place / "cache")
    return outcomes


class _Told(logging.Handler):
    """Counts what is told."""

    count = 0

    def emit(self, record: logging.LogRecord) -> None:
        self.count += 1


def _cached(place: Path) -> bytes:
    """An array of the cache, which is made anew where its entry is damaged."""
    import numpy as np

    found = cached_arrays(str(place / "cache"), "0123", lambda: {"images": np.arange(500, dtype=np.uint16)})
    return found["images"].tobytes()


def main() -> int:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.flips")
    parser.add_argument("--flips", type=int, default=200)
    count = parser.parse_args().flips
    different = 0
    for kind in KINDS:
        outcomes = flip_all(kind, count)
        print(f"{kind:16} {outcomes.total():>6,} flips: {dict(outcomes)}", flush=True)
        different += outcomes["DIFFERENT"]
    return bool(different)


if __name__ == "__main__":
    sys.exit(main())
