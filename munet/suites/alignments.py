"""What `decisions.jsonl` of a MUiR training says of its search: the mapping after every generation, and its score."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Int

from munet.config.muir import MuirExperiment
from munet.joint.records import Decision
from munet.joint.workdir import Workdir
from munet.methods.muir.adapters import num_private
from munet.methods.muir.blocks import Block, Matrices
from munet.methods.muir.folding import sizes
from munet.methods.muir.generic import Generic
from munet.methods.muir.result import MUIR, MuirResult
from munet.store import codec


@dataclass(frozen=True)
class Search:
    """The search of one seed.

    Attributes:
      seed: which.
      mappings: the module of every location after each generation, by its number; the first row is before the search.
      scores: of these rows, where the true groups are known; else none.
      shared: after each generation, from number `begins` on, how many modules each set of tasks (`0+2`, their numbers)
        uses.
      tasks: names, by number.
      folded: numbers in the generated weights after the same generations, modules folded that are no cheaper than their
        blocks.
      plain: the same of the models without modules; 0 where `folded` has nothing.
      layers: names of all generated weights, `conv_2 of fashion_mnist`; results of older versions have none.
      layer_of: number of that of each location.
      last: the module of each location at the end of training, which no decision may have followed.
      generic: what distinguishes modules that many blocks share, at the end; None: not known.
      begins: number of the first generation in `shared`: 0, the burn-in, or 1, where there is none.
    """

    seed: int
    mappings: Int[np.ndarray, "generations locations"]
    scores: tuple[int, ...]
    shared: tuple[Mapping[str, int], ...] = ()
    tasks: tuple[str, ...] = ()
    folded: tuple[int, ...] = ()
    plain: int = 0
    layers: tuple[str, ...] = ()
    layer_of: tuple[int, ...] = ()
    last: tuple[int, ...] = ()
    generic: Generic | None = None
    begins: int = 0

    @property
    def first_full(self) -> int | None:
        """The first generation with a full score: all share, inside their groups only; None if none has it."""
        full = self.mappings.shape[1]
        return next((at for at, score in enumerate(self.scores) if score == full), None)

    @property
    def share_full(self) -> float | None:
        """Of the generations after the first with a full score, those that have it; None where there are none."""
        later = () if self.first_full is None else self.scores[self.first_full + 1 :]
        return sum(score == self.mappings.shape[1] for score in later) / len(later) if later else None

    def leavers(self) -> Counter[int]:
        """How often each location was the one that left the true mapping, in the generation after one that had it."""
        found: Counter[int] = Counter()
        full = self.mappings.shape[1]
        for at in range(1, len(self.scores)):
            if self.scores[at - 1] == full and self.scores[at] != full:
                found.update(np.flatnonzero(self.mappings[at] != self.mappings[at - 1]).tolist())
        return found


def searches(workdir: str) -> list[Search]:
    """The search of every seed of a training that is complete; none where nothing is searched.

    Raises:
      UserError: the directory is damaged.
    """
    place = Workdir(workdir, MUIR)
    beginning = place.beginning()
    decided: dict[int, list[Decision]] = {}
    for decision in place.decisions():
        decided.setdefault(decision.seed, []).append(decision)
    result = place.result()
    if beginning is None or result is None or not decided:
        return []
    where = f"The settings in {place.location(MUIR.start)}"
    settings = codec.from_json(MuirExperiment, beginning.experiment, where)
    names, length = tuple(info.name for info in beginning.tasks), len(result.replicas[0].mapping)
    found = [_search(seed, own, length, settings, names) for seed, own in decided.items()]
    ends = {replica.seed: {"last": replica.mapping, "generic": replica.generic} for replica in result.replicas}
    layers, layer_of = _layers(result, (settings.block_rows, settings.block_columns))
    return [replace(one, layers=layers, layer_of=layer_of, **ends.get(one.seed, {})) for one in found]


def _layers(result: MuirResult, block: Block) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Names of all generated weights, and the number of that of each location."""
    names = tuple(f"{leaf.path.removesuffix('/kernel')} of {leaf.task}" for leaf in result.leaves)
    sizes = [Matrices(one.path, (), one.count, one.rows, one.columns, 0).num_blocks(block) for one in result.leaves]
    return names, tuple(number for number, size in enumerate(sizes) for _ in range(size))


def _search(
    seed: int, decisions: Sequence[Decision], length: int, settings: MuirExperiment, tasks: tuple[str, ...]
) -> Search:
    """Of so many blocks. What follows the last generation begins with an earlier version, and is left out."""
    mapping = np.arange(length)
    mappings, scores, shared, after = [mapping], [0], [], []
    block, private = (settings.block_rows, settings.block_columns), num_private(settings)
    for decision in decisions:
        record: Mapping[str, Any] = decision.record
        if record["generation"] == settings.generations:
            break
        mapping = mapping.copy()
        for at, _, new in record["changes"]:
            mapping[at] = new
        shared.append(record["modules"])
        after.append(mapping)
        if not record["generation"]:  # the burn-in's, in which nothing changes: the first row
            continue
        mappings.append(mapping)
        scores += [int(record["score"])] if "score" in record else []
    first: Mapping[str, Any] = decisions[0].record
    known = tuple(scores) if len(scores) == len(mappings) else ()
    found = Search(seed, np.stack(mappings), known, tuple(shared), tasks, begins=first["generation"])
    if len(tasks) == length:
        return found
    costs = [sizes(one.tolist(), settings.context, block, private=private) for one in after]
    plain = length * block[0] * block[1]
    return replace(found, folded=tuple(cost.folded for cost in costs), plain=plain)
