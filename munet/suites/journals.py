"""What only the journals of runs know: lineages of retained models, and the hyper-parameters that were sampled."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from munet.store import Store
from munet.types import ChildEntry, GenerationEntry, HyperparameterValue, ModelId, PhaseEntry, TaskName
from munet.vit import architecture


@dataclass(frozen=True)
class Lineage:
    """Training on one task from its first ancestor there to the model retained at the end (Figure 5).

    Attributes:
      qualities: validation accuracy after each cycle; of an ancestor only up to the version that was kept.
      best: index of the cycle whose version was tested.
      test: its test accuracy.
    """

    qualities: tuple[float, ...]
    best: int
    test: float


def lineages(workdir: str) -> dict[TaskName, Lineage]:
    """The lineage of every task's retained model, by task."""
    children, last = _retained(workdir)
    return {task: _lineage(children, phase) for task, phase in last.items()}


def latencies(workdir: str) -> dict[TaskName, float | None]:
    """Seconds an image of every task's retained model; None where the score does not count them."""
    children, last = _retained(workdir)
    return {task: children[phase.retained].latency for task, phase in last.items()}


def _retained(workdir: str) -> tuple[dict[ModelId, ChildEntry], dict[TaskName, PhaseEntry]]:
    """All children that were kept, and the last end of a phase of every task."""
    children: dict[ModelId, ChildEntry] = {}
    last: dict[TaskName, PhaseEntry] = {}
    for entry in Store.open(workdir).journal.entries():
        if isinstance(entry, GenerationEntry):
            children |= {child.plan.id: child for child in entry.children if child.verdict.is_kept}
        elif isinstance(entry, PhaseEntry):
            last[entry.task] = entry
    return children, last


def _lineage(children: dict[ModelId, ChildEntry], phase: PhaseEntry) -> Lineage:
    chain = [children[phase.retained]]
    while (parent := children.get(chain[0].plan.parent)) and parent.plan.task == phase.task:
        chain.insert(0, parent)
    before = [quality.value for child in chain[:-1] for quality in child.training.qualities[: _best(child) + 1]]
    training = chain[-1].training
    own = [quality.value for quality in training.qualities[: training.diverged_at]]
    return Lineage((*before, *own), len(before) + _best(chain[-1]), phase.test_quality.value)


def _best(child: ChildEntry) -> int:
    return child.verdict.best_cycle or 0


def sampled(workdir: str) -> Iterator[dict[str, HyperparameterValue]]:
    """Hyper-parameters of every child that was sampled, with `num_blocks` and `num_adapters`; seed children are not."""
    for entry in Store.open(workdir).journal.entries():
        if not isinstance(entry, GenerationEntry):
            continue
        for child in entry.children:
            if not child.plan.is_seed:
                names = [component.name for component in child.plan.components]
                yield {
                    **child.plan.hyperparameters,
                    "num_blocks": sum(map(architecture.is_block, names)),
                    "num_adapters": sum(map(architecture.is_adapter, names)),
                }
