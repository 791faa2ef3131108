"""Files of measured DNA for tests, in both forms."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np


def arrays(count: int = 100, letters: int = 130, seed: int = 0) -> dict[str, Any]:
    """A sequence, positions in order, and targets."""
    generator = np.random.default_rng(seed)
    return {
        "sequence": generator.integers(1, 5, letters).astype(np.uint8),
        "positions": np.sort(generator.permutation(letters)[:count]),
        "targets": generator.normal(size=count).astype(np.float32),
    }


def write(path: Path, **changes: Any) -> str:
    """A file of a sequence with some arrays replaced, added, or (None) left out; its URI."""
    found = {name: array for name, array in {**arrays(), **changes}.items() if array is not None}
    np.savez(path, **found)
    return f"dna:{path}"


def write_windows(path: Path, **changes: Any) -> str:
    """The same of whole windows of 31 letters."""
    windows = np.random.default_rng(1).integers(0, 5, (100, 31)).astype(np.uint8)
    return write(path, **{"sequence": None, "positions": None, "windows": windows, **changes})
