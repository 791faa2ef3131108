"""Compiled programs on disk, so that what was compiled once is not compiled again."""

from __future__ import annotations

import jax

from munet.data import cache


def use_compilation_cache(cache_dir: str) -> None:
    """Keeps the programs that are compiled from now on.

    Args:
      cache_dir: as `runtime.cache_dir`: "": `$MUNET_CACHE_DIR`, else `~/.cache/munet`; "off": they are not kept.
    """
    folder = cache.cache_folder(cache_dir)
    if folder is not None:
        jax.config.update("jax_compilation_cache_dir", str(folder / "xla"))
        # Small ones too: a run has dozens, and their compilations add up to seconds at every start.
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
