"""Which rank every layer gets: the smallest system whose quality holds, found greedily (pure).

First one rank for all layers, the lowest that holds; then, layer by layer, the largest saving first, the lowest rank
that still holds. Quality is asked for, never assumed: it need not grow with the rank.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from munet.types import ComponentId

RANKS = (1, 2, 4, 8, 16, 32, 64, 128)  # beside 0, the base itself, and being stored whole
Ranks = Mapping[ComponentId, int]  # of the layers that are not stored whole


@dataclass(frozen=True)
class Layer:
    """A component that may be stored in low rank.

    Attributes:
      id: the component.
      whole: parameters of it when it is stored whole.
      params: by rank, what the system has instead, its part of a base that is only there for such layers included.
    """

    id: ComponentId
    whole: float
    params: Mapping[int, float]

    def saving(self, rank: int | None) -> float:
        """Parameters that a rank saves; None: whole."""
        return 0 if rank is None else self.whole - self.params[rank]

    @property
    def ranks(self) -> list[int]:
        """The ranks that save anything, the lowest first."""
        return sorted(rank for rank in self.params if self.saving(rank) > 0)


def choose(layers: Sequence[Layer], holds: Callable[[Ranks], bool]) -> dict[ComponentId, int]:
    """The ranks of the layers that are not to be stored whole.

    Args:
      layers: all that may be chosen for, in any order.
      holds: whether the quality is good enough with some ranks, all other layers being whole.
    """
    tried: dict[frozenset[tuple[ComponentId, int]], bool] = {}

    def is_good(ranks: Ranks) -> bool:
        key = frozenset(ranks.items())
        if key not in tried:
            tried[key] = not ranks or holds(ranks)
        return tried[key]

    chosen: dict[ComponentId, int] = {}
    for rank in sorted({rank for layer in layers for rank in layer.ranks}):
        uniform = {layer.id: rank for layer in layers if rank in layer.ranks}
        if is_good(uniform):
            chosen = uniform
            break
    for layer in sorted(layers, key=lambda layer: (-layer.whole, layer.id)):
        now = chosen.get(layer.id)
        for rank in layer.ranks:
            if layer.saving(rank) <= layer.saving(now):
                break
            if is_good({**chosen, layer.id: rank}):
                chosen[layer.id] = rank
                break
    return chosen
