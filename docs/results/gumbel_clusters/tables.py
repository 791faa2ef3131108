"""What docs/results/gumbel_clusters.md says of muNet's similarities of tasks, from the CSV files beside this script.

    python docs/results/gumbel_clusters/tables.py

The files are what `python -m benchmarks.task_clusters` writes into `--output`, of three seeds: which components models
have in common, and fits of frozen trunks.
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from jaxtyping import Float

from munet.methods.gumbel_matrix.clustering import separation
from munet.suites.paired import t_interval
from munet.text import markdown_table

HERE = Path(__file__).parent
WAYS = {"munet_sharing": "components in common (cosine)", "munet_fits": "fits of frozen trunks"}


def read(name: str) -> tuple[Float[np.ndarray, "tasks tasks"], list[str]]:
    """Similarities of tasks, and the data set that each is made from."""
    with (HERE / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        _, *lines = csv.reader(file)
    return np.array([[float(one) for one in line[1:]] for line in lines]), [line[0].partition("/")[0] for line in lines]


def main() -> None:
    """Prints a table: a line for each way and seed, and their means."""
    body = []
    for name, way in WAYS.items():
        found = []
        for seed in range(3):
            similar, groups = read(name + (f"_seed_{seed}" if seed else ""))
            sets = np.array(groups)
            is_pair = ~np.eye(len(sets), dtype=bool)
            is_one = (sets[:, None] == sets) & is_pair
            inside, outside = similar[is_one], similar[is_pair & ~is_one]
            told = separation(similar, groups)
            found.append((told.silhouette, told.rand, inside.mean(), outside.mean(), (inside == 0).mean()))
            body.append((way, str(seed), *(f"{one:.2f}" for one in found[-1])))
        means = np.array(found).T
        intervals = [t_interval(values, 0.9) for values in means[:2]]
        body.append((way, "90 %", *(f"{low:.2f} to {high:.2f}" for low, high in intervals), "", "", ""))
        body.append((way, "mean", *(f"{values.mean():.2f}" for values in means)))
    head = ("way", "seed", "silhouette", "adjusted Rand index", "mean in a set", "between sets", "0 in a set")
    print(markdown_table(head, body))


if __name__ == "__main__":
    main()
