"""How data differ from those that a run used, in words."""

from __future__ import annotations

from dataclasses import replace

import pytest

from munet.system.data import data_difference
from munet.types import Objective, TaskInfo

INFO = TaskInfo("a", "text:a", "f" * 64, ("x", "y"), 90, 5, 5)


@pytest.mark.parametrize(
    ("objective", "examples", "classes"),
    [("", "images", "class"), ("value", "examples", "class"), ("next_token", "symbols", "symbol")],
)
def test_differences_are_told_in_what_a_task_is_of(objective: Objective, examples: str, classes: str) -> None:
    info = replace(INFO, objective=objective)
    assert not data_difference(info, replace(info, uri="text:b"))
    assert data_difference(info, replace(info, num_test=6)) == (
        f"90 / 5 / 5 -> 90 / 5 / 6 train / validation / test {examples}"
    )
    assert data_difference(info, replace(info, class_names=("x", "z"))) == f"{classes} 'y' -> 'z'"
    plural = "symbols" if classes == "symbol" else "classes"
    assert data_difference(info, replace(info, class_names=("x", "y", "z"))) == f"2 -> 3 {plural}"
    assert data_difference(info, replace(info, fingerprint="0" * 64)) == (
        f"as many {examples}, but others, or split otherwise: fingerprint ffffffffffff -> 000000000000"
    )
