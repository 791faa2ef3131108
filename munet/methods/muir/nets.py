"""Architectures: a Flax module each, and the rule that says which of its leaves are generated.

What a rule leaves out is a task's own and starts as PyTorch has it, which the modules' initialisers say; biases beside
generated kernels start at 0 (spec of MUiR, sections 2 and 3).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from flax.traverse_util import flatten_dict, unflatten_dict
from jaxtyping import Array, Float

from munet.methods.muir.architectures import DeepBind, LanguageModel, LeNet, WideResNet
from munet.methods.muir.blocks import LeafPath, Matrices, Rule, convolution, dense, gates, matrices
from munet.training.program import keys

Leaves = Mapping[LeafPath, Any]


@dataclass(frozen=True)
class Net:
    """An architecture for inputs of one shape.

    Attributes:
      name: of the architecture.
      module: called with a batch of inputs, gives a batch of outputs.
      inputs: shape of one input.
      rule: which leaves are generated.
      dtype: of inputs.
    """

    name: str
    module: nn.Module
    inputs: tuple[int, ...]
    rule: Rule
    dtype: str = "float32"

    @cached_property
    def leaves(self) -> dict[LeafPath, tuple[int, ...]]:
        """Shapes of all parameters, in the order of the module."""
        made = jax.eval_shape(self.module.init, jax.random.key(0), jnp.zeros((1, *self.inputs), self.dtype))
        return {path: leaf.shape for path, leaf in flatten_dict(made.get("params", {}), sep="/").items()}

    @cached_property
    def generated(self) -> tuple[Matrices, ...]:
        """The leaves that modules make."""
        return matrices(self.leaves, self.rule)

    @property
    def num_params(self) -> int:
        """Of the plain model."""
        return int(sum(np.prod(shape) for shape in self.leaves.values()))

    @property
    def flops(self) -> int:
        """Of a forward pass on one input: two for every weight, each of which is used once in a linear model."""
        return 2 * self.num_params

    def own(self, words: np.ndarray) -> dict[LeafPath, np.ndarray]:
        """First values of the leaves that are not generated."""
        key = keys.wrapped(words)
        made = flatten_dict(self.module.init(key, jnp.zeros((1, *self.inputs), self.dtype)).get("params", {}), sep="/")
        taken = {one.path for one in self.generated}
        return {path: np.asarray(leaf) for path, leaf in made.items() if path not in taken}

    def apply(self, leaves: Leaves, inputs: Float[Array, "batch ..."]) -> Array:
        """Outputs of a model with these parameters."""
        outputs: Any = self.module.apply({"params": unflatten_dict(dict(leaves), sep="/")}, inputs)
        return outputs


def by_path(makers: Mapping[str, Callable[[LeafPath, tuple[int, ...]], Matrices]]) -> Rule:
    """A rule that generates the leaves whose whole paths fit one of some patterns (regular expressions)."""

    def rule(path: LeafPath, shape: tuple[int, ...]) -> Matrices | None:
        found = next((maker for pattern, maker in makers.items() if re.fullmatch(pattern, path)), None)
        return None if found is None else found(path, shape)

    return rule


class Linear(nn.Module):
    """One vector of weights, no bias."""

    @nn.compact
    def __call__(self, inputs: Array) -> Array:
        """The inputs times the weights."""
        return nn.Dense(1, use_bias=False, name="weights")(inputs)


def linear(inputs: tuple[int, ...]) -> Net:
    """A linear model of one output, all of which is generated."""
    return Net("linear", Linear(), inputs, by_path({"weights/kernel": dense}))


def lenet(classes: int = 10) -> Net:
    """Of 32 x 32 images in colour."""
    rule = by_path({"conv_2/kernel": convolution, r"dense_\d/kernel": dense})
    return Net("LeNet", LeNet(classes), (32, 32, 3), rule)


def wide_resnet(classes: int = 10) -> Net:
    """WRN-40-1."""
    return Net("WRN-40-1", WideResNet(classes), (32, 32, 3), by_path({r"group_.*/kernel": convolution}))


def language_model(symbols: int, width: int = 256) -> Net:
    """Two stacked LSTMs."""
    rule = by_path({r"lstm_\d/(input|hidden)": gates})
    return Net(f"LSTM-{width}", LanguageModel(symbols, width), (8,), rule, "int32")


def deep_bind(width: int = 256, length: int = 201) -> Net:
    """Of windows of nucleotides."""
    rule = by_path({"conv/kernel": convolution, "dense/kernel": dense})
    return Net(f"DeepBind-{width}", DeepBind(width), (length,), rule, "int32")


NETS: Mapping[str, Callable[[tuple[int, ...]], Net]] = {"linear": linear}
