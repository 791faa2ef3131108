"""Numbers in words, and the console of tables (munet/text.py)."""

from __future__ import annotations

import numpy as np
import pytest

from munet.text import byte_size, count, duration, package_version, percent, plain_console
from munet.types import Quality


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (9.94, "9.9 s"), (9.97, "10 s"), (59.4, "59 s"), (59.6, "1 min 00 s"), (185, "3 min 05 s"),
     (3599.7, "1 h 00 min"), (7800, "2 h 10 min"),
     (172799.4, "47 h 59 min"), (172800, "2 days 00 h"), (1.61e9, "18,634 days 06 h")],
)  # fmt: skip
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_counts() -> None:
    assert (count(1, "step"), count(1000, "child", "children")) == ("1 step", "1,000 children")


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0 KiB"), (12 * 1024, "12 KiB"), (1.5 * 2**20, "1.5 MiB"), (300 * 2**20, "300 MiB"), (2**30, "1.0 GiB")],
)
def test_bytes(number: float, text: str) -> None:
    assert byte_size(number) == text


def test_percents_and_versions() -> None:
    assert percent(Quality(66, 100)) == "66.0"
    assert package_version("numpy") == np.__version__
    assert package_version("no-such-package-of-ours") == "not installed"


def test_tables_in_a_pipe_have_their_width() -> None:
    assert plain_console().width == 140
    assert plain_console(150).width == 150
