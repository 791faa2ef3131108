"""Arrays of random numbers: fixed by their path alone, of the distribution that their name says."""

from __future__ import annotations

import numpy as np
import pytest

from munet import rng

_PATH = ("seed", 1)


def test_arrays_are_the_same_on_every_machine_and_version() -> None:
    assert rng.uniform_array(_PATH, (3,)).tolist() == [0.36080513960671035, 0.5986575946502171, 0.25569220524875547]
    first = [-1.1622151136398315, -0.8295122385025024, -0.17105938494205475]  # to what logarithms and cosines differ by
    assert rng.normal_array(_PATH, (3,)).tolist() == pytest.approx(first, rel=1e-6)


def test_fewer_normal_numbers_are_the_first_of_more() -> None:
    many = rng.normal_array(_PATH, (10, 3))
    for count in range(10):
        assert np.array_equal(rng.normal_array(_PATH, (count, 3)), many[:count])
    assert not np.array_equal(rng.normal_array(("seed", 2), (10, 3)), many)


def test_normal_and_uniform_numbers_have_their_moments() -> None:
    count = 100_000
    normal, uniform = rng.normal_array(_PATH, (count,)).astype(np.float64), rng.uniform_array(_PATH, (count,))
    within = 4 / count**0.5
    assert abs(normal.mean()) < within
    assert abs((normal**2).mean() - 1) < within * 2**0.5
    assert abs((normal**4).mean() - 3) < within * 96**0.5
    assert abs((normal[::2] * normal[1::2]).mean()) < within * 2**0.5  # of a pair
    assert abs(uniform.mean() - 0.5) < within / 12**0.5
    assert 0 <= uniform.min() < uniform.max() < 1
