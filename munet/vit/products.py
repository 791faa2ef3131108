"""In which precision float32 matrix products and convolutions are computed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike


@contextmanager
def exact_products(dtype: DTypeLike = jnp.float32) -> Iterator[None]:
    """Float32 products are float32 ones, gradients' too, unless JAX_DEFAULT_MATMUL_PRECISION says otherwise.

    XLA's default is a single pass in bfloat16 on a TPU, and TF32 on a GPU. On a CPU this changes nothing. Also a
    decorator of functions that are traced.

    Args:
      dtype: of the products; others than float32 are left as they are.
    """
    is_default = jax.config.jax_default_matmul_precision is None  # type: ignore[attr-defined]
    if dtype == jnp.float32 and is_default:
        with jax.default_matmul_precision("highest"):
            yield
    else:
        yield
