"""A network of routed layers: a stem for all tasks, layers of parallel components, a head for each task.

Pure values and functions: what its parameters are, what it makes of a batch given the rows of a task, what it costs.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from munet import rng
from munet.methods.gumbel_matrix import components
from munet.methods.gumbel_matrix.components import Chain, Shape, ShapeError
from munet.methods.gumbel_matrix.routing import Combination, weights

Evaluation = Literal["together", "in_turn", "again"]
STEM, HEAD = "stem", "head"


@dataclass(frozen=True)
class Layer:
    """Parallel components, and what follows their combination for all tasks.

    Attributes:
      components: each a chain of operations; none at all give zeros.
      after: what follows.
      empty: shape of the zeros that a layer without components gives.
    """

    components: tuple[Chain, ...]
    after: Chain = ()
    empty: Shape = ()

    def output(self, shape: Shape) -> Shape:
        """What its components make of an input's shape."""
        return components.shape_after(self.components[0], shape) if self.components else self.empty


@dataclass(frozen=True)
class Network:
    """What comes one after the other.

    Attributes:
      inputs: shape of one example.
      layers: those with one component are not routed.
      stem: before them.
      dropout: share of the features that are dropped in training, before the heads.
      has_heads: whether each task has a linear layer of its own at the end; else the last layer is what is answered.
      evaluation: how the components of a layer are computed: those of equal operations "together", stacked; "in_turn",
        one after the other; or "again", in turn, and once more in the backward pass, which then keeps none's insides.
    """

    inputs: Shape
    layers: tuple[Layer, ...]
    stem: Chain = ()
    dropout: float = 0.0
    has_heads: bool = True
    evaluation: Evaluation = "together"

    def problems(self) -> list[str]:
        """Why it cannot be built, a sentence each: components of a layer whose outputs differ, and with what shapes."""
        try:
            shape = components.shape_after(self.stem, self.inputs)
        except ShapeError as error:
            return [f"the stem: {error}."]
        for number, layer in enumerate(self.layers):
            shapes = []
            for place, chain in enumerate(layer.components):
                try:
                    shapes.append(components.shape_after(chain, shape))
                except ShapeError as error:
                    return [f"component {place} of layer {number}: {error}."]
            if len(set(shapes)) > 1:
                given = ", ".join(f"component {place} {_words(found)}" for place, found in enumerate(shapes))
                return [f"layer {number}: its components must have outputs of one shape, and give {given}."]
            try:
                shape = components.shape_after(layer.after, shapes[0])
            except ShapeError as error:
                return [f"what follows layer {number}: {error}."]
        return []

    def shapes(self) -> list[Shape]:
        """What each layer, the stem first, gives to the next."""
        found = [components.shape_after(self.stem, self.inputs)]
        for layer in self.layers:
            found.append(components.shape_after(layer.after, layer.output(found[-1])))
        return found

    @property
    def routed(self) -> tuple[int, ...]:
        """Numbers of the layers whose connections are learnt."""
        return tuple(number for number, layer in enumerate(self.layers) if len(layer.components) > 1)

    @property
    def widths(self) -> tuple[int, ...]:
        """How many components each routed layer has."""
        return tuple(len(self.layers[number].components) for number in self.routed)

    @property
    def num_features(self) -> int:
        """Numbers that a head is given."""
        return math.prod(self.shapes()[-1])

    def chains(self) -> Iterator[tuple[str, Chain, Shape]]:
        """The name, the operations and the input's shape of everything that has parameters, but for heads."""
        shapes = self.shapes()
        yield STEM, self.stem, self.inputs
        for number, layer in enumerate(self.layers):
            for place, chain in enumerate(layer.components):
                yield component_name(number, place), chain, shapes[number]
            yield f"layer_{number}.after", layer.after, layer.output(shapes[number])

    def initial(self, path: rng.Path) -> dict[str, dict[str, np.ndarray]]:
        """New parameters by name; nothing where an operation has none."""
        drawn = {name: components.initial((*path, name), chain, shape) for name, chain, shape in self.chains()}
        return {name: leaves for name, leaves in drawn.items() if leaves}

    def initial_heads(self, path: rng.Path, widths: Sequence[int]) -> dict[str, np.ndarray]:
        """New heads, stacked; those of tasks with fewer outputs are padded with zeros."""
        if not self.has_heads:
            return {}
        most, features = max(widths), self.num_features
        kernel = np.zeros((len(widths), features, most), np.float32)
        for task, width in enumerate(widths):
            kernel[task, :, :width] = components.draw((*path, HEAD, task, "kernel"), (features, width))
        return {"kernel": kernel, "bias": np.zeros((len(widths), most), np.float32)}

    def features(
        self,
        params: Mapping[str, components.Params],
        rows: Sequence[Float[Array, " components"]],
        inputs: Float[Array, "n ..."],
        by: Combination = "mean",
    ) -> Float[Array, "n ..."]:
        """What the last layer gives.

        Args:
          params: by name, as `initial` has them.
          rows: of the task, one a routed layer.
          inputs: a batch.
          by: how active components are combined.
        """
        values, left = components.apply(self.stem, params.get(STEM, {}), inputs), iter(rows)
        for number, layer in enumerate(self.layers):
            own = [params.get(component_name(number, place), {}) for place in range(len(layer.components))]
            if not own:
                values = jnp.zeros((len(values), *layer.empty))
            elif len(own) == 1:
                values = components.apply(layer.components[0], own[0], values)
            else:
                factors = weights(next(left), by)
                values = _combined(layer.components, own, factors, values, self.evaluation)
            values = components.apply(layer.after, params.get(f"layer_{number}.after", {}), values)
        return values

    def used(self, rows: Sequence[Bool[np.ndarray, " components"]]) -> Iterator[tuple[str, Chain, Shape]]:
        """As `chains`, of those that a task computes."""
        unused = {
            component_name(number, int(place))
            for number, row in zip(self.routed, rows, strict=True)
            for place in np.flatnonzero(~np.asarray(row, bool))
        }
        return (item for item in self.chains() if item[0] not in unused)

    def flops(self, rows: Sequence[Bool[np.ndarray, " components"]], num_outputs: int) -> int:
        """Of a forward pass on one example that computes only the components that a task uses."""
        trunk = sum(components.flops(chain, shape) for _, chain, shape in self.used(rows))
        return trunk + (2 * self.num_features * num_outputs if self.has_heads else 0)


def component_name(layer: int, place: int) -> str:
    """What a component is called."""
    return f"layer_{layer}.component_{place}"


def _combined(
    chains: Sequence[Chain], params: Sequence[components.Params], factors: Array, inputs: Array, evaluation: Evaluation
) -> Float[Array, "n ..."]:
    """The weighted sum of all components."""
    total, place = None, 0
    for chain, count in _groups(chains, evaluation):
        own, shares = params[place : place + count], factors[place : place + count]
        if evaluation == "again" and own[0]:
            part = _again(chain, own, shares, inputs)
        elif count > 1 and own[0]:
            stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *own)
            outputs = jax.vmap(lambda one, chain=chain: components.apply(chain, one, inputs))(stacked)
            part = jnp.tensordot(shares, outputs, axes=1)
        else:
            part = shares.sum() * components.apply(chain, own[0], inputs)
        total = part if total is None else total + part
        place += count
    if total is None:
        raise ValueError("a layer without components")
    return total


def _again(chain: Chain, params: Sequence[components.Params], shares: Array, inputs: Array) -> Array:
    """The weighted sum of components of equal operations, in a loop whose backward pass computes each of them again."""

    @jax.checkpoint
    def add(total: Array, one: tuple[components.Params, Array]) -> tuple[Array, None]:
        own, share = one
        return total + share * components.apply(chain, own, inputs), None

    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *params)
    shape = jax.eval_shape(lambda own: components.apply(chain, own, inputs), params[0])
    total, _ = jax.lax.scan(add, jnp.zeros(shape.shape, shape.dtype), (stacked, shares))
    return total


def _groups(chains: Sequence[Chain], evaluation: Evaluation) -> Iterator[tuple[Chain, int]]:
    """Chains, each with how many equal ones are computed with it."""
    if evaluation == "in_turn":
        return ((chain, 1) for chain in chains)
    return ((chain, len(list(group))) for chain, group in itertools.groupby(chains))


def _words(shape: Shape) -> str:
    return " x ".join(map(str, shape))
