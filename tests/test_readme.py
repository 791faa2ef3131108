"""README's map "I want to change ..." names files and tests that there are."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_every_file_of_the_map_is_there() -> None:
    rows = re.findall(
        r"^\| (?!\*\*|\.\.\. |---)(.+?) \| (.+) \| (.+) \|$", (ROOT / "README.md").read_text(), re.MULTILINE
    )
    assert len(rows) > 50
    missing = [
        f"{idea}: {path}" for idea, *cells in rows for cell in cells for path in _paths(cell) if not path.exists()
    ]
    assert not missing


def _paths(cell: str) -> list[Path]:
    """The files and folders of a cell; one without a folder of the top level lies beside the one before it."""
    paths: list[Path] = []
    for name in re.findall(r"`([\w./]+)`", cell):
        if not name.endswith((".py", "/")) and "/" not in name:
            continue  # a name in a file, such as a class
        is_full = (ROOT / name.split("/")[0]).exists() and "/" in name
        paths.append(ROOT / name if is_full else paths[-1].parent / name)
    return paths
