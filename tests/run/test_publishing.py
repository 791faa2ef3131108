"""What is published of a kept child is what it was planned with, or nothing is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from munet.evolution.controller import Controller
from munet.evolution.state import initial_state
from munet.run.publishing import Publisher
from munet.run.rehearsal import start_entry
from munet.store.components import ComponentStore
from munet.training.trainer import TrainedChild
from munet.types import ChildCost, CycleQualities, GenerationEntry, Quality
from munet.vit import architecture
from tests.evolution.simulation import make_experiment, make_tasks

TASKS = make_tasks(3)
EXPERIMENT = make_experiment(TASKS, children_per_generation=1)
VARIANT = architecture.get_variant(EXPERIMENT.variant)
Spoil = Callable[[np.ndarray], np.ndarray]


def publish(folder: Path, spoil: Spoil) -> GenerationEntry:
    """Publishes a seed child, whose trained head's kernel is spoilt."""
    controller, state = Controller(EXPERIMENT, TASKS), initial_state(start_entry(EXPERIMENT, TASKS))
    plan = controller.ask(state)
    (child,) = plan.children
    leaves = architecture.model_leaves(VARIANT, architecture.HEAD, child.hyperparameters, 3)
    head = {path: np.zeros(leaf.shape, leaf.dtype) for path, leaf in leaves.items()}
    best = {architecture.HEAD: head | {"kernel": spoil(head["kernel"])}}
    trained = TrainedChild(CycleQualities((Quality(1, 2),)), best, ChildCost(1, 1.0))
    results = {child.id: trained}
    publisher = Publisher(ComponentStore(str(folder)), VARIANT, TASKS)
    return publisher.publish(state, plan, results, controller.judge(state, plan, results))


def test_a_kept_child_is_published(tmp_path: Path) -> None:
    entry = publish(tmp_path, lambda kernel: kernel)
    ((identity, record),) = entry.published.items()
    assert (record.name, record.model) == (architecture.HEAD, entry.children[0].plan.id)
    assert ComponentStore(str(tmp_path)).ids() == {identity}


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda kernel: kernel.astype(np.float64), id="precision"),
        pytest.param(lambda kernel: np.concatenate([kernel, kernel], axis=-1), id="shape"),
    ],
)
def test_arrays_that_a_child_was_not_planned_with_are_refused(spoil: Spoil, tmp_path: Path) -> None:
    """A trainer of another kind, on another machine, could give such ones."""
    with pytest.raises(ValueError, match="kernel"):
        publish(tmp_path, spoil)
    assert not ComponentStore(str(tmp_path)).ids()
