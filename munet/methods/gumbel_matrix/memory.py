"""What an update of a routed network keeps for its backward pass, and what is done where that is too much."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import replace

import jax

from munet.methods.gumbel_matrix import components
from munet.methods.gumbel_matrix.components import Chain, Conv, Shape
from munet.methods.gumbel_matrix.network import Layer, Network
from munet.methods.gumbel_matrix.root_layers import RootLayer

_FLOAT = 4  # bytes
_IN_STATE = 3  # of every parameter: itself and two moments


def activation_bytes(network: Network, batch_size: int) -> int:
    """What the backward pass of an update keeps, roughly: outputs of components, and what is inside of them."""
    shapes = network.shapes()
    total = _kept(network.stem, network.inputs)
    for shape, layer in zip(shapes[:-1], network.layers, strict=True):
        output = layer.output(shape)
        total += math.prod(output) * len(layer.components) + _kept(layer.after, output)
        total += _inside(layer, shape, network)
    return _FLOAT * batch_size * total


def fitted(network: Network, needed: Callable[[Network], float], budget: float | None) -> Network:
    """The network as it is, or, where an update would not fit, with components that are computed again (`Network`).

    Args:
      network: as it is computed where there is room.
      needed: bytes of each device that training takes with a network.
      budget: those that there are; None: enough.
    """
    return network if budget is None or needed(network) <= budget else replace(network, evaluation="again")


def state_bytes(network: Network, num_heads: int) -> int:
    """Parameters and optimiser of one replica, without the few numbers of its rows.

    Args:
      network: which components there are.
      num_heads: outputs of all tasks' heads together.
    """
    trunk = sum(
        math.prod(leaf) for _, chain, shape in network.chains() for leaf in components.leaves(chain, shape).values()
    )
    heads = (network.num_features + 1) * num_heads if network.has_heads else 0
    return _FLOAT * _IN_STATE * (trunk + heads)


def _inside(layer: Layer, shape: Shape, network: Network) -> int:
    """Of all components of a layer; of those that are computed again only the largest one's are there at a time."""
    kept = [_kept(chain, shape) for chain in layer.components]
    if network.evaluation == "again":
        return max(kept, default=0)
    if network.evaluation == "in_turn":
        return sum(kept)
    total = 0
    for chain, equal in itertools.groupby(layer.components):
        first = _windows(chain[0], shape) if chain else 0  # the same for all that are stacked
        total += first + len(list(equal)) * (_kept(chain, shape) - first)
    return total


def _kept(chain: Chain, shape: Shape) -> int:
    """Numbers of one example inside of a chain."""
    total = 0
    for operation in chain:
        after = components.shape_after((operation,), shape)
        total += _windows(operation, shape)
        if isinstance(operation, RootLayer):
            total += operation.kept(shape)
        else:
            norms = 2 if isinstance(operation, Conv) and operation.norm else 1
            total += norms * math.prod(after)
        shape = after
    return total


def _windows(operation: components.Operation, shape: Shape) -> int:
    """Of a convolution that is a matrix product."""
    if not isinstance(operation, Conv) or jax.default_backend() != "cpu":
        return 0
    inputs = math.prod(operation.size) * shape[-1]
    if inputs > components.MOST_GATHERED:
        return 0
    return inputs * math.prod(components.shape_after((operation,), shape)[:2])
