"""Whether JAX has devices, asked where something has failed; without importing it."""

from __future__ import annotations

import sys


def problem() -> str:
    """What is wrong with JAX's devices, and what to do; "" if nothing is, or JAX is not in use."""
    jax = sys.modules.get("jax")
    if jax is None:
        return ""
    from munet import accelerators

    try:
        jax.devices()
    except Exception as error:  # whatever it raises is the answer
        return accelerators.cannot_start(str(error))
    return ""
