"""The alignment search: challengers, winners and scores."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest

from munet import rng
from munet.methods.muir import alignment
from munet.methods.muir.alignment import Search, ask, first_scores, masses, score, tell, users

SEARCH = Search(num_modules=30, challengers=8, share=0.5, new=0.0)


def test_a_generation_follows_from_its_path() -> None:
    incumbent = np.arange(30, dtype=np.int32)
    one, same, other = (ask(incumbent, SEARCH, ("x", number)) for number in (0, 0, 1))
    np.testing.assert_array_equal(one.candidates, same.candidates)
    assert (one.candidates != other.candidates).any()
    assert one.drawn.sum() == 15
    np.testing.assert_array_equal(one.candidates[0], incumbent)
    assert (one.candidates[:, ~one.drawn] == incumbent[~one.drawn]).all()


@pytest.mark.parametrize(("share", "count"), [(0.0, 1), (0.01, 1), (0.5, 15), (0.51, 16), (1.0, 30)])
def test_a_share_of_the_locations_is_drawn_and_one_at_least(share: float, count: int) -> None:
    places = alignment.drawn_locations(30, share, ("x",))
    assert len(set(places.tolist())) == count


def test_challengers_come_as_often_as_they_are_used() -> None:
    """Chi-square over many generations; of three modules in use, none of the others."""
    incumbent = np.array([0] * 15 + [1] * 10 + [2] * 5, np.int32)
    counts: Counter[int] = Counter()
    for number in range(200):
        generation = ask(incumbent, SEARCH, ("x", number))
        counts.update(generation.candidates[1:, generation.drawn].reshape(-1).tolist())
    total = sum(counts.values())
    expected = {0: total / 2, 1: total / 3, 2: total / 6}
    assert set(counts) == set(expected)
    assert sum((counts[key] - value) ** 2 / value for key, value in expected.items()) < 13.8  # p = 0.001


def test_new_modules_come_with_their_probability_and_only_where_some_are_unused() -> None:
    search = Search(num_modules=30, challengers=8, share=1.0, new=0.1)
    incumbent = np.repeat(np.arange(15, dtype=np.int32), 2)
    tried = [ask(incumbent, search, ("x", number)) for number in range(50)]
    share = np.mean([(one.candidates[1:] >= 15).mean() for one in tried])
    assert abs(share - 0.1) < 5 * math.sqrt(0.1 * 0.9 / (50 * 240))
    for one in tried:
        assert set(one.fresh) == set(np.unique(one.candidates[one.candidates >= 15]).tolist())
    assert not ask(np.arange(30, dtype=np.int32), search, ("x",)).fresh


def test_duplicates_of_a_module_add_up_and_the_incumbent_wins_ties() -> None:
    candidates = np.array([[4], [4], [7], [4]], np.int32)
    scores = np.log(np.array([[0.2], [0.2], [0.4], [0.2]], np.float32))
    winners, mass = tell(candidates, scores, np.full(1, -1))
    assert winners.tolist() == [4]
    assert mass == pytest.approx([0.6])
    np.testing.assert_allclose(masses(candidates, scores)[:, 0], [0.6, 0.6, 0.4, 0.6], rtol=1e-6)
    assert tell(np.array([[1], [2]], np.int32), np.zeros((2, 1), np.float32), np.full(1, -1))[0].tolist() == [1]
    tied = np.array([[1], [2], [3], [2], [1]], np.int32)
    assert tell(tied, np.zeros((5, 1), np.float32), np.full(1, -1))[0].tolist() == [1]
    assert tell(tied, np.zeros((5, 1), np.float32), np.array([2]))[0].tolist() == [3]  # winners that are drawn


@pytest.mark.parametrize("alpha", [0.0, 0.1, 0.5, 0.9])
@pytest.mark.parametrize("challengers", [1, 4, 8])
def test_challengers_begin_with_their_share_of_the_weight(challengers: int, alpha: float) -> None:
    scores = first_scores(challengers, alpha).astype(np.float64)
    shares = np.exp(scores) / np.exp(scores).sum()
    assert shares[1:].sum() == pytest.approx(alpha or challengers / (challengers + 1), abs=1e-6)
    assert scores[0] == 0


def test_figure_2_score() -> None:
    groups = [place // 10 for place in range(30)]
    assert score(np.arange(30), groups) == 0
    assert score(np.array(groups), groups) == 30
    assert score(np.zeros(30, int), groups) == -30
    assert score(np.array([0, 0, *range(2, 29), 0]), groups) == -3


def test_who_uses_a_module() -> None:
    assert users(np.array([5, 5, 2, 5]), np.array([0, 1, 1, 1])) == {2: (1,), 5: (0, 1)}


@pytest.mark.parametrize(("length", "expected"), [(16, 6.4), (64, 9.3), (256, 11.9), (1024, 14.0)])
def test_the_search_takes_a_logarithmic_number_of_generations(length: int, expected: float) -> None:
    """Theorem 3.2: one challenger a location, accepted if it is the right module; the mean of 50 runs."""
    search = Search(length, challengers=1, share=1.0, new=0.0)
    lasted = []
    for run in range(50):
        mapping, generation = np.arange(length, dtype=np.int32), 0
        while (mapping != 0).any():
            challenger = ask(mapping, search, ("theory", length, run, generation)).candidates[1]
            mapping, generation = np.where(challenger == 0, challenger, mapping).astype(np.int32), generation + 1
        lasted.append(generation)
    assert abs(np.mean(lasted) - expected) < 0.8


def test_uniforms_are_those_of_the_whole_paths() -> None:
    ends = [(1, 2), ("a",), (3,)]
    assert rng.uniforms(("x", 7), ends).tolist() == [rng.uniform(("x", 7, *end)) for end in ends]
