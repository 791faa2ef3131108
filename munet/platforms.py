"""What JAX says when it cannot start a device, in words that help; without importing it."""

from __future__ import annotations

import os
import sys

_VARIABLE = "JAX_PLATFORMS"


def no_device(error: BaseException) -> str:
    """The message that JAX can start no device, and what to do."""
    wanted = os.environ.get(_VARIABLE, "")
    lines = str(error).strip().splitlines()
    cause = lines[0] if lines else "there is no such device, or JAX is installed without the plugin for it"
    advice = (
        f"Unset {_VARIABLE} to take what is there, set {_VARIABLE}=cpu,"
        if wanted
        else f"Set {_VARIABLE}=cpu to do without an accelerator,"
    )
    given = f" ({_VARIABLE}={wanted})" if wanted else ""
    return (
        f"JAX can start no device{given}: {cause.rstrip('.')}. {advice} or install JAX for the "
        "accelerator: pip install 'jax[cuda13]' or 'jax[tpu]', with a driver that fits."
    )


def problem() -> str:
    """What is wrong with JAX's devices, asked where something has failed; "" if nothing is, or JAX is not in use."""
    jax = sys.modules.get("jax")
    if jax is None:
        return ""
    try:
        jax.devices()
    except Exception as error:  # whatever it raises is the answer
        return no_device(error)
    return ""
