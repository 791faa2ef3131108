"""One number for how well similarities tell groups apart: extremes, hand examples, and what zero vectors are."""

from __future__ import annotations

import numpy as np
import pytest

from munet.methods.gumbel_matrix.clustering import adjusted_rand, cosines, jaccards, separation

GROUPS = ["a"] * 3 + ["b"] * 3


def test_cosines_of_rows() -> None:
    found = cosines(np.array([[1.0, 1, 0], [1, 0, 0], [0, 0, 1], [0, 0, 0], [0, 0, 0]]))
    assert found[0, 1] == pytest.approx(np.sqrt(0.5))
    assert found[1, 2] == 0
    assert found[3, 4] == 1  # two zero vectors are equal
    assert found[0, 3] == 0
    np.testing.assert_array_equal(np.diagonal(found), 1)
    np.testing.assert_array_equal(found, found.T)


def test_jaccard_of_rows() -> None:
    found = jaccards(np.array([[1.0, 1, 0], [1, 0, 0], [0, 0, 1], [0, 0, 0], [0, 0, 0]]))
    assert found[0].tolist() == [1, 0.5, 0, 0, 0]
    assert found[3, 4] == 1  # nothing and nothing
    np.testing.assert_array_equal(np.diagonal(found), 1)
    np.testing.assert_array_equal(found, found.T)


def test_equal_rows_inside_of_groups_separate_them_wholly() -> None:
    found = separation(cosines(np.array([[1.0, 1, 0]] * 3 + [[0.0, 1, 1]] * 3)), GROUPS)
    assert found.silhouette == pytest.approx(1)
    assert found.rand == 1


def test_equal_rows_everywhere_separate_nothing() -> None:
    found = separation(np.ones((6, 6)), GROUPS)
    assert found.silhouette == 0
    assert found.rand < 0.5


def test_groups_that_are_mixed_are_worse_than_chance() -> None:
    rows = np.array([[1.0, 0], [0, 1], [1, 0], [0, 1], [1, 0], [0, 1]])
    found = separation(cosines(rows), ["a", "a", "b", "b", "c", "c"])
    assert found.silhouette < 0
    assert found.rand < 0


def test_silhouette_by_hand() -> None:
    similarities = np.array([[1, 0.9, 0.5], [0.9, 1, 0.3], [0.5, 0.3, 1]])
    found = separation(similarities, ["a", "a", "b"])
    assert found.silhouette == pytest.approx((1 - 0.1 / 0.5 + 1 - 0.1 / 0.7 + 0) / 3)
    assert found.rand == 1


def test_adjusted_rand_index() -> None:
    one = np.array([0, 0, 0, 1, 1, 1])
    assert adjusted_rand(one, 1 - one) == 1  # names of clusters say nothing
    # Hubert and Arabie's formula by hand: 2 pairs together in both, 6 and 3 pairs in each, 15 in all.
    assert adjusted_rand(one, np.array([0, 0, 1, 1, 2, 2])) == pytest.approx((2 - 6 * 3 / 15) / (4.5 - 6 * 3 / 15))
    generator = np.random.default_rng(0)
    values = [adjusted_rand(generator.integers(0, 3, 60), generator.integers(0, 3, 60)) for _ in range(200)]
    assert abs(np.mean(values)) < 0.01


def test_groups_must_fit() -> None:
    with pytest.raises(ValueError, match="1 groups of 6 tasks"):
        separation(np.ones((6, 6)), ["a"] * 6)
    with pytest.raises(ValueError, match="6 groups of 6 tasks"):  # any rows would have an adjusted Rand index of 1
        separation(cosines(np.eye(6)), list("abcdef"))
