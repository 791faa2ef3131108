"""Where the boxes of a layered graph go: order by barycentre, then positions by least squares; knows no munet.

Layers are given (y is the layer). A link that spans several layers is carried through the ones between by bends, which
take room like boxes, so that no line runs through a box. The order of a layer follows the barycentres of its neighbours
(Sugiyama's method); x is then the least-squares fit to the neighbours under minimum distances (isotonic regression).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import groupby, pairwise

_SWEEPS = 24
_FIT_ROUNDS = 60
_STRAIGHTEN = 8


@dataclass(frozen=True)
class Link:
    """A connection from a lower to a higher layer; `weight` is the number of lines that it carries."""

    source: str
    target: str
    weight: int = 1


@dataclass(frozen=True)
class LayeredLayout:
    """Horizontal centres; the leftmost edge, of a box or a passing line, is at 0.

    Attributes:
      x: centre of each box.
      bends: for each (source, target) the x at every layer between them, bottom to top.
      order: boxes of each layer from left to right.
      width: of the whole.
    """

    x: Mapping[str, float]
    bends: Mapping[tuple[str, str], tuple[float, ...]]
    order: tuple[tuple[str, ...], ...]
    width: float


@dataclass(frozen=True)
class _Stretch:
    """A link or a piece of one between two adjacent layers."""

    lower: str
    upper: str
    weight: int


def arrange(
    layers: Sequence[Sequence[str]],
    widths: Mapping[str, float],
    links: Sequence[Link],
    *,
    gap: float = 24.0,
    line_gap: float = 6.0,
) -> LayeredLayout:
    """Positions for boxes of `widths` in `layers` (bottom to top); deterministic.

    Args:
      layers: names of the boxes of each layer; the given order breaks ties.
      widths: of every box.
      links: between boxes of different layers, upwards.
      gap: least distance between two boxes.
      line_gap: room for one line of a link that passes a layer.
    """
    level = {name: index for index, layer in enumerate(layers) for name in layer}
    order = [list(layer) for layer in layers]
    width = dict(widths)
    stretches: list[list[_Stretch]] = [[] for _ in layers]  # by the layer of the lower end
    chains: dict[tuple[str, str], list[str]] = {}
    for link in links:
        names = [link.source]
        for between in range(level[link.source] + 1, level[link.target]):
            names.append(f"bend:{link.source}:{link.target}:{between}")
            order[between].append(names[-1])
            width[names[-1]] = line_gap * link.weight
        names.append(link.target)
        chains[link.source, link.target] = names[1:-1]
        for start, (lower, upper) in enumerate(pairwise(names), start=level[link.source]):
            stretches[start].append(_Stretch(lower, upper, link.weight))

    order = _untangle(order, stretches)
    x = _fit(order, stretches, width, gap, width.keys() - level.keys())
    left = min((x[name] - width[name] / 2 for name in x), default=0.0)
    right = max((x[name] + width[name] / 2 for name in x), default=0.0)
    return LayeredLayout(
        x={name: x[name] - left for name in level},
        bends={ends: tuple(x[name] - left for name in chain) for ends, chain in chains.items()},
        order=tuple(tuple(name for name in layer if name in level) for layer in order),
        width=right - left,
    )


def num_crossings(lower: Sequence[str], upper: Sequence[str], stretches: Sequence[tuple[str, str, int]]) -> int:
    """Lines that cross between two adjacent layers, each stretch as (lower, upper, weight)."""
    below = {name: index for index, name in enumerate(lower)}
    above = {name: index for index, name in enumerate(upper)}
    from_left = sorted((below[one], above[other], weight) for one, other, weight in stretches)
    ended = [0] * (len(upper) + 1)  # a Fenwick tree: the weight of those further left below, by where they end above
    total = passed = 0
    for _, same in groupby(from_left, key=lambda stretch: stretch[0]):
        together = list(same)  # those that begin at one box do not cross each other
        for _, end, weight in together:
            place, not_beyond = end + 1, 0
            while place:
                not_beyond += ended[place]
                place &= place - 1
            total += weight * (passed - not_beyond)
        for _, end, weight in together:
            place = end + 1
            while place < len(ended):
                ended[place] += weight
                place += place & -place
            passed += weight
    return total


def _crossings(order: Sequence[Sequence[str]], stretches: Sequence[Sequence[_Stretch]]) -> int:
    return sum(
        num_crossings(order[index], order[index + 1], [(s.lower, s.upper, s.weight) for s in stretches[index]])
        for index in range(len(order) - 1)
    )


def _untangle(order: list[list[str]], stretches: Sequence[Sequence[_Stretch]]) -> list[list[str]]:
    """Sweeps up and down, sorting each layer by its neighbours' barycentres; keeps the best order seen."""
    best, fewest = [list(layer) for layer in order], _crossings(order, stretches)
    for sweep in range(_SWEEPS):
        if fewest == 0:
            break
        is_upward = sweep % 2 == 0
        indices = range(1, len(order)) if is_upward else range(len(order) - 2, -1, -1)
        for index in indices:
            fixed = index - 1 if is_upward else index + 1
            rank = {name: position for position, name in enumerate(order[fixed])}
            neighbours: dict[str, list[tuple[float, int]]] = {name: [] for name in order[index]}
            for stretch in stretches[min(index, fixed)]:
                own, other = (stretch.upper, stretch.lower) if is_upward else (stretch.lower, stretch.upper)
                neighbours[own].append((rank[other], stretch.weight))
            middle = {name: _mean(neighbours[name], place) for place, name in enumerate(order[index])}
            order[index] = sorted(order[index], key=middle.__getitem__)
        crossings = _crossings(order, stretches)
        if crossings < fewest:
            best, fewest = [list(layer) for layer in order], crossings
    return best


def _fit(
    order: Sequence[Sequence[str]],
    stretches: Sequence[Sequence[_Stretch]],
    width: Mapping[str, float],
    gap: float,
    bends: Set[str],
) -> dict[str, float]:
    """Centres: every layer is pulled to its neighbours' mean, keeping its order and distances."""
    neighbours: dict[str, list[tuple[str, int]]] = {name: [] for layer in order for name in layer}
    for layer_stretches in stretches:
        for stretch in layer_stretches:
            # Lines that pass layers are kept straight before boxes are centred over each other.
            weight = stretch.weight * (_STRAIGHTEN if {stretch.lower, stretch.upper} <= bends else 1)
            neighbours[stretch.lower].append((stretch.upper, weight))
            neighbours[stretch.upper].append((stretch.lower, weight))
    x: dict[str, float] = {}
    for layer in order:
        x |= dict(
            zip(layer, spread([0.0] * len(layer), [1.0] * len(layer), [width[n] for n in layer], gap), strict=True)
        )
    for round_ in range(_FIT_ROUNDS):
        for layer in order if round_ % 2 == 0 else reversed(order):
            wanted = [_mean([(x[other], weight) for other, weight in neighbours[name]], x[name]) for name in layer]
            weights = [float(sum(weight for _, weight in neighbours[name])) or 1.0 for name in layer]
            x |= dict(zip(layer, spread(wanted, weights, [width[name] for name in layer], gap), strict=True))
    return x


def spread(wanted: Sequence[float], weights: Sequence[float], widths: Sequence[float], gap: float) -> list[float]:
    """Centres nearest to `wanted` (weighted least squares) such that boxes of `widths` keep their order and `gap`.

    Subtracting the least offsets turns the distances into "not decreasing", which pooling adjacent violators solves.
    """
    offsets = [0.0] * len(wanted)
    for index in range(1, len(wanted)):
        offsets[index] = offsets[index - 1] + (widths[index - 1] + widths[index]) / 2 + gap
    pools: list[tuple[float, float, int]] = []  # value, weight, members
    for target, weight, offset in zip(wanted, weights, offsets, strict=True):
        value, total, members = target - offset, weight, 1
        while pools and pools[-1][0] > value:
            other, other_total, other_members = pools.pop()
            value = (value * total + other * other_total) / (total + other_total)
            total, members = total + other_total, members + other_members
        pools.append((value, total, members))
    values = [value for value, _, members in pools for _ in range(members)]
    return [value + offset for value, offset in zip(values, offsets, strict=True)]


def _mean(pairs: Sequence[tuple[float, int]], otherwise: float) -> float:
    total = sum(weight for _, weight in pairs)
    return sum(value * weight for value, weight in pairs) / total if total else otherwise
