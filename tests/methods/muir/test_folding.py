"""Which modules are folded, and that folding never costs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from munet.methods.muir.folding import TaskSize, folded_arrays, folds, sizes, task_sizes, unfolded_blocks


def test_the_papers_rule_breaks_its_own_bound() -> None:
    """A module that exactly c blocks use: L = 4, K = 1, c = 4, 16 x 16, and 20 x 1 with c = 1."""
    assert sizes([0] * 4, 4, (16, 16), "paper").folded == 1040 > sizes([0] * 4, 4, (16, 16)).plain == 1024
    assert sizes([0], 1, (20, 1), "paper").folded == 21
    assert sizes([0] * 4, 4, (16, 16)).folded == 1024
    assert sizes([0], 1, (20, 1)).folded == 20


@pytest.mark.parametrize(("context", "block"), [(4, (16, 16)), (1, (20, 1))])
def test_modules_that_no_more_blocks_use_than_contexts_have_numbers_are_folded(
    context: int, block: tuple[int, int]
) -> None:
    assert [folds(uses, context, block) for uses in range(1, 8)] == [uses <= context for uses in range(1, 8)]


def test_by_hand() -> None:
    """Five blocks of 2 x 3, contexts of 1: a module that four use, one that one uses."""
    found = sizes([7, 7, 7, 7, 2], 1, (2, 3))
    assert (found.plain, found.modules, found.folded) == (30, (4 + 6) + (1 + 6), (4 + 6) + 6)


def test_tasks_by_hand() -> None:
    """As above; the module that four blocks use has one of them in task 1, which has the other module for itself."""
    found = task_sizes([7, 7, 7, 7, 2], [0, 0, 0, 1, 1], 1, (2, 3), num_tasks=3)
    assert found == (TaskSize(6 + 3, 3 + 3), TaskSize(6 + 1 + 6, 3 + 1 + 6), TaskSize())


def test_table_4s_counts() -> None:
    """666 modules that 4363 blocks use, 4344 that 8401 use: only folded is the system smaller than the plain models."""
    assert 12764 * 4 + 12764 * 4 * 256 == 13_121_392
    modules = (666 + 4344) * 4 * 256 + 12764 * 4
    assert modules == 5_181_296
    assert 666 * 1024 + 4363 * 4 + 8401 * 256 == 2_850_092 < 12764 * 256 == 3_267_584


@settings(max_examples=80, deadline=None)
@given(st.lists(st.integers(0, 9), min_size=1, max_size=40), st.integers(0, 5), st.integers(1, 6), st.integers(1, 6))
def test_a_folded_system_is_never_larger_than_the_plain_models(
    mapping: list[int], context: int, rows: int, columns: int
) -> None:
    found = sizes(mapping, context, (rows, columns))
    assert found.folded <= found.plain
    assert found.folded <= found.modules
    task_of = [place % 3 for place in range(len(mapping))]
    for private in (0, 2):
        tasks = task_sizes(mapping, task_of, context, (rows, columns), 3, private)
        folded = sizes(mapping, context, (rows, columns), private=private).folded
        assert sum(task.accounted for task in tasks) == pytest.approx(folded)
        assert all(task.accounted <= task.params for task in tasks)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 5), min_size=1, max_size=30), st.integers(0, 3), st.integers(0, 2**31))
def test_folded_arrays_make_the_same_blocks(mapping: list[int], context: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    _, alignment = np.unique(mapping, return_inverse=True)
    modules = generator.normal(size=(alignment.max() + 1, max(context, 1), 3, 2))
    contexts = generator.normal(size=(len(alignment), context)) if context else None
    arrays = folded_arrays(modules, contexts, alignment)
    weights = np.ones((len(alignment), 1)) if contexts is None else contexts
    expected = np.einsum("la,lamn->lmn", weights, modules[alignment])
    np.testing.assert_allclose(unfolded_blocks(arrays), expected, rtol=1e-6, atol=1e-9)
    count = sum(array.size for name, array in arrays.items() if name != "alignment")
    assert count == sizes(mapping, context, (3, 2)).folded
