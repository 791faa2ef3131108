"""Whether JAX has devices, asked where something has failed; without importing it."""

from __future__ import annotations

import sys


def problem() -> str:
    """What is wrong with JAX's devices, and what to do; "" if nothing is, or JAX is not in use."""
    if "jax" not in sys.modules:
        return ""
    from munet import accelerators

    try:
        accelerators.local_devices()
    except Exception as error:  # whatever it raises is the answer
        return str(error)
    return ""
