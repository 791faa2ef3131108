"""The paper's architectures as Flax modules, sizes rounded up to sixteens; those of texts are in `language_models.py`.

Kernels are declared in the shapes that rules of `nets.py` cut into blocks. Layers that read raw input or make the
prediction are never generated and start as PyTorch's do; generated kernels need no start of their own, and biases
beside them start at 0, but LSTMs' as PyTorch has them: uniform. Convolutions are products with shifted inputs: XLA's
CPU convolutions are slow inside loops.
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float, Int

from munet.methods.muir.initial_values import between, he, pytorch

DEEP_BIND_TAPS = 24  # nucleotides that a filter sees


class Dense(nn.Module):
    """Inputs times a kernel (inputs, outputs), plus a bias.

    Attributes:
      outputs: of the layer.
      is_generated: whether the kernel is.
      is_he: whether the kernel starts as He's normal, and the bias at 0, not as PyTorch's defaults.
    """

    outputs: int
    is_generated: bool = True
    is_he: bool = False

    @nn.compact
    def __call__(self, x: Float[Array, "*lead inputs"]) -> Float[Array, "*lead outputs"]:
        """Applies the layer to the last axis."""
        is_bare = self.is_generated or self.is_he
        bias = nn.initializers.zeros if is_bare else between(1 / math.sqrt(x.shape[-1]))
        kernel = self.param("kernel", he if self.is_he else pytorch, (x.shape[-1], self.outputs))
        made: Array = x @ kernel + self.param("bias", bias, (self.outputs,))
        return made


class Convolution(nn.Module):
    """A kernel (*taps, inputs, outputs) over one or two axes.

    Attributes:
      taps: of each axis.
      outputs: channels.
      stride, padding: of every axis.
      is_generated: whether the kernel is.
      has_bias: whether something is added.
      is_he: whether the kernel starts as He's normal, not as PyTorch's default.
    """

    taps: tuple[int, ...]
    outputs: int
    stride: int = 1
    padding: int = 0
    is_generated: bool = True
    has_bias: bool = True
    is_he: bool = False

    @nn.compact
    def __call__(self, x: Float[Array, "batch *axes inputs"]) -> Float[Array, "batch *places outputs"]:
        """Applies the layer."""
        inputs = x.shape[-1]
        kernel = self.param("kernel", he if self.is_he else pytorch, (*self.taps, inputs, self.outputs))
        axes = len(self.taps)
        padded = jnp.pad(x, [(0, 0), *[(self.padding, self.padding)] * axes, (0, 0)])
        places = [(padded.shape[1 + at] - taps) // self.stride + 1 for at, taps in enumerate(self.taps)]
        shifted = [
            padded[(slice(None), *(slice(at, at + (count - 1) * self.stride + 1, self.stride)
                                   for at, count in zip(offsets, places, strict=True)))]
            for offsets in _offsets(self.taps)
        ]  # fmt: skip
        made: Array = jnp.concatenate(shifted, axis=-1) @ kernel.reshape(-1, self.outputs)
        if not self.has_bias:
            return made
        limit = 1 / math.sqrt(inputs * math.prod(self.taps))
        bias = nn.initializers.zeros if self.is_generated else between(limit)
        return made + self.param("bias", bias, (self.outputs,))


def _offsets(taps: tuple[int, ...]) -> list[tuple[int, ...]]:
    found: list[tuple[int, ...]] = [()]
    for count in taps:
        found = [(*one, at) for one in found for at in range(count)]
    return found


class LeNet(nn.Module):
    """Of 32 x 32 images in colour; 361 blocks of 16 x 16."""

    classes: int

    @nn.compact
    def __call__(self, images: Float[Array, "batch 32 32 3"]) -> Float[Array, "batch classes"]:
        """Class scores."""
        x = _pooled(nn.relu(Convolution((5, 5), 16, padding=1, is_generated=False, name="conv_1")(images)))
        x = _pooled(nn.relu(Convolution((5, 5), 16, padding=1, name="conv_2")(x)))
        x = nn.relu(Dense(128, name="dense_1")(x.reshape(len(x), -1)))
        x = nn.relu(Dense(96, name="dense_2")(x))
        scores: Array = Dense(self.classes, is_generated=False, name="head")(x)
        return scores


def _pooled(x: Array) -> Array:
    return nn.max_pool(x, (2, 2), (2, 2))


class WideResNet(nn.Module):
    """WRN-40-1 of 32 x 32 images in colour, with batch norms whose statistics are `batch_stats`; 2268 blocks."""

    classes: int
    blocks: int = 6

    @nn.compact
    def __call__(self, images: Float[Array, "batch 32 32 3"], trains: bool = False) -> Float[Array, "batch classes"]:
        """Class scores; where it trains, with statistics of the batch."""

        def norm(x: Array, name: str) -> Array:
            return nn.relu(nn.BatchNorm(use_running_average=not trains, momentum=0.9, epsilon=1e-5, name=name)(x))

        x = Convolution((3, 3), 16, is_generated=False, has_bias=False, is_he=True, name="stem")(images)
        for group, width in enumerate((16, 32, 64)):
            for at in range(self.blocks):
                name, stride = f"group_{group}_block_{at}", 2 if group and not at else 1
                y = Convolution((3, 3), width, stride, 1, name=f"{name}_conv_1")(norm(x, f"{name}_norm_1"))
                y = Convolution((3, 3), width, 1, 1, name=f"{name}_conv_2")(norm(y, f"{name}_norm_2"))
                if x.shape[-1] != width:  # the block's raw input
                    x = Convolution((3, 3), width, stride, 1, name=f"{name}_shortcut")(x)
                x = x + y
        x = nn.avg_pool(norm(x, "norm"), (8, 8)).reshape(len(x), -1)
        scores: Array = Dense(self.classes, is_generated=False, is_he=True, name="head")(x)
        return scores


class SymbolConvolution(nn.Module):
    """`Convolution` over embedded symbols of one axis, as one over the symbols themselves: there are only a few.

    Every tap's matrix is first applied to each symbol's embedding; then the same numbers come of a product that is as
    many times smaller as the embedding is wider than there are symbols.
    """

    taps: int
    outputs: int

    @nn.compact
    def __call__(
        self, text: Int[Array, "batch length"], embedding: Float[Array, "symbols inputs"]
    ) -> Float[Array, "batch places outputs"]:
        """Applies the layer."""
        symbols, inputs = embedding.shape
        kernel = self.param("kernel", pytorch, (self.taps, inputs, self.outputs))
        of_symbols = jnp.einsum("si,tio->tso", embedding, kernel).reshape(-1, self.outputs)
        is_symbol = jax.nn.one_hot(text, symbols, dtype=kernel.dtype)
        places = text.shape[1] - self.taps + 1
        shifted = [is_symbol[:, at : at + places] for at in range(self.taps)]
        made: Array = jnp.concatenate(shifted, axis=-1) @ of_symbols
        return made + self.param("bias", nn.initializers.zeros, (self.outputs,))


class DeepBind(nn.Module):
    """A number of a window of nucleotides (N, A, C, G, T); of width 256: 6400 blocks, of width 64: 400."""

    width: int = 256

    @nn.compact
    def __call__(self, windows: Int[Array, "batch length"]) -> Float[Array, "batch 1"]:
        """Affinities."""
        embedding = self.param("embedding", nn.initializers.normal(1.0), (5, self.width))
        x = nn.relu(SymbolConvolution(DEEP_BIND_TAPS, self.width, name="conv")(windows, embedding)).max(axis=1)
        x = nn.relu(Dense(self.width, name="dense")(x))
        made: Array = Dense(1, is_generated=False, name="head")(x)
        return made
