"""How far training has moved the kernels of copies of a root, by the inputs of a kernel; one line a training.

    python docs/results/muir_characters/distances.py ROOT.npz WORKDIR...

Each WORKDIR holds a finished `munet train --config=muir:characters`, with or without modules: what is compared are the
plain weights of its last version (`replica_N_weights.safetensors`) and the root. Prints CSV: root mean squares of the
differences and of the root's kernels.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

from munet.joint.workdir import Workdir
from munet.methods.muir.result import MUIR, GeneratedLeaf

INPUTS = (192, 768)  # of the kernels of a Ti/16
PREFIX = "Transformer/"  # of blocks in a root's file


def distances(workdir: str, root: dict[str, np.ndarray]) -> list[str]:
    """A line of the table: for each number of inputs the distance, and the size of the root's kernels."""
    result = Workdir(workdir, MUIR).result()
    weights = load_file(Path(workdir) / result.replicas[0].weights)
    leaves: tuple[GeneratedLeaf, ...] = result.leaves
    found = []
    for inputs in INPUTS:
        own = [leaf for leaf in leaves if leaf.rows == inputs]
        before = np.concatenate([root[PREFIX + leaf.path].ravel() for leaf in own])
        after = np.concatenate([weights[f"{leaf.task}/{leaf.path}"].ravel() for leaf in own])
        found += [np.sqrt(((after - before) ** 2).mean()), np.sqrt((before**2).mean())]
    return [f"{value:.4f}" for value in found]


def main() -> None:
    """See the module."""
    path, *workdirs = sys.argv[1:]
    with np.load(path, allow_pickle=False) as file:
        root = dict(file)
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(["training", *(f"{what}_{inputs}" for inputs in INPUTS for what in ("moved", "root"))])
    for workdir in workdirs:
        writer.writerow([workdir, *distances(workdir, root)])


if __name__ == "__main__":
    main()
