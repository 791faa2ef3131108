"""Convolutions that are fast inside of a loop on a CPU: a training is one, and XLA's own gradients are slow there.

XLA's CPU backend brings convolutions into the order of axes that its fast kernels know only outside of loops. Gradients
are convolutions in another order, so within a loop they fall to plain nested loops (3 GFLOP a second of a core, and not
20 to 80). Windows of few numbers are matrix products here, of values that are gathered; convolutions of larger windows,
for which that would take too much memory, have a backward rule whose convolutions are in the right order.
"""

from __future__ import annotations

import functools
import math
from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

Images = Float[Array, "n h w c"]
Kernel = Float[Array, "kh kw c filters"]
Sides = tuple[tuple[int, int], tuple[int, int]]  # zeros before and behind: of rows, of columns

MOST_GATHERED = 1024  # numbers of a window that a product is made of; more would take too much memory
_AXES = ("NHWC", "HWIO", "NHWC")  # the order of axes for which XLA has fast kernels on a CPU


def convolved(inputs: Images, kernel: Kernel, stride: int, padding: Literal["SAME", "VALID"]) -> Images:
    """A convolution; on other devices than CPUs it is XLA's own. Traced."""
    if jax.default_backend() != "cpu":
        return jax.lax.conv_general_dilated(inputs, kernel, (stride, stride), padding, dimension_numbers=_AXES)
    rows, columns = (
        _missing(side, window, stride) if padding == "SAME" else (0, 0)
        for side, window in zip(inputs.shape[1:3], kernel.shape[:2], strict=True)
    )
    if math.prod(kernel.shape[:3]) > MOST_GATHERED:
        return _of_large_windows(inputs, kernel, stride, (rows, columns))
    if padding == "SAME":
        inputs = jnp.pad(inputs, [(0, 0), rows, columns, (0, 0)])
    return _gathered(inputs, kernel, stride)


def _missing(side: int, window: int, stride: int) -> tuple[int, int]:
    """Zeros before and behind a side, for an output at every `stride`-th place of it."""
    total = max((-(-side // stride) - 1) * stride + window - side, 0)
    return total // 2, total - total // 2


def _gathered(inputs: Images, kernel: Kernel, stride: int) -> Images:
    """A matrix product of windows.

    They are gathered row by row, then column by column: of 7 x 7 in 14 slices and not 49, which compiles in half the
    time. (Gradients of 8 kernels of 5 x 5 on 32 images of 32 x 32 x 8, stride 2, in a loop: 17 ms of a core, and 380
    as a convolution.)
    """
    height, width = kernel.shape[:2]
    rows, columns = (
        (side - window) // stride + 1 for side, window in zip(inputs.shape[1:3], kernel.shape, strict=False)
    )
    by_row = [inputs[:, i : i + (rows - 1) * stride + 1 : stride] for i in range(height)]
    inputs = jnp.concatenate(by_row, axis=-1)
    windows = [inputs[:, :, j : j + (columns - 1) * stride + 1 : stride] for j in range(width)]
    return jnp.concatenate(windows, axis=-1) @ kernel.swapaxes(0, 1).reshape(-1, kernel.shape[-1])


def _of_large_windows(inputs: Images, kernel: Kernel, stride: int, zeros: Sides) -> Images:
    """A convolution of stride 1; of a greater one, over squares of `stride` by `stride` pixels as channels of one.

    The gradients of a stride of 2 would be convolutions with gaps of zeros, for which there is no fast kernel. A window
    of 7 x 7 is one of 4 x 4 squares, with zeros where it ends within one: 1.3 times the arithmetic.
    """
    if stride == 1:
        return _stepped(inputs, kernel, zeros)
    squares = [-(-window // stride) for window in kernel.shape[:2]]
    pads = []
    for (before, behind), side, window, count in zip(zeros, inputs.shape[1:3], kernel.shape, squares, strict=False):
        outputs = (side + before + behind - window) // stride + 1
        pads.append((before, (outputs + count - 1) * stride - side - before))  # below 0: what no window reaches is cut
    inputs = jax.lax.pad(inputs, jnp.zeros((), inputs.dtype), [(0, 0, 0), *((*pad, 0) for pad in pads), (0, 0, 0)])
    ends = [(0, count * stride - window) for count, window in zip(squares, kernel.shape, strict=False)]
    kernel = jnp.pad(kernel, [*ends, (0, 0), (0, 0)])
    n, height, width, channels = inputs.shape
    cut = inputs.reshape(n, height // stride, stride, width // stride, stride, channels)
    inputs = cut.swapaxes(2, 3).reshape(n, height // stride, width // stride, -1)
    parts = kernel.reshape(squares[0], stride, squares[1], stride, channels, -1)
    kernel = parts.swapaxes(1, 2).reshape(*squares, -1, kernel.shape[-1])
    return _stepped(inputs, kernel, ((0, 0), (0, 0)))


def _plain(inputs: Images, kernel: Kernel, zeros: Sides) -> Images:
    return jax.lax.conv_general_dilated(inputs, kernel, (1, 1), zeros, dimension_numbers=_AXES)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def _stepped(inputs: Images, kernel: Kernel, zeros: Sides) -> Images:
    """A convolution of stride 1 whose gradients are convolutions of the same order of axes."""
    return _plain(inputs, kernel, zeros)


def _stepped_forward(inputs: Images, kernel: Kernel, zeros: Sides) -> tuple[Images, tuple[Images, Kernel]]:
    return _plain(inputs, kernel, zeros), (inputs, kernel)


def _stepped_backward(zeros: Sides, kept: tuple[Images, Kernel], gradient: Images) -> tuple[Images, Kernel]:
    inputs, kernel = kept
    (top, bottom), (left, right) = zeros
    height, width = kernel.shape[0] - 1, kernel.shape[1] - 1
    turned = ((height - top, height - bottom), (width - left, width - right))
    of_inputs = _plain(gradient, kernel[::-1, ::-1].swapaxes(2, 3), turned)
    # Channels as examples, examples as channels: every output is one weight's sum over all places of all images.
    of_kernel = _plain(inputs.transpose(3, 1, 2, 0), gradient.transpose(1, 2, 0, 3), zeros)
    return of_inputs, of_kernel.transpose(1, 2, 0, 3)


_stepped.defvjp(_stepped_forward, _stepped_backward)
