"""Paths as people write them: `~` is the home directory, where there is one."""

from __future__ import annotations

import os
from pathlib import Path

from munet.errors import UserError


def expanded(path: str | os.PathLike[str]) -> Path:
    """A path with `~` replaced.

    Raises:
      UserError: whoever runs this has no home directory, as in a container with a user id that it does not know.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise UserError(
            f"{os.fspath(path)}: there is no home directory to put for `~`: HOME is not set, and the user is not known "
            "here.",
            "Set HOME to a directory that you may write, or give a path without `~`: of the cache as MUNET_CACHE_DIR "
            "or --config.cache_dir, of TFDS data as TFDS_DATA_DIR or --config.data_dir.",
        ) from None
