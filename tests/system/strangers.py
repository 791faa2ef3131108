"""Journals whose entries follow on each other, but say what no run would write: one value of one entry is another."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.store import journal_files

NUMBERS = (0, -1, 1, 7, 2**31, 2**63, 10**30, -(2**63) - 1, 0.5, -0.0, 1e308, 1e-320, float("nan"), float("inf"))
OTHERS: tuple[Any, ...] = ("", "x", "a/b", "../..", "\x1b[2J", "0" * 64, None, True, [], {}, [[]], {"": 0}, [0], 0, -1)


def stranger(source: Path, target: Path, seed: int) -> str:
    """A copy of a run with one value changed (snapshots left out: they would be used instead); says what."""
    draw = random.Random(seed)
    target.mkdir(parents=True)
    (target / "journal").mkdir()
    (target / "components").symlink_to(source / "components")
    contents = [journal_files.read(path) for path in sorted((source / "journal").iterdir())]
    index = draw.randrange(len(contents))
    places = list(_places(contents[index]["entry"], ()))
    kinds = sorted({_kind(place) for place in places})  # each kind of value as often as any other
    place = draw.choice([one for one in places if _kind(one) == draw.choice(kinds)] or places)
    what = _change(contents[index]["entry"], place, draw)
    previous = ""
    for number, content in enumerate(contents):
        file = target / "journal" / f"{number:08d}.json"
        try:
            journal_files.write(file, content | {"previous": previous})
        except ValueError:  # a number that munet's own writer refuses
            file.write_text(json.dumps(content | {"previous": previous, "sha256": "0" * 64}) + "\n")
        previous = hashlib.sha256(file.read_bytes()).hexdigest()
    return f"seed {seed}: entry {index}, {place}: {what}"


def _places(value: Any, path: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in items:
        yield (*path, key)
        yield from _places(one, (*path, key))


def _kind(place: tuple[Any, ...]) -> str:
    return "/".join("#" if isinstance(key, int) or len(key) > 30 or key.isdecimal() else key for key in place)


def _change(entry: Any, place: tuple[Any, ...], draw: random.Random) -> str:
    for key in place[:-1]:
        entry = entry[key]
    last, old = place[-1], entry[place[-1]]
    if draw.random() < 0.15:
        del entry[last]
        return "gone"
    is_number = isinstance(old, int | float) and not isinstance(old, bool)
    if isinstance(old, list | dict) and old and draw.random() < 0.5:
        new: Any = old * 2 if isinstance(old, list) else dict(list(old.items())[1:])
    elif isinstance(old, str) and draw.random() < 0.3:
        new = old[1:] + old[:1]
    else:
        new = draw.choice(NUMBERS if is_number and draw.random() < 0.9 else OTHERS)
    entry[last] = new
    return f"{json.dumps(old)[:60]} -> {json.dumps(new)[:60]}"
