"""Parallel adapters: what they add, where they begin, what they cost, and that files make the models with them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from munet.errors import ConfigError
from munet.methods.muir import job
from munet.methods.muir.adapters import with_adapters
from munet.methods.muir.folding import sizes
from munet.methods.muir.learner import Muir
from munet.report.verify.verify import verify
from tests.methods.muir.small import config, mixed
from tests.methods.muir.test_job import run

PARALLEL: dict[str, Any] = {"sharing": "hierarchical", "context": 0, "challengers": 0, "adapters": True}


def test_a_diagonal_is_added() -> None:
    blocks = np.arange(12, dtype=np.float32).reshape(2, 2, 3)
    made = with_adapters(blocks, np.array([[10, 20], [0, 5]], np.float32))
    np.testing.assert_array_equal(made, [[[10, 1, 2], [3, 24, 5]], [[6, 7, 8], [9, 15, 11]]])
    tall = with_adapters(blocks.reshape(2, 3, 2), np.array([[10, 20], [0, 5]], np.float32))
    np.testing.assert_array_equal(tall, [[[10, 1], [2, 23], [4, 5]], [[6, 7], [8, 14], [10, 11]]])


def test_what_it_costs_by_hand() -> None:
    """Blocks of 2 x 3: a module that four use with two numbers beside each, and one that a single block uses."""
    found = sizes([7, 7, 7, 7, 2], 0, (2, 3), private=2)
    assert (found.plain, found.modules, found.folded) == (30, (4 * 2 + 6) + (2 + 6), (4 * 2 + 6) + 6)


@pytest.mark.slow
def test_a_training_with_adapters(tmp_path: Path) -> None:
    settings = mixed(tmp_path, **PARALLEL)
    learner, plain = (
        job.prepare(settings).learner,
        job.prepare(mixed(tmp_path, **{**PARALLEL, "adapters": False})).learner,
    )
    assert isinstance(learner, Muir)
    state = learner.initial(0)
    assert state.trained.adapters.shape == (learner.plan.num_locations, 4)
    assert not state.trained.adapters.any()
    facts, without = learner.facts(state), plain.facts(plain.initial(0))
    for number, task in enumerate(learner.tasks):
        blocks = int((learner.plan.task_of == number).sum())
        assert facts[task].params == without[task].params + 4 * blocks
        assert facts[task].accounted_params == pytest.approx(without[task].accounted_params + 4 * blocks)
    found = run(settings, tmp_path / "run")["result"]["replicas"][0]
    assert found["generic"] is None  # nothing was searched
    arrays = load_file(tmp_path / "run" / found["file"])
    assert arrays["adapters"].any()
    assert len(arrays["adapters"]) == (arrays["alignment"] < len(arrays["modules"])).sum()
    total = sum(arrays[name].size for name in ("modules", "adapters", "blocks"))
    assert total == found["sizes"]["folded"]
    report = verify(str(tmp_path / "run"))
    assert report.is_sound, str(report)


@pytest.mark.parametrize("changes", [{}, {"sharing": "separate", "context": 0}])
def test_they_need_a_fixed_rule_of_sharing(tmp_path: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(
        ConfigError, match=r'adapters = true beside .*Use experiment\.adapters = false, or sharing = "hier'
    ):
        config(tmp_path, adapters=True, **changes)
