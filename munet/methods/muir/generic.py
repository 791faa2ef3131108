"""Do modules that many blocks share look different? The paper's Table 4.

A module is generic if it is cheaper than the blocks that it makes, so that it is not folded (`folding.folds`); else it
is specific. With the paper's blocks of 16 x 16 and contexts of c = 4 numbers that is its own rule: generic are modules
that more than c blocks use. The contexts and the blocks (linear maps) that use a module are generic or specific as it
is. Both groups of modules, of contexts and of blocks are compared in four statistics, each by a both-sided Mann-Whitney
test.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy import stats

from munet.methods.muir.folding import folds

_MOST_PAIRS = 10_000  # of numbers of two samples whose exact test is a matter of a moment

# Of the numbers of a module, a context or a block, each a row.
STATISTICS: Mapping[str, Callable[[np.ndarray], np.ndarray]] = {
    "deviation": lambda rows: rows.std(axis=1),
    "mean": lambda rows: rows.mean(axis=1),
    "norm": lambda rows: np.sqrt((rows**2).sum(axis=1)),
    "maximum": lambda rows: rows.max(axis=1),
}


@dataclass(frozen=True)
class Contrast:
    """One statistic of one kind of thing, in both groups.

    Attributes:
      of: `modules`, `contexts` or `blocks`.
      statistic: of `STATISTICS`.
      generic, specific: median of the statistic in each group.
      p: of the both-sided Mann-Whitney test.
      effect: rank-biserial correlation: of all pairs the share in which the generic one has more, less that in which
        it has less; from -1 to 1, 0 where neither group has more.
    """

    of: str
    statistic: str
    generic: float
    specific: float
    p: float
    effect: float


@dataclass(frozen=True)
class Generic:
    """What distinguishes what is generic.

    Attributes:
      modules, blocks: how many are generic and how many are specific.
      contrasts: kind by kind, statistic by statistic; none where a group is empty.
    """

    modules: tuple[int, int]
    blocks: tuple[int, int]
    contrasts: tuple[Contrast, ...]


def generic(
    modules: Float[np.ndarray, "modules c m n"],
    contexts: Float[np.ndarray, "locations c"] | None,
    mapping: Int[np.ndarray, " locations"],
) -> Generic:
    """Both groups, compared.

    Args:
      modules: trained; those that no block uses count for nothing.
      contexts: of every block; None: blocks are the modules themselves.
      mapping: the module of every block.
    """
    block = (modules.shape[2], modules.shape[3])
    context = 0 if contexts is None else contexts.shape[1]
    used, place, uses = np.unique(mapping, return_inverse=True, return_counts=True)
    is_generic = np.array([not folds(int(count), context, block) for count in uses], bool)
    is_generic_block = is_generic[place.reshape(-1)]
    weights = np.ones((len(mapping), 1), modules.dtype) if contexts is None else contexts
    kinds = {
        "modules": (modules[used], is_generic),
        "contexts": (weights, is_generic_block),
        "blocks": (np.einsum("la,lamn->lmn", weights, modules[mapping]), is_generic_block),
    }
    found = []
    for name, (values, chosen) in kinds.items():
        if chosen.all() or not chosen.any() or (name == "contexts" and contexts is None):
            continue
        rows = values.reshape(len(values), -1).astype(np.float64)
        for statistic, function in STATISTICS.items():
            numbers = function(rows)
            first, second = numbers[chosen], numbers[~chosen]
            p, effect = mann_whitney(first, second)
            found.append(Contrast(name, statistic, float(np.median(first)), float(np.median(second)), p, effect))
    counts = [(int(chosen.sum()), int((~chosen).sum())) for chosen in (is_generic, is_generic_block)]
    return Generic(counts[0], counts[1], tuple(found))


def mann_whitney(first: Float[np.ndarray, " n"], second: Float[np.ndarray, " m"]) -> tuple[float, float]:
    """The both-sided Mann-Whitney test of two samples: its p, and the effect (rank-biserial correlation, `Contrast`).

    p is exact if there are no ties, one sample has at most 8 numbers, and there are at most 10,000 pairs, because of
    more it takes minutes; else it is the normal approximation, with corrections for ties and for continuity.

    Args:
      first, second: samples, none empty.
    """
    method = "auto" if len(first) * len(second) <= _MOST_PAIRS else "asymptotic"
    result = stats.mannwhitneyu(first, second, alternative="two-sided", method=method)
    return float(result.pvalue), float(2 * result.statistic / (len(first) * len(second)) - 1)
