from __future__ import annotations

import random

import pytest

from munet.report.graph.layered import Link, arrange, num_crossings, spread


def test_spread_leaves_boxes_alone_that_have_room() -> None:
    assert spread([0.0, 100.0], [1, 1], [10, 10], gap=5) == [0.0, 100.0]


def test_spread_pushes_by_weight() -> None:
    # Both want 0 and need 15 between centres; the heavy one moves a third as far as the light one.
    assert spread([0.0, 0.0], [3, 1], [10, 10], gap=5) == pytest.approx([-3.75, 11.25])


def test_spread_is_the_least_squares_fit() -> None:
    rng = random.Random(0)
    for _ in range(20):
        count = rng.randint(2, 6)
        wanted = [rng.uniform(0, 50) for _ in range(count)]
        widths = [rng.uniform(5, 20) for _ in range(count)]
        found = spread(wanted, [1.0] * count, widths, gap=4)
        cost = sum((a - b) ** 2 for a, b in zip(found, wanted, strict=True))
        for _ in range(50):  # no valid neighbour is better
            other = [x + rng.uniform(-1, 1) for x in found]
            if all(b - a >= (v + w) / 2 + 4 for a, b, v, w in zip(other, other[1:], widths, widths[1:], strict=False)):
                assert sum((a - b) ** 2 for a, b in zip(other, wanted, strict=True)) >= cost - 1e-9


def test_crossings_are_counted_with_their_weights() -> None:
    assert num_crossings("ab", "cd", [("a", "c", 1), ("b", "d", 1)]) == 0
    assert num_crossings("ab", "cd", [("a", "d", 2), ("b", "c", 3)]) == 6
    assert num_crossings("ab", "cd", [("a", "c", 1), ("a", "d", 1), ("b", "d", 1)]) == 0  # meeting is not crossing


def test_order_is_untangled() -> None:
    placed = arrange(["ab", "cd"], dict.fromkeys("abcd", 10.0), [Link("a", "d"), Link("b", "c")])
    assert (placed.x["a"] < placed.x["b"]) == (placed.x["d"] < placed.x["c"])
    assert placed.x["a"] == pytest.approx(placed.x["d"])


def test_a_long_link_bends_around_the_boxes_between() -> None:
    links = [Link("a", "m"), Link("m", "z"), Link("a", "z", weight=3)]
    placed = arrange(["a", "m", "z"], {"a": 10, "m": 40, "z": 10}, links, gap=8, line_gap=6)
    (bend,) = placed.bends["a", "z"]
    assert abs(bend - placed.x["m"]) >= 20 + 3 * 6 / 2 + 8 - 1e-9
    assert placed.bends["a", "m"] == ()


def test_layout_starts_at_zero_and_spans_its_width() -> None:
    placed = arrange(["ab", "c"], {"a": 10, "b": 30, "c": 20}, [Link("a", "c"), Link("b", "c")], gap=4)
    edges = [(placed.x[n] - w / 2, placed.x[n] + w / 2) for n, w in (("a", 10), ("b", 30), ("c", 20))]
    assert min(left for left, _ in edges) == pytest.approx(0)
    assert max(right for _, right in edges) == pytest.approx(placed.width)
    assert arrange([[], []], {}, []).width == 0
