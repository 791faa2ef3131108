"""The paper's Table 4 on a suite's page: how modules that many blocks share differ from the others."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from munet.methods.muir.generic import Contrast, Generic
from munet.suites.alignments import Search
from munet.text import markdown_table

_LEGEND = (
    "At the end of training. *Generic*: modules that are cheaper than the blocks that they make, so that they are not "
    "folded (with blocks of 16 x 16 and contexts of four numbers: those that more than four blocks use), and the "
    "contexts and blocks (linear maps) that use them; *specific*: all others. Medians of both groups and effects are "
    "means over seeds. Effect (rank-biserial correlation, -1 to 1): of all pairs of a generic and a specific one, the "
    "share in which the generic one has more, minus the share in which it has less. p: both-sided Mann-Whitney test, "
    "seed by seed; nothing corrects for the number of tests. Blocks of one network are not independent samples, so p "
    "is too small; effects do not grow with the number of blocks."
)


def sections(titles: Mapping[str, str], searches: Mapping[str, Sequence[Search]]) -> list[str]:
    """Parts of the page; none where no method has both groups.

    Args:
      titles: of methods.
      searches: of the methods that search, by name; those of older versions know no contrasts.
    """
    known = {
        titles[name]: found
        for name, own in searches.items()
        if (found := [one.generic for one in own if one.generic is not None and one.generic.contrasts])
    }
    if not known:
        return []
    counts = [[title, *_counts(found)] for title, found in known.items()]
    heads = ["method", "generic modules", "specific modules", "generic blocks", "specific blocks"]
    body = [
        [title, contrast.of, contrast.statistic, *_cells([_same(one, contrast) for one in found])]
        for title, found in known.items()
        for contrast in found[0].contrasts
    ]
    columns = ["method", "of", "statistic", "generic", "specific", "effect", "p, seed by seed"]
    return ["## What is generic", markdown_table(heads, counts), markdown_table(columns, body), _LEGEND]


def _counts(found: Sequence[Generic]) -> list[str]:
    """Means over seeds."""
    pairs = [(*one.modules, *one.blocks) for one in found]
    return [f"{sum(column) / len(found):,.0f}" for column in zip(*pairs, strict=True)]


def _same(one: Generic, contrast: Contrast) -> Contrast | None:
    """That of another seed; a group of it may be empty."""
    return next((own for own in one.contrasts if (own.of, own.statistic) == (contrast.of, contrast.statistic)), None)


def _cells(contrasts: Sequence[Contrast | None]) -> list[str]:
    own = [one for one in contrasts if one is not None]
    generic, specific, effect = (
        math.fsum(getattr(one, name) for one in own) / len(own) for name in ("generic", "specific", "effect")
    )
    return [f"{generic:.4g}", f"{specific:.4g}", f"{effect:+.2f}", ", ".join(f"{one.p:.1g}" for one in own)]
