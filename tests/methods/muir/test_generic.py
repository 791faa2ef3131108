"""Table 4: which modules are generic, and the both-sided test with its effect against known values."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from munet.methods.muir.generic import STATISTICS, generic, mann_whitney


def test_the_test_against_known_values() -> None:
    # Mann and Whitney's table: two samples of 3 that do not overlap have U = 0, of which 2 in 20 orders are as extreme.
    assert mann_whitney(np.array([4.0, 5, 6]), np.array([1.0, 2, 3])) == pytest.approx((0.1, 1))
    # 5 against 4 of which one pair of twenty is in the wrong order: U = 1, p = 2 x 2 / 126.
    p, effect = mann_whitney(np.array([1.0, 2, 3, 4, 6]), np.array([5.0, 7, 8, 9]))
    assert p == pytest.approx(4 / 126)
    assert effect == pytest.approx(1 - 2 * 19 / 20)
    assert mann_whitney(np.array([1.0, 2]), np.array([1.0, 2]))[1] == 0
    # Ties count half: of twelve pairs 1 of the first has less than all, 2 and 2 have two ties each, 3 more than two
    # and less than one: U = 0 + 1 + 1 + 2 = 4 beside 6 by chance. A tie of four in seven takes (64 - 4) / 42 off the
    # 8 of the variance 4 x 3 / 12 x 8, and half a pair is the correction for continuity.
    p, effect = mann_whitney(np.array([1.0, 2, 2, 3]), np.array([2.0, 2, 5]))
    assert effect == pytest.approx(2 * 4 / 12 - 1)
    assert p == pytest.approx(2 * stats.norm.sf((6 - 4 - 0.5) / np.sqrt(8 - 60 / 42)))
    assert mann_whitney(np.zeros(3), np.zeros(9)) == (1, 0)  # a deviation of contexts of one number: no NaN
    # Many numbers: the normal approximation, with the effect of a shift by one deviation.
    generator = np.random.default_rng(0)
    p, effect = mann_whitney(generator.normal(1, 1, 2000), generator.normal(0, 1, 2000))
    assert 0 < p < 1e-100
    assert effect == pytest.approx(2 * stats.norm.cdf(1 / np.sqrt(2)) - 1, abs=0.03)
    # A handful against very many, of which the exact test would take minutes: the approximation, too.
    few, many = generator.normal(1, 1, 8), generator.normal(0, 1, 1251)
    expected = stats.mannwhitneyu(few, many, method="asymptotic").pvalue
    assert mann_whitney(few, many)[0] == pytest.approx(float(expected), rel=1e-9)
    assert mann_whitney(few, many[:1250])[0] == float(stats.mannwhitneyu(few, many[:1250], method="exact").pvalue)


def test_modules_that_more_blocks_use_than_a_context_has_numbers_are_generic() -> None:
    generator = np.random.default_rng(0)
    modules, contexts = generator.normal(size=(5, 2, 4, 4)), generator.normal(size=(9, 2))
    modules[1] *= 10
    mapping = np.array([0, 0, 1, 1, 1, 1, 1, 3, 4])  # module 2 is not used
    found = generic(modules, contexts, mapping)
    assert (found.modules, found.blocks) == ((1, 3), (5, 4))
    assert [(one.of, one.statistic) for one in found.contrasts] == [
        (kind, name) for kind in ("modules", "contexts", "blocks") for name in STATISTICS
    ]
    by_name = {(one.of, one.statistic): one for one in found.contrasts}
    norm = by_name["modules", "norm"]
    assert norm.generic == pytest.approx(np.linalg.norm(modules[1]))
    assert norm.specific == pytest.approx(np.median([np.linalg.norm(modules[at]) for at in (0, 3, 4)]))
    assert (norm.p, norm.effect) == pytest.approx((0.5, 1))  # of 4 places for the largest, both-sided
    blocks = np.stack(
        [contexts[at, 0] * modules[m, 0] + contexts[at, 1] * modules[m, 1] for at, m in enumerate(mapping)]
    )
    assert by_name["blocks", "maximum"].generic == pytest.approx(np.median(blocks[2:7].max(axis=(1, 2))))
    assert by_name["contexts", "mean"].specific == pytest.approx(np.median(contexts[[0, 1, 7, 8]].mean(axis=1)))


def test_without_contexts_or_without_a_group() -> None:
    modules = np.random.default_rng(0).normal(size=(3, 1, 2, 2))
    found = generic(modules, None, np.array([0, 0, 1, 2]))  # what two blocks are is cheaper than both
    assert found.modules == (1, 2)
    assert {one.of for one in found.contrasts} == {"modules", "blocks"}
    assert generic(modules, None, np.array([0, 1, 2])).contrasts == ()
