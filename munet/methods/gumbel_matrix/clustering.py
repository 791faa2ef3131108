"""How well similarities of tasks separate tasks that belong together: one number or two beside the picture.

Nothing here knows where similarities come from: rows of routed layers, components that an evolved system's models have
in common, or features of a frozen root.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy.cluster import hierarchy
from scipy.spatial.distance import squareform


@dataclass(frozen=True)
class Separation:
    """How well groups that are known are told apart.

    Attributes:
      silhouette: mean over tasks, from -1 to 1: how much nearer a task is to its own group than to the next one.
      rand: adjusted Rand index of a cut into as many clusters as there are groups: 1 for the very groups, 0 for chance.
    """

    silhouette: float
    rand: float


def cosines(vectors: Float[np.ndarray, "tasks numbers"]) -> Float[np.ndarray, "tasks tasks"]:
    """Pairwise cosines: of two vectors of zeros 1, of one of them and another 0."""
    lengths = np.linalg.norm(vectors, axis=1)
    units = vectors / np.where(lengths > 0, lengths, 1)[:, None]
    found = np.clip(units @ units.T, -1.0, 1.0)
    is_zero = lengths == 0
    found[np.ix_(is_zero, is_zero)] = 1.0
    np.fill_diagonal(found, 1.0)
    return np.asarray((found + found.T) / 2)


def jaccards(vectors: Float[np.ndarray, "tasks numbers"]) -> Float[np.ndarray, "tasks tasks"]:
    """Of vectors of 0 and 1 pairwise the share of what either has that both have; of two without anything 1."""
    both = vectors @ vectors.T
    sizes = vectors.sum(axis=1)
    either = sizes[:, None] + sizes[None, :] - both
    return np.where(either > 0, both / np.where(either > 0, either, 1), 1.0)


def are_groups(groups: Sequence[str]) -> bool:
    """Whether there is anything to tell apart: two groups at least, not every one of a single task.

    Where each task is its own group, every cut into so many clusters is right whatever similarities are.
    """
    return 1 < len(set(groups)) < len(groups)


def separation(similarities: Float[np.ndarray, "tasks tasks"], groups: Sequence[str]) -> Separation:
    """How well similarities tell groups of tasks apart.

    Args:
      similarities: pairwise, 1 on the diagonal; their distance from 1 counts.
      groups: of each task; at least two different ones, and fewer than tasks.

    Raises:
      ValueError: there is nothing to tell apart, or another number of tasks.
    """
    if len(groups) != len(similarities) or not are_groups(groups):
        raise ValueError(f"{len(set(groups))} groups of {len(groups)} tasks for {len(similarities)} rows")
    distances = 1.0 - similarities
    np.fill_diagonal(distances, 0.0)
    names = list(dict.fromkeys(groups))
    known = np.array([names.index(group) for group in groups])
    return Separation(_silhouette(distances, known), adjusted_rand(known, _cut(distances, len(names))))


def adjusted_rand(one: Int[np.ndarray, " n"], other: Int[np.ndarray, " n"]) -> float:
    """How much two partitions agree: 1 if they are equal, about 0 if by chance (Hubert and Arabie 1985)."""
    table = np.zeros((one.max() + 1, other.max() + 1), np.int64)
    np.add.at(table, (one, other), 1)
    together, rows, columns = (float(_pairs(counts).sum()) for counts in (table, table.sum(1), table.sum(0)))
    expected = rows * columns / float(_pairs(np.array(len(one))))
    most = (rows + columns) / 2
    return 1.0 if most == expected else (together - expected) / (most - expected)


def _pairs(counts: Int[np.ndarray, "..."]) -> Int[np.ndarray, "..."]:
    return counts * (counts - 1) // 2


def _cut(distances: Float[np.ndarray, "n n"], clusters: int) -> Int[np.ndarray, " n"]:
    """The clusters of an average-linkage tree, cut where there are so many (or fewer, where distances are equal)."""
    tree = hierarchy.linkage(squareform(distances, checks=False), method="average")
    return np.asarray(hierarchy.cut_tree(tree, n_clusters=clusters)).ravel()


def _silhouette(distances: Float[np.ndarray, "n n"], known: Int[np.ndarray, " n"]) -> float:
    """The mean silhouette (Rousseeuw 1987); 0 of a task that is alone in its group."""
    values = []
    for place, group in enumerate(known):
        is_own = known == group
        if is_own.sum() == 1:
            values.append(0.0)
            continue
        own = distances[place, is_own].sum() / (is_own.sum() - 1)
        next_one = min(distances[place, known == other].mean() for other in set(known.tolist()) - {int(group)})
        largest = max(own, next_one)
        values.append((next_one - own) / largest if largest else 0.0)
    return float(np.mean(values))
