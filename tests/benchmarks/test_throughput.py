"""The throughput benchmark: its contenders do the same work, and its line has what the documentation says."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from benchmarks import throughput
from benchmarks.contenders import cases
from benchmarks.contenders.engine import Engine
from benchmarks.contenders.one_child import OneChild
from benchmarks.contenders.process import Contender, ContenderError

CASE = replace(throughput.PRESETS["tiny"], children=3)


@pytest.mark.slow
def test_the_plain_loop_trains_the_same_children_to_the_same_weights() -> None:
    """Else the ratio would compare different work."""
    ours, theirs = Engine(CASE).trained(), OneChild(CASE).trained()
    assert len(ours) == CASE.children
    for id, sums in ours.items():
        np.testing.assert_allclose(sums, theirs[id], rtol=0, atol=1e-3)


def test_kinds_of_children_train_what_they_say() -> None:
    for kind, trains in (("full", 7), ("head", 1)):
        for child in cases.generation(replace(CASE, kind=kind)).children:
            assert sum(part.trainable for part in child.components) == trains
    mutated = cases.generation(CASE).children
    assert len({tuple(part.trainable for part in child.components) for child in mutated}) > 1
    assert CASE.image_steps == 3 * 2 * 4 * 16


def test_a_contender_that_fails_says_why() -> None:
    with (
        Contender("engine", {"what": "steps", "case": {"variant": "Ti/99"}}) as contender,
        pytest.raises(ContenderError, match="engine ended with exit code 1"),
    ):
        contender.ask("steps")


@pytest.mark.slow
def test_the_line_has_every_figure(capsys: pytest.CaptureFixture[str]) -> None:
    throughput.main(["--preset=tiny", "--repeats=1"])
    (line,) = capsys.readouterr().out.splitlines()
    result = json.loads(line)
    assert min(result["ratio_to_one_child"], result["ratio_to_one_child_with_input"]) > 0
    assert 0 < result["mfu"] < 1
    assert result["compilations"] >= result["train_programs"] >= 1
    assert {"images_per_s", "ratio_to_torch", "peak_bytes"} <= set(result)
