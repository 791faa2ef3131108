"""What `decisions.jsonl` of a MUiR training says of its search: the mapping after every generation, and its score."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Int

from munet.joint.workdir import Decision, Workdir
from munet.methods.muir.result import MUIR


@dataclass(frozen=True)
class Search:
    """The search of one seed.

    Attributes:
      seed: which.
      mappings: the module of every location after each generation; the first row is before the search.
      scores: of these rows, where the true groups are known; else none.
    """

    seed: int
    mappings: Int[np.ndarray, "generations locations"]
    scores: tuple[int, ...]

    @property
    def first_full(self) -> int | None:
        """The first generation whose mapping is the true one; None if none is."""
        full = self.mappings.shape[1]
        return next((at for at, score in enumerate(self.scores) if score == full), None)

    @property
    def share_full(self) -> float:
        """Of the generations after the first with the true mapping, those that have it."""
        if self.first_full is None:
            return 0.0
        later = self.scores[self.first_full + 1 :]
        return sum(score == self.mappings.shape[1] for score in later) / max(len(later), 1)

    def leavers(self) -> Counter[int]:
        """How often each location was the one that left the true mapping, in the generation after one that had it."""
        found: Counter[int] = Counter()
        full = self.mappings.shape[1]
        for at in range(1, len(self.scores)):
            if self.scores[at - 1] == full and self.scores[at] != full:
                found.update(np.flatnonzero(self.mappings[at] != self.mappings[at - 1]).tolist())
        return found


def searches(workdir: str) -> list[Search]:
    """The search of every seed; none where nothing is searched.

    Raises:
      UserError: the directory is damaged.
    """
    place = Workdir(workdir, MUIR)
    beginning = place.beginning()
    decided: dict[int, list[Decision]] = {}
    for decision in place.decisions():
        decided.setdefault(decision.seed, []).append(decision)
    if beginning is None or not decided:
        return []
    result = place.result()
    length = len(result.replicas[0].mapping) if result is not None else len(beginning.tasks)
    last = max(int(str(one.record["generation"])) for one in next(iter(decided.values())))
    return [_search(seed, own, length, last) for seed, own in decided.items()]


def _search(seed: int, decisions: Sequence[Decision], length: int, last: int) -> Search:
    """Of so many blocks. What follows the last generation begins with an earlier version, and is left out."""
    mapping = np.arange(length)
    mappings, scores = [mapping], [0]
    for decision in decisions:
        record: Mapping[str, Any] = decision.record
        if record["generation"] == last:
            break
        mapping = mapping.copy()
        for at, _, new in record["changes"]:
            mapping[at] = new
        mappings.append(mapping)
        scores += [int(record["score"])] if "score" in record else []
    return Search(seed, np.stack(mappings), tuple(scores) if len(scores) == len(mappings) else ())
