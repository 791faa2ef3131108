from __future__ import annotations

from pathlib import Path

import numpy as np
from rich.console import Console

from munet.data.tasks import load_task
from munet.report.data import describe


def test_a_row_says_splits_counts_classes_and_shape(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (50, 6, 5, 3), np.uint8)
    labels = np.repeat(np.arange(3), [10, 10, 30])
    np.savez(tmp_path / "s[red]x.npz", images=images, labels=labels)
    table = describe.describe_tasks([load_task(f"npz:{tmp_path / 's[red]x.npz'}")])
    console = Console(width=300, record=True, file=(tmp_path / "out").open("w"))
    console.print(table)
    text = console.export_text()
    console.file.close()
    assert "s[red]x.npz" in text
    row = next(line for line in text.splitlines() if "6x5" in line)
    cells = [cell.strip() for cell in row.split("│")[2:-1]]
    assert cells == ["3", "40", "5", "5", "8 to 24", "6x5 colour", "0, 1, 2"]
