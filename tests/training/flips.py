"""Flips single bits of stored files, evenly over all of them, at seeded places."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path


def flips(folder: Path, count: int, seed: int = 0) -> Iterator[str]:
    """Flips `count` bits, one at a time, each back when the next is asked for; gives the file and the bit."""
    generator = random.Random(seed)
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.stat().st_size)
    for number in range(count):
        file = files[number % len(files)]
        data = file.read_bytes()
        bit = generator.randrange(8 * len(data))
        altered = bytearray(data)
        altered[bit // 8] ^= 1 << bit % 8
        file.write_bytes(altered)
        try:
            yield f"{file.relative_to(folder)} bit {bit}"
        finally:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)
