"""Which kinds of mutation were tried, kept, and led to the models that were retained."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from munet.report.facts.lineages import Families, generations
from munet.types import ChildEntry, GenerationEntry, HyperparameterValue, JournalEntry, Mutation
from munet.vit import architecture

CLONE, ADAPTER, LOW_RANK, BLOCKS = "clone a layer", "insert an adapter", "insert a low-rank update", "change the blocks"
COMPRESS = "store layers in low rank"


@dataclass(frozen=True)
class KindCount:
    """A kind of mutation.

    Attributes:
      kind: in words; of a hyper-parameter its name.
      tried: children in which it fired and changed something.
      kept: those of them that were better than their parents, or no worse than they may be (`compress`).
      retained: those of them that are, or are ancestors of, a task's retained model.
    """

    kind: str
    tried: int
    kept: int
    retained: int


def count(entries: Sequence[JournalEntry], families: Families) -> list[KindCount]:
    """Every kind that was tried, most often tried first.

    A child counts once for a kind, however many layers it clones. What fired by rule, not by chance, is left out.
    Mutations of data settings are all children's of their generation but the seed children's.

    Args:
      entries: of the journal.
      families: of the same.
    """
    ancestors = families.led_to_retained()
    tried: Counter[str] = Counter()
    kept: Counter[str] = Counter()
    retained: Counter[str] = Counter()
    for generation in generations(entries):
        for child in generation.children:
            found = _kinds(child, generation)
            tried.update(found)
            kept.update(found if child.verdict.is_kept else ())
            retained.update(found if child.plan.id in ancestors else ())
    return [
        KindCount(kind, tried[kind], kept[kind], retained[kind]) for kind in sorted(tried, key=lambda k: (-tried[k], k))
    ]


def _kinds(child: ChildEntry, generation: GenerationEntry) -> set[str]:
    shared = () if child.plan.is_seed else generation.data_mutations
    return {_kind(one) for one in (*child.plan.mutations, *shared) if one.effective and not one.forced}


def _kind(mutation: Mutation) -> str:
    if mutation.kind == "clone":
        return CLONE
    if mutation.kind == "insert":
        return ADAPTER if architecture.is_adapter(mutation.target) else LOW_RANK
    if mutation.kind == "compress":
        return COMPRESS
    return BLOCKS if mutation.kind == "num_blocks" else mutation.target


def sampled(entries: Sequence[JournalEntry]) -> list[dict[str, HyperparameterValue]]:
    """Hyper-parameters of every child that was sampled, with `num_blocks` and `num_adapters`; seed children are not."""
    return [
        hyperparameters(child)
        for generation in generations(entries)
        for child in generation.children
        if not child.plan.is_seed
    ]


def hyperparameters(child: ChildEntry) -> dict[str, HyperparameterValue]:
    """A child's hyper-parameters, and how many blocks and adapters it has."""
    names = [component.name for component in child.plan.components]
    return {
        **child.plan.hyperparameters,
        "num_blocks": sum(map(architecture.is_block, names)),
        "num_adapters": sum(map(architecture.is_adapter, names)),
    }
