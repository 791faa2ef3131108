"""What docs/results/muir_characters.md compares, from results_seeds.csv beside this file: every method less each other.

    python docs/results/muir_characters/tables.py

In points of test accuracy, the mean over tasks, paired by seed; in brackets Student's t interval over seeds (95 %).
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from munet.suites.paired import t_interval
from munet.text import markdown_table

FILE = Path(__file__).parent / "results_seeds.csv"


def accuracies(task: str = "") -> dict[str, np.ndarray]:
    """By method the accuracy of each seed in percent: of a task, or the mean over all."""
    found: dict[str, dict[int, list[float]]] = {}
    with FILE.open(encoding="utf-8", newline="") as file:
        for line in csv.DictReader(file):
            if task in ("", line["task"]):
                seeds = found.setdefault(line["method"], {})
                accuracy = 100 * int(line["test_correct"]) / int(line["test_counted"])
                seeds.setdefault(int(line["seed"]), []).append(accuracy)
    return {method: np.array([np.mean(seeds[seed]) for seed in sorted(seeds)]) for method, seeds in found.items()}


def table(task: str = "") -> str:
    """A row a method, a column for each that it is compared with."""
    found = accuracies(task)

    def cell(row: str, column: str) -> str:
        if row == column:
            return f"{found[row].mean():.2f}"
        difference = found[row] - found[column]
        low, high = t_interval(difference)
        return f"{difference.mean():+.2f} ({low:+.2f} to {high:+.2f})"

    return markdown_table([task or "mean", *found], [[row, *(cell(row, column) for column in found)] for row in found])


if __name__ == "__main__":
    print(table(), table("kmnist_t10k"), sep="\n\n")
