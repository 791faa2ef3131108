"""Figure 3a of the page, from modules.csv: `python docs/results/muir_cross_modal/figures.py`, in the clone."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from munet.suites import sharing_figures
from munet.suites.alignments import Search

HERE, METHOD = Path(__file__).parent, "all"


def main() -> None:
    """Sizes after every generation are not in the file, so there is no second picture."""
    with (HERE / "modules.csv").open(encoding="utf-8") as lines:
        rows = [row for row in csv.DictReader(lines) if row["method"] == METHOD]
    tasks = tuple(dict.fromkeys(row["tasks"] for row in rows if " + " not in row["tasks"]))
    found = []
    for seed in dict.fromkeys(row["seed"] for row in rows):
        shared: dict[int, dict[str, int]] = {}
        for row in (row for row in rows if row["seed"] == seed):
            key = "+".join(str(tasks.index(task)) for task in row["tasks"].split(" + "))
            shared.setdefault(int(row["generation"]), {})[key] = int(row["modules"])
        counts = tuple(shared[generation] for generation in sorted(shared))
        found.append(Search(int(seed), np.zeros((1, 1), np.int64), (), counts, tasks))
    chart = sharing_figures.who_shares(METHOD, "MUiR, all together", found)
    (HERE / f"{chart.name}.svg").write_bytes(chart.svg())


if __name__ == "__main__":
    main()
