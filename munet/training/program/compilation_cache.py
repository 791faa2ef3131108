"""Compiled programs on disk, so that what was compiled once is not compiled again."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import jax
from jax.experimental.compilation_cache import compilation_cache

from munet.data import cache
from munet.store.folders import open_folder
from munet.training.program import shared_programs


def use_compilation_cache(cache_dir: str) -> None:
    """Keeps the programs that are compiled from now on.

    Args:
      cache_dir: as `runtime.cache_dir`: "": `$MUNET_CACHE_DIR`, else `~/.cache/munet`; "off": they are not kept.
    """
    folder = cache.cache_folder(cache_dir)
    if folder is not None:
        place = folder / "xla"
        if url := cache.remote_cache(cache_dir):
            place = place / shared_programs.folder_name()
            # Else keys of programs would contain the folder's path, and another machine may have another one. It is of
            # use on GPUs, for programs that are compiled anew.
            jax.config.update("jax_persistent_cache_enable_xla_caches", "none")
            _share(url, place)
        jax.config.update("jax_compilation_cache_dir", str(place))
        # Small ones too: a run has dozens, and their compilations add up to seconds at every start.
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)


@contextmanager
def without_compilation_cache() -> Iterator[None]:
    """Neither reads nor writes it while the block runs: a second measurement would have its programs in no time."""
    before = jax.config.jax_enable_compilation_cache  # type: ignore[attr-defined]
    compilation_cache.reset_cache()  # JAX asks once whether there is a cache
    jax.config.update("jax_enable_compilation_cache", False)
    try:
        yield
    finally:
        jax.config.update("jax_enable_compilation_cache", before)
        compilation_cache.reset_cache()


@functools.cache
def _share(url: str, place: Path) -> None:
    """Once a process: a run may begin several times, with its baselines."""
    open_folder(url)  # what is missing to use it is told, and nothing else stops a run
    shared_programs.SharedPrograms(f"{url}/xla/{place.name}", place).start()
