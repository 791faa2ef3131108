"""Architectures: a Flax module each, and the rule that says which of its leaves are generated.

What a rule leaves out is a task's own and starts as PyTorch has it, which the modules' initialisers say; biases beside
generated kernels start at 0, but LSTMs' as PyTorch has them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from flax.traverse_util import flatten_dict, unflatten_dict
from jaxtyping import Array, Float

from munet.methods.muir.architectures import DeepBind, LeNet, WideResNet
from munet.methods.muir.blocks import LeafPath, Matrices, Rule, convolution, dense, gates, matrices
from munet.methods.muir.flops import products
from munet.methods.muir.language_models import PENALTIES, AwdLstm, LanguageModel, zeros
from munet.training.program import keys
from munet.types import Objective

Leaves = Mapping[LeafPath, Any]
_MEANS, _DEVIATIONS = (125.3, 123.0, 113.9), (63.0, 62.1, 66.7)  # of CIFAR-10


@dataclass(frozen=True)
class Net:
    """An architecture for inputs of one shape.

    Attributes:
      name: of the architecture.
      module: called with a batch of inputs, gives a batch of outputs.
      inputs: shape of one input.
      rule: which leaves are generated.
      dtype: of inputs.
      objective: of the tasks that it is for.
      metric: that their quality is told in (`metrics.py`).
      flip: whether images of training may be flipped left to right.
      means, deviations: of the three colours, between 0 and 255, by which images are brought near 0.
    """

    name: str
    module: nn.Module
    inputs: tuple[int, ...]
    rule: Rule
    dtype: str = "float32"
    objective: Objective = "value"
    metric: str = "RMSE"
    flip: bool = True
    means: tuple[float, ...] = _MEANS
    deviations: tuple[float, ...] = _DEVIATIONS

    @cached_property
    def leaves(self) -> dict[LeafPath, tuple[int, ...]]:
        """Shapes of all parameters, sorted by path: so an LSTM's hidden kernels come before its input kernels."""
        return self._shapes("params")

    @cached_property
    def generated(self) -> tuple[Matrices, ...]:
        """The leaves that modules make."""
        return matrices(self.leaves, self.rule)

    @property
    def given(self) -> Mapping[LeafPath, np.ndarray]:
        """What generated leaves begin as, where that is not drawn."""
        return {}

    @property
    def num_params(self) -> int:
        """Of the plain model."""
        return int(sum(np.prod(shape) for shape in self.leaves.values()))

    @cached_property
    def flops(self) -> int:
        """Of the products in a forward pass on one input; of a text on one symbol."""
        given = jax.ShapeDtypeStruct((1, *self.inputs), self.dtype)
        leaves = {path: jax.ShapeDtypeStruct(shape, "float32") for path, shape in self.leaves.items()}
        found = products(jax.make_jaxpr(self.apply)(leaves, given).jaxpr)
        return found // self.inputs[0] if self.objective == "next_token" else found

    def own(self, words: np.ndarray) -> dict[LeafPath, np.ndarray]:
        """First values of the leaves that are not generated."""
        key = keys.wrapped(words)
        made = flatten_dict(self.module.init(key, jnp.zeros((1, *self.inputs), self.dtype)).get("params", {}), sep="/")
        taken = {one.path for one in self.generated}
        return {path: np.asarray(leaf) for path, leaf in made.items() if path not in taken}

    @property
    def is_recurrent(self) -> bool:
        """Whether a model goes on from round to round in a text."""
        return isinstance(self.module, LanguageModel | AwdLstm)

    @cached_property
    def statistics(self) -> dict[LeafPath, tuple[int, ...]]:
        """Shapes of what batch norms have seen, which is neither trained nor generated nor shared; most have none."""
        return self._shapes("batch_stats")

    def _shapes(self, collection: str) -> dict[LeafPath, tuple[int, ...]]:
        """Of what the module's `init` makes in one of Flax's collections, by path; nothing is computed."""
        made = jax.eval_shape(self.module.init, jax.random.key(0), jnp.zeros((1, *self.inputs), self.dtype))
        return {path: leaf.shape for path, leaf in flatten_dict(made.get(collection, {}), sep="/").items()}

    def start(self, rows: int) -> Any:
        """What a model begins with beside its parameters; () most.

        A recurrent one begins so many texts with zeros, one with batch norms with means of 0 and variances of 1.
        """
        if isinstance(self.module, LanguageModel | AwdLstm):
            return zeros(self.module.widths, rows)
        if not self.statistics:
            return ()
        return {path: jnp.full(shape, float(path.endswith("/var"))) for path, shape in self.statistics.items()}

    def apply(
        self, leaves: Leaves, inputs: Float[Array, "batch ..."], carry: Any = None, key: Array | None = None
    ) -> Any:
        """Outputs of a model with these parameters; of one that has a `start` also what it goes on with.

        An AWD-LSTM that trains also gives the penalty on its activations, which is added to its loss.

        Args:
          leaves: the parameters.
          inputs: prepared.
          carry: what it goes on from; None: a recurrent model from zeros.
          key: of dropout, where a recurrent model trains; where one with batch norms does, they take the batch's own
            statistics, and what they have seen moves by a tenth towards these.
        """
        variables = {"params": unflatten_dict(dict(leaves), sep="/")}
        if self.statistics:
            seen = self.start(0) if carry is None else carry
            variables["batch_stats"] = unflatten_dict(dict(seen), sep="/")
            if key is None:
                return self.module.apply(variables, inputs), seen
            outputs, changed = self.module.apply(variables, inputs, trains=True, mutable=["batch_stats"])
            return outputs, flatten_dict(changed["batch_stats"], sep="/")
        if not self.is_recurrent:
            return self.module.apply(variables, inputs)
        dropout = None if key is None else {"dropout": key}
        if key is None or isinstance(self.module, LanguageModel):
            return self.module.apply(variables, inputs, carry, key is not None, rngs=dropout)
        found, sown = self.module.apply(variables, inputs, carry, True, rngs=dropout, mutable=[PENALTIES])
        return (*found, sum(jax.tree.leaves(sown)))


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
    return Net("LeNet", LeNet(classes), (32, 32, 3), rule, objective="", metric="accuracy")


def wide_resnet(classes: int = 10, depth: int = 40) -> Net:
    """WRN-40-1, or another depth of 6 n + 4."""
    rule = by_path({r"group_.*/kernel": convolution})
    module = WideResNet(classes, (depth - 4) // 6)
    return Net(f"WRN-{depth}-1", module, (32, 32, 3), rule, objective="", metric="accuracy")


def language_model(symbols: int, width: int = 256, steps: int = 35, metric: str = "bits a byte") -> Net:
    """Two stacked LSTMs, of texts in pieces of so many steps."""
    rule = by_path({r"lstm_\d/(input|hidden)": gates})
    return Net(f"LSTM-{width}", LanguageModel(symbols, width), (steps,), rule, "int32", "next_token", metric)


def awd_lstm(symbols: int, width: int = 1136, steps: int = 70, metric: str = "perplexity", embedded: int = 400) -> Net:
    """AWD-LSTM, of texts in pieces of so many steps; its embedding has a width of its own."""
    rule = by_path({r"lstm_\d/(input|hidden)": gates})
    return Net(f"AWD-LSTM-{width}", AwdLstm(symbols, width, embedded), (steps,), rule, "int32", "next_token", metric)


def deep_bind(width: int = 256, length: int = 201) -> Net:
    """Of windows of nucleotides; its published baseline begins as generated weights do, not as PyTorch's."""
    rule = by_path({
        "conv/kernel": lambda path, shape: replace(convolution(path, shape), limit=0.0),
        "dense/kernel": lambda path, shape: replace(dense(path, shape), limit=0.0),
    })  # fmt: skip
    return Net(f"DeepBind-{width}", DeepBind(width), (length,), rule, "int32", metric="MSE")
