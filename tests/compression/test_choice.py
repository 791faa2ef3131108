"""The choice of ranks, with qualities made up."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from munet.compression.choice import Layer, Ranks, choose

RANKS = (0, 1, 2, 4)


def layer(id: str, whole: float = 100, per_rank: float = 10, base: float = 0) -> Layer:
    return Layer(id, whole, {rank: base + per_rank * rank for rank in RANKS})


def test_the_lowest_rank_that_holds_for_all_and_then_less_where_it_holds() -> None:
    asked: list[dict[str, int]] = []

    def holds(ranks: Ranks) -> bool:
        asked.append(dict(ranks))
        return ranks.get("a", 9) >= 2

    assert choose([layer("a"), layer("b", 50)], holds) == {"a": 2, "b": 0}
    assert asked[:3] == [{"a": 0, "b": 0}, {"a": 1, "b": 1}, {"a": 2, "b": 2}]
    assert len(asked) == len({tuple(sorted(ranks.items())) for ranks in asked})  # nothing is measured twice


def test_where_no_rank_holds_for_all_some_layers_are_still_found() -> None:
    assert choose([layer("a"), layer("b")], lambda ranks: "a" not in ranks and ranks.get("b", 9) >= 1) == {"b": 1}


def test_what_saves_nothing_is_never_asked_for() -> None:
    def holds(ranks: Ranks) -> bool:
        assert ranks.keys() <= {"b"}
        assert ranks.get("b", 0) <= 2
        return True

    dear, small = layer("a", base=100), layer("b", whole=30)
    assert choose([dear, small], holds) == {"b": 0}
    assert choose([], holds) == {}
    assert choose([layer("b", whole=30)], lambda ranks: False) == {}


@settings(max_examples=50, deadline=None)
@given(
    losses=st.lists(st.tuples(*[st.integers(0, 9)] * len(RANKS)), min_size=1, max_size=4), allowed=st.integers(0, 20)
)
def test_it_holds_and_no_single_layer_could_be_smaller(losses: list[tuple[int, ...]], allowed: int) -> None:
    """Where lower ranks never lose less, and losses add up."""
    lost = {f"layer {i}": dict(zip(RANKS, sorted(row, reverse=True), strict=True)) for i, row in enumerate(losses)}

    def holds(ranks: Ranks) -> bool:
        return sum(lost[id][rank] for id, rank in ranks.items()) <= allowed

    chosen = choose([layer(id, 50) for id in lost], holds)
    assert holds(chosen)
    for id in lost:
        for rank in RANKS:
            if rank < chosen.get(id, 99):
                assert not holds({**chosen, id: rank})
