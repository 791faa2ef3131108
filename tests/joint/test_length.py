"""Blocks of rounds end wherever the host has something to do, and are no longer than they may be."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from munet.joint.length import Length

LENGTHS = st.builds(
    Length,
    num_rounds=st.integers(1, 60),
    validate_every=st.integers(1, 20),
    final_rounds=st.integers(0, 10),
    decide_every=st.integers(0, 20),
    block=st.integers(1, 12),
)


@given(LENGTHS, st.integers(0, 30), st.lists(st.integers(1, 15), min_size=1))
def test_windows_are_the_rest_of_the_training_cut_where_the_host_acts(
    length: Length, first: int, most: list[int]
) -> None:
    asked = list[int]()

    def next_most() -> int:
        asked.append(most[len(asked) % len(most)])
        return asked[-1]

    found = list(length.windows(first, next_most))
    rounds = [step for start, stop in found for step in range(start, stop)]
    assert rounds == list(range(first, length.total))
    ends = {stop for _, stop in found}
    for step in range(first + 1, length.total + 1):
        decides = length.decide_every and step % length.decide_every == 0
        assert step in ends or not (length.is_point(step) or decides or step == length.num_rounds)
    assert all(0 < stop - start <= min(length.block, may) for (start, stop), may in zip(found, asked, strict=True))


def test_of_thousands_of_points_some_two_hundred_are_told_and_the_last() -> None:
    length = Length(10_001, 1, final_rounds=3)
    told = [step for step in range(1, length.total + 1) if length.is_told(step, length.validate_every)]
    assert 150 < len(told) < 210
    assert {length.num_rounds, length.total} <= set(told)
    short = Length(20, 5)
    assert [step for step in range(1, 21) if short.is_told(step, 5)] == [5, 10, 15, 20]
