"""What a child starts from: new layers are drawn from the run's seed, the child's id and their names, nothing else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from munet.training.assemble import component_arrays
from munet.types import ChildPlan, ComponentPlan
from munet.vit.architecture import adapter_name
from tests.training.children import config, random_child, work_of

WORK = work_of(config())


def _drawn(child: ChildPlan, block: int, seed: int = 0) -> np.ndarray:
    """All numbers of a new adapter; the last kernel and the biases of one are zeros."""

    def load(_: object) -> dict[str, np.ndarray]:
        raise AssertionError("a new layer is read from nowhere")

    plan = ComponentPlan(adapter_name(block), "init", None, trainable=True)
    arrays = component_arrays(child, plan, replace(WORK, seed=seed), load)
    return np.concatenate([np.asarray(leaf).ravel() for _, leaf in sorted(arrays.items())])


def test_new_adapters_differ_by_child_block_and_seed_and_by_nothing_else() -> None:
    child = random_child(0, 5)
    other = replace(child, id=child.id + 1)
    ways = [_drawn(child, 0), _drawn(other, 0), _drawn(child, 1), _drawn(child, 0, seed=1)]
    assert all(way.any() for way in ways)
    assert len(np.unique(np.stack(ways), axis=0)) == len(ways)
    np.testing.assert_array_equal(ways[0], _drawn(replace(child, parent=7, mutations=()), 0))
