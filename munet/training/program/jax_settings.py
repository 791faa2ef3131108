"""Settings of JAX that decide draws or numbers: some are munet's own, of the others the journal keeps the values.

They come from the environment (`JAX_ENABLE_X64=1`), or from the program that munet is used in.
"""

from __future__ import annotations

import enum
import os
from collections.abc import Callable

import jax

from munet.training.program.keys import GENERATOR

# What munet's programs are written for: draws, types of numbers, and what is allowed of them. Set for the process: what
# holds in a `with` block does not reach other threads.
_OURS: dict[str, object] = {
    "jax_enable_x64": False,
    "jax_default_prng_impl": GENERATOR,
    "jax_enable_custom_prng": False,
    "jax_high_dynamic_range_gumbel": False,
    "jax_legacy_prng_key": "allow",
    "jax_numpy_dtype_promotion": "standard",
    "jax_numpy_rank_promotion": "allow",
    "jax_random_seed_offset": 0,
    "jax_threefry_partitionable": True,
}
# What makes other programs of the same code, whose sums may round otherwise: a person's to choose.
_OTHERS = (
    "jax_allow_f16_reductions", "jax_bcoo_cusparse_lowering", "jax_compiler_enable_remat_pass", "jax_custom_vjp3",
    "jax_default_matmul_precision", "jax_disable_jit", "jax_disable_most_optimizations", "jax_enable_pgle",
    "jax_exec_time_optimization_effort", "jax_memory_fitting_effort", "jax_memory_fitting_level",
    "jax_optimization_level", "jax_ragged_dot_use_ragged_dot_instruction", "jax_remat3", "jax_scan3",
    "jax_softmax_custom_jvp", "jax_threefry_gpu_kernel_lowering", "jax_use_direct_linearize", "jax_use_magma",
    "jax_use_shardy_partitioner", "jax_use_simplified_jaxpr_constants", "jax_xla_profile_version",
)  # fmt: skip
_ENVIRONMENT = ("LIBTPU_INIT_ARGS", "NVIDIA_TF32_OVERRIDE")


def pin(say: Callable[[str], None] = lambda _: None) -> None:
    """Gives JAX the settings that munet's programs are written for; tells which were others."""
    found = {name: _plain(getattr(jax.config, name, wanted)) for name, wanted in _OURS.items()}
    others = {name: there for name, there in found.items() if there != _OURS[name]}
    for name in others:
        jax.config.update(name, _OURS[name])
    if others:
        changes = "; ".join(f"{name}: {there!r} -> {_OURS[name]!r}" for name, there in others.items())
        say(f"Settings of JAX that munet's results depend on are set to its own: {changes}")


def describe() -> dict[str, object]:
    """The values of the other settings, for the journal; of those that this version of JAX has."""
    missing = object()
    found = {name: getattr(jax.config, name, missing) for name in _OTHERS}
    values: dict[str, object] = {name: _plain(value) for name, value in found.items() if value is not missing}
    return values | {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}


def _plain(value: object) -> object:
    """As JSON: enumerations by what they are called."""
    if isinstance(value, enum.Enum):
        return value.value if isinstance(value.value, str) else value.name
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)
